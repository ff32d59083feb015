complete -c cpid -l of -d 'Print which container the process PID belongs to' -r -f
complete -c cpid -l wait -d 'Wait up to TIME for every TARGET to run: 500ms, 30s' -r -f
complete -c cpid -l engine -d 'Ask only this engine, such as docker' -x -a '(cpid --complete engines 2>/dev/null)'
complete -c cpid -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c cpid -s l -l list -d 'Print a table of all running containers'
complete -c cpid -s a -l all -d 'With --list: include stopped containers'
complete -c cpid -l inode -d 'Print PID:INODE, which is never reused'
complete -c cpid -l json -d 'Print JSON: an array of objects'
complete -c cpid -s 0 -l null -d 'End each PID with a NUL byte, not a line feed'
complete -c cpid -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c cpid -s h -l help -d 'Print help: --help has all options'
complete -c cpid -l man -d 'Show the manual'
complete -c cpid -s V -l version -d 'Print version'
function __cpid_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __cpid_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c cpid -f
complete -c cpid -a '(__cpid_targets)'
