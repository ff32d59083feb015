complete -c nsenter-rs -s t -l target -d 'Container or process to enter' -x -a '(__nsenter_rs_targets)'
complete -c nsenter-rs -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c nsenter-rs -s m -l mount -d 'Mount namespace: files and PROGRAM are the container\'s'
complete -c nsenter-rs -s u -l uts -d 'UTS namespace: host name'
complete -c nsenter-rs -s i -l ipc -d 'IPC namespace: System V IPC, POSIX message queues'
complete -c nsenter-rs -s n -l net -d 'Network namespace'
complete -c nsenter-rs -s N -l net-socket -d 'Network namespace of a socket of TARGET, by its descriptor' -r -f
complete -c nsenter-rs -s p -l pid -d 'PID namespace; PROGRAM runs as a child process'
complete -c nsenter-rs -s C -l cgroup -d 'Cgroup namespace: root of the control groups'
complete -c nsenter-rs -s U -l user -d 'User namespace: user IDs, group IDs, capabilities'
complete -c nsenter-rs -s T -l time -d 'Time namespace: boot and monotonic clocks'
complete -c nsenter-rs -s r -l root -d 'Root directory: TARGET\'s, or DIR on the host'
complete -c nsenter-rs -s w -l wd -d 'Working directory: TARGET\'s, or DIR on the host'
complete -c nsenter-rs -s W -l wdns -d 'Working directory, as a path in the container' -r -F
complete -c nsenter-rs -l env-var -d 'With -e or -H: pass one more variable to a program of the host' -r -f
complete -c nsenter-rs -s S -l setuid -d 'User ID in the container; \'follow\': TARGET\'s user' -r -f
complete -c nsenter-rs -s G -l setgid -d 'Group ID in the container; \'follow\': TARGET\'s group' -r -f
complete -c nsenter-rs -l cap-add -d 'With -H: add a capability that the container lacks' -r -f
complete -c nsenter-rs -l keep-fd -d 'Pass this open file descriptor to PROGRAM' -r -f
complete -c nsenter-rs -l each -d 'Run PROGRAM in matching containers: \'web-*\' (in quotes)' -r -f
complete -c nsenter-rs -s j -l jobs -d 'With --each: at most N containers at a time' -r -f
complete -c nsenter-rs -s v -l verbose -d 'Report on stderr what was found, and how'
complete -c nsenter-rs -s h -l help -d 'Print help: --help has all options'
complete -c nsenter-rs -l man -d 'Show the manual'
complete -c nsenter-rs -s a -l all -d 'All namespaces that differ from the caller\'s'
complete -c nsenter-rs -l user-parent -d 'Parent user namespace'
complete -c nsenter-rs -l no-root -d 'With --mount: use the root of the mount namespace'
complete -c nsenter-rs -s H -l host-tools -d 'With -m, -a or -r: run the host\'s PROGRAM'
complete -c nsenter-rs -l trust-target -d 'With -H: keep all capabilities and files of the host'
complete -c nsenter-rs -l exec-target -d 'With -H: allow the container\'s programs to run, too'
complete -c nsenter-rs -s e -l env -d 'TARGET\'s environment instead of the caller\'s'
complete -c nsenter-rs -l inside -d 'Host program with TARGET\'s DNS, hosts, /sys and /proc'
complete -c nsenter-rs -l dns -d 'Resolve names as TARGET does; implies --net'
complete -c nsenter-rs -l sys -d 'A /sys that shows TARGET\'s network; implies --net'
complete -c nsenter-rs -l proc -d 'A /proc that shows TARGET\'s processes; implies --pid'
complete -c nsenter-rs -l preserve-credentials -d 'With --user: keep the caller\'s user and group IDs'
complete -c nsenter-rs -l keep-caps -d 'With --user: keep capabilities for a PROGRAM that is not root'
complete -c nsenter-rs -s c -l join-cgroup -d 'Run in TARGET\'s control groups, with its limits'
complete -c nsenter-rs -s Z -l follow-context -d 'Use TARGET\'s SELinux context'
complete -c nsenter-rs -l confine -d 'Same user, capabilities and limits as TARGET'
complete -c nsenter-rs -s F -l no-fork -d 'With --pid: do not fork'
complete -c nsenter-rs -l no-kill-child -d 'With --pid: PROGRAM may outlive nsenter-rs'
complete -c nsenter-rs -l explain -d 'Print the permissions needed and the steps; run nothing'
complete -c nsenter-rs -l json -d 'With --each or --explain: print JSON'
complete -c nsenter-rs -l pty -d 'Run PROGRAM in a terminal of its own'
complete -c nsenter-rs -s V -l version -d 'Print version'
function __nsenter_rs_targets
    # docker:nginx, where an engine was typed.
    set -l engine (string match -r '^[a-z]+(?=:)' -- (commandline -ct))
    if set -q engine[1]
        cpid --complete targets 2>/dev/null | string match -r ".*\t$engine\$" | string replace -r '^' "$engine:"
    else
        cpid --complete targets 2>/dev/null
    end
end
function __nsenter_rs_interfaces
    set -l words (__fish_print_cmd_args_without_options)
    test (count $words) -gt 1; and cpid --complete interfaces -- $words[2] 2>/dev/null
end
complete -c nsenter-rs -f
complete -c nsenter-rs -a '(__fish_complete_subcommand -- -t --target --engine-timeout -N --net-socket -W --wdns --env-var -S --setuid -G --setgid --cap-add --keep-fd --each -j --jobs)'
