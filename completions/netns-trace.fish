complete -c netns-trace -l for -d 'With --drops: end after this time' -r -f
complete -c netns-trace -l evidence -d 'Watch the packet by this alone: bpf, perf or state' -r -f -a "bpf\t'Programs at the kernel\'s tracepoints'
perf\t'The same tracepoints by perf'
state\t'The answer alone'"
complete -c netns-trace -l from -d 'The address that the packet comes from' -r -f
complete -c netns-trace -l size -d 'Bytes of the whole packet, which no router may split' -r -f
complete -c netns-trace -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c netns-trace -l explain -d 'Send nothing: follow the packet through what is set up'
complete -c netns-trace -l mtu -d 'Find the largest packet that passes, both ways'
complete -c netns-trace -l reverse -d 'From outside in: follow a packet to a published port'
complete -c netns-trace -l drops -d 'Show live which packets the kernel drops, and why'
complete -c netns-trace -s 4 -d 'IPv4 only'
complete -c netns-trace -s 6 -d 'IPv6 only'
complete -c netns-trace -l json -d 'Print JSON: one object a line'
complete -c netns-trace -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c netns-trace -s h -l help -d 'Print help: --help has all options'
complete -c netns-trace -l man -d 'Show the manual'
complete -c netns-trace -s V -l version -d 'Print version'
function __netns_trace_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __netns_trace_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c netns-trace -f
complete -c netns-trace -n 'test (count (__fish_print_cmd_args_without_options)) -eq 1' -a '(__netns_trace_targets)'
complete -c netns-trace -n 'test (count (__fish_print_cmd_args_without_options)) -gt 1' -a '(__netns_trace_targets; echo gateway)'
