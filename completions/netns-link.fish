complete -c netns-link -l as -d 'Link the one TARGET under this name' -r -f
complete -c netns-link -l new -d 'Make an empty network namespace of this name' -r -f
complete -c netns-link -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c netns-link -s a -l all -d 'Link every running container; with --rm, remove all'
complete -c netns-link -l no-lo -d 'With --new: leave lo down'
complete -c netns-link -l rm -d 'Remove links, by their names or their containers\''
complete -c netns-link -s l -l list -d 'Print a table of all links and their states'
complete -c netns-link -l check -d 'List stale links; exit status 1 if there are any'
complete -c netns-link -l prune -d 'Remove stale links made by netns-link'
complete -c netns-link -l refresh -d 'Update stale links to their restarted containers'
complete -c netns-link -s w -l watch -d 'Link containers as they start, unlink as they stop'
complete -c netns-link -l host -d 'Allow a link to the host\'s own network'
complete -c netns-link -s f -l force -d 'Replace links made by netns-link; --rm: others\' too'
complete -c netns-link -l json -d 'With --list, --check or --watch: print JSON'
complete -c netns-link -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c netns-link -s h -l help -d 'Print help: --help has all options'
complete -c netns-link -l man -d 'Show the manual'
complete -c netns-link -s V -l version -d 'Print version'
function __netns_link_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __netns_link_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c netns-link -f
complete -c netns-link -n 'not __fish_contains_opt rm repair' -a '(__netns_link_targets)'
complete -c netns-link -n '__fish_contains_opt rm repair' -a '(cpid --complete links 2>/dev/null)'
