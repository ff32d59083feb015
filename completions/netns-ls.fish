complete -c netns-ls -l path -d 'Show the veth pairs and bridges between two containers' -r -f
complete -c netns-ls -l graph -d 'Draw it as a picture' -r -f -a "svg\t'A browser'
dot\t'Graphviz'"
complete -c netns-ls -l diff -d 'Print what changed since FILE, which --json has made' -r -F
complete -c netns-ls -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c netns-ls -s a -l all -d 'Include loopback, and the host\'s ends of veth pairs'
complete -c netns-ls -l bridges -d 'Show bridges, their ports, and the containers at them'
complete -c netns-ls -l tree -d 'Show who is plugged into what as a tree'
complete -c netns-ls -l ports -d 'Show who listens on which port, and published ports'
complete -c netns-ls -l html -d 'Draw it as a page to search and click in'
complete -c netns-ls -l namespaces -d 'Show namespaces of all eight kinds, as lsns(8) does'
complete -c netns-ls -l why -d 'Find what is wrong, and print the commands that fix it'
complete -c netns-ls -l routes -d 'Show routes, of all tables but the kernel\'s own'
complete -c netns-ls -l rules -d 'Show the rules of policy routing'
complete -c netns-ls -l neigh -d 'Show neighbours (ARP, ND), and who has each MAC'
complete -c netns-ls -l fdb -d 'Show the forwarding tables of bridges'
complete -c netns-ls -l programs -d 'Show what is attached to interfaces: XDP, tc, BPF'
complete -c netns-ls -l sockets -d 'Show sockets of TCP and UDP, and their processes'
complete -c netns-ls -l fw -d 'Show the rules of nftables and iptables, with counters'
complete -c netns-ls -s w -l watch -d 'Print changes as they happen'
complete -c netns-ls -l json -d 'Print JSON'
complete -c netns-ls -s q -l quiet -d 'No header above a table, and no notes'
complete -c netns-ls -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c netns-ls -s h -l help -d 'Print help: --help has all options'
complete -c netns-ls -l man -d 'Show the manual'
complete -c netns-ls -s V -l version -d 'Print version'
function __netns_ls_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __netns_ls_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c netns-ls -f
complete -c netns-ls -a '(__netns_ls_targets; cpid --complete interfaces 2>/dev/null)'
