function @FUNCTION@_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function @FUNCTION@_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
