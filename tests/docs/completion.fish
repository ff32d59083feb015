function @FUNCTION@
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
