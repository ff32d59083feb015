complete -c netns-ping -s c -l count -d 'Stop after N packets to each DEST' -r -f
complete -c netns-ping -s i -l interval -d 'Seconds between packets, default 1' -r -f
complete -c netns-ping -s w -l deadline -d 'Stop after this time, whatever replies came' -r -f
complete -c netns-ping -s W -l timeout -d 'Wait this long for a reply' -r -f
complete -c netns-ping -s s -l size -d 'Bytes of data in a packet, default 56' -r -f
complete -c netns-ping -s t -l ttl -d 'Time to live: at most N routers' -r -f
complete -c netns-ping -s I -l interface -d 'Send from this interface or address' -x -a '(__netns_ping_interfaces)'
complete -c netns-ping -s M -l pmtudisc -d 'Path MTU discovery: do, probe, want or dont' -r -f -a "do\t'IP_PMTUDISC_DO'
want\t'IP_PMTUDISC_WANT'
probe\t'IP_PMTUDISC_PROBE'
dont\t'IP_PMTUDISC_DONT'"
complete -c netns-ping -s l -l preload -d 'Send N packets at once at the beginning' -r -f
complete -c netns-ping -s Q -l tos -d 'Type of service, or traffic class: 0 to 255' -r -f
complete -c netns-ping -s m -l mark -d 'Set a mark on packets, for policy routing' -r -f
complete -c netns-ping -s p -l pattern -d 'Fill packets with these bytes' -r -f
complete -c netns-ping -l rate -d 'Scan: packets a second [10000, 500 if routed]' -r -f
complete -c netns-ping -l matrix -d 'Ping between all, or all matching, containers'
complete -c netns-ping -l tcp -d 'Matrix: connect to this TCP port instead of pinging' -r -f
complete -c netns-ping -l udp -d 'Matrix: send to this UDP port instead of pinging' -r -f
complete -c netns-ping -l data -d 'UDP: what a datagram holds' -r -f
complete -c netns-ping -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c netns-ping -s q -l quiet -d 'Print only the first line and the summary'
complete -c netns-ping -s n -l numeric -d 'Print addresses without names'
complete -c netns-ping -s f -l flood -d 'Flood: a packet per reply, at least 100 a second'
complete -c netns-ping -s A -l adaptive -d 'Adaptive: the next packet when the reply is there'
complete -c netns-ping -s r -l dont-route -d 'Only to hosts on the link: use no router'
complete -c netns-ping -l plain -d 'Print only what ping(8) and arping(8) print'
complete -c netns-ping -s U
complete -c netns-ping -s b
complete -c netns-ping -s B
complete -c netns-ping -s d
complete -c netns-ping -s C
complete -c netns-ping -s 4 -l ipv4 -d 'IPv4 only'
complete -c netns-ping -s 6 -l ipv6 -d 'IPv6 only'
complete -c netns-ping -s O -l outstanding -d 'Report a missing reply before the next packet'
complete -c netns-ping -s D -l time-of-day -d 'Print the time of day before each line'
complete -c netns-ping -l arp -d 'Ask for MAC addresses: ARP, neighbour discovery'
complete -c netns-ping -l dad -d 'Duplicate address detection: is an address in use?'
complete -c netns-ping -l announce -d 'Announce an address: gratuitous ARP'
complete -c netns-ping -l json -d 'Print a line of JSON for each event'
complete -c netns-ping -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c netns-ping -s h -l help -d 'Print help: --help has all options'
complete -c netns-ping -l man -d 'Show the manual'
complete -c netns-ping -s V -l version -d 'Print version'
function __netns_ping_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __netns_ping_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c netns-ping -f
complete -c netns-ping -n 'test (count (__fish_print_cmd_args_without_options)) -eq 1' -a '(__netns_ping_targets)'
complete -c netns-ping -n 'test (count (__fish_print_cmd_args_without_options)) -gt 1' -a '(__netns_ping_targets; echo gateway)'
