complete -c add-nic -l host-addr -d 'Address of the host\'s end, or none' -r -f
complete -c add-nic -s b -l bridge -d 'Attach the other end to this bridge' -x -a '(cpid --complete bridges 2>/dev/null)'
complete -c add-nic -l peer -d 'Connect to another container or network namespace' -x -a '(__add_nic_targets)'
complete -c add-nic -l macvlan -d 'Create a macvlan on a host interface: PARENT[:MODE]' -x -a '(cpid --complete interfaces 2>/dev/null)'
complete -c add-nic -l ipvlan -d 'Create an ipvlan on a host interface: PARENT[:MODE]' -x -a '(cpid --complete interfaces 2>/dev/null)'
complete -c add-nic -l phys -d 'Move a host interface into the container' -x -a '(cpid --complete interfaces 2>/dev/null)'
complete -c add-nic -l peer-addr -d 'Address of TARGET2\'s end, or none' -r -f
complete -c add-nic -l peer-name -d 'Name of TARGET2\'s end (default: the next free ethN)' -r -f
complete -c add-nic -l vlan -d 'Put the NIC into a VLAN, 1 to 4094' -r -f
complete -c add-nic -l name -d 'Name in the container (default: the next free ethN)' -r -f
complete -c add-nic -l name-prefix -d 'Start of its default name, instead of eth' -r -f
complete -c add-nic -l host-name -d 'Name of the host\'s end (default: CONTAINER-ethN)' -r -f
complete -c add-nic -l mac -d 'MAC address' -r -f
complete -c add-nic -l mtu -d 'MTU (default: the bridge\'s, or 1500)' -r -f
complete -c add-nic -s g -l gateway -d 'Default route via IP; replaces the current one' -r -f
complete -c add-nic -s r -l route -d 'Route through the NIC; may be repeated' -r -f
complete -c add-nic -l metric -d 'Metric of these routes' -r -f
complete -c add-nic -l sysctl -d 'Set a sysctl of its network; IF in KEY is the NIC' -r -f
complete -c add-nic -l nat -d 'NAT: reach other networks with the host\'s address'
complete -c add-nic -s p -l publish -d 'Publish a container port on the host' -r -f
complete -c add-nic -l dad -d 'Duplicate address detection' -r -f -a "quick\t''
full\t''"
complete -c add-nic -l announce -d 'How often to announce the addresses' -r
complete -c add-nic -l watch -d 'Keep running, and keep the NICs in FILE in place' -r -F
complete -c add-nic -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c add-nic -l create -d 'Create the bridge if it does not exist'
complete -c add-nic -l forward -d 'Allow traffic between containers on the bridge'
complete -c add-nic -l sbr -d 'Source-based routing: replies use this NIC'
complete -c add-nic -l no-dad -d 'Skip duplicate address detection'
complete -c add-nic -l no-announce -d 'Do not announce the addresses'
complete -c add-nic -l replace -d 'Change the NIC, if it is there with other options'
complete -c add-nic -l rm -d 'Remove a NIC, or all that add-nic created there'
complete -c add-nic -l repair -d 'Make a NIC, or all of TARGET, as they were added'
complete -c add-nic -s l -l list -d 'List the NICs that add-nic created'
complete -c add-nic -l check -d 'List changes to these NICs; exit with 1 if any'
complete -c add-nic -l once -d 'With --watch: add what is missing, and exit'
complete -c add-nic -s n -l dry-run -d 'Print the commands instead of running them'
complete -c add-nic -l preflight -d 'Print problems and fixes; change nothing'
complete -c add-nic -s q -l quiet -d 'No warnings and notes before a NIC is added'
complete -c add-nic -l host -d 'Allow the host\'s own network as TARGET'
complete -c add-nic -s f -l force -d 'With --rm: remove a NIC add-nic did not create'
complete -c add-nic -l json -d 'Print JSON'
complete -c add-nic -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c add-nic -s h -l help -d 'Print help: --help has all options'
complete -c add-nic -l man -d 'Show the manual'
complete -c add-nic -s V -l version -d 'Print version'
function __add_nic_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __add_nic_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c add-nic -f
complete -c add-nic -n 'not __fish_contains_opt rm repair; and test (count (__fish_print_cmd_args_without_options)) -eq 1' -a '(__add_nic_targets)'
complete -c add-nic -n '__fish_contains_opt rm repair; and test (count (__fish_print_cmd_args_without_options)) -eq 1' -a '(__add_nic_targets)'
complete -c add-nic -n '__fish_contains_opt rm repair; and test (count (__fish_print_cmd_args_without_options)) -gt 1' -a '(__add_nic_interfaces)'
