complete -c nsenter-rs -s t -l target -d 'The container or process to enter' -r -f
complete -c nsenter-rs -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c nsenter-rs -s m -l mount -d 'Mount points: programs are then the container\'s' -r -F
complete -c nsenter-rs -s u -l uts -d 'Host name' -r -F
complete -c nsenter-rs -s i -l ipc -d 'System V IPC and POSIX message queues' -r -F
complete -c nsenter-rs -s n -l net -d 'Network' -r -F
complete -c nsenter-rs -s N -l net-socket -d 'Network of TARGET\'s socket, by its descriptor' -r -f
complete -c nsenter-rs -s p -l pid -d 'Process IDs; the program is then our child' -r -F
complete -c nsenter-rs -s C -l cgroup -d 'Root of the control groups' -r -F
complete -c nsenter-rs -s U -l user -d 'User and group IDs, and capabilities' -r -F
complete -c nsenter-rs -s T -l time -d 'Boot and monotonic clocks' -r -F
complete -c nsenter-rs -s r -l root -d 'Root directory: TARGET\'s, or the host\'s DIR' -r -f -a "(__fish_complete_directories)"
complete -c nsenter-rs -s w -l wd -d 'Working directory: TARGET\'s, or the host\'s DIR' -r -f -a "(__fish_complete_directories)"
complete -c nsenter-rs -s W -l wdns -d 'Working directory as it is seen inside' -r -F
complete -c nsenter-rs -l env-var -d 'With -e or -H: one more variable for a program of the host' -r -f
complete -c nsenter-rs -s S -l setuid -d 'User ID inside; \'follow\' takes TARGET\'s' -r -f
complete -c nsenter-rs -s G -l setgid -d 'Group ID inside; \'follow\' takes TARGET\'s' -r -f
complete -c nsenter-rs -l cap-add -d 'With -H: a capability that the container lacks' -r -f
complete -c nsenter-rs -l keep-fd -d 'Leave this open descriptor to the program' -r -f
complete -c nsenter-rs -l each -d 'Run PROGRAM in each that PATTERN fits: \'web-*\' (quoted)' -r -f
complete -c nsenter-rs -s j -l jobs -d 'With --each: this many at a time' -r -f
complete -c nsenter-rs -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c nsenter-rs -s h -l help -d 'Print this help; the manual says more'
complete -c nsenter-rs -s a -l all -d 'All that are not ours already'
complete -c nsenter-rs -l user-parent -d 'The user namespace above'
complete -c nsenter-rs -l no-root -d 'With --mount: keep to the namespace\'s root'
complete -c nsenter-rs -s H -l host-tools -d 'With -m, -a or -r: run the host\'s PROGRAM'
complete -c nsenter-rs -l trust-target -d 'With -H: keep all our capabilities and the host\'s files'
complete -c nsenter-rs -l exec-target -d 'With -H: the container\'s programs may run, too'
complete -c nsenter-rs -s e -l env -d 'TARGET\'s environment instead of ours'
complete -c nsenter-rs -l inside -d 'TARGET\'s names, /sys and /proc for a program of the host'
complete -c nsenter-rs -l dns -d 'Look up names as TARGET does; implies --net'
complete -c nsenter-rs -l sys -d 'A /sys that shows TARGET\'s network; implies --net'
complete -c nsenter-rs -l proc -d 'A /proc that shows TARGET\'s processes; implies --pid'
complete -c nsenter-rs -l preserve-credentials -d 'Keep our user and group IDs with --user'
complete -c nsenter-rs -l keep-caps -d 'Keep capabilities with --user for a program that is not root\'s'
complete -c nsenter-rs -s c -l join-cgroup -d 'Run in TARGET\'s control groups, under its limits'
complete -c nsenter-rs -s Z -l follow-context -d 'Have TARGET\'s SELinux context'
complete -c nsenter-rs -l confine -d 'Confined as TARGET: user, capabilities, limits'
complete -c nsenter-rs -s F -l no-fork -d 'Do not fork for --pid'
complete -c nsenter-rs -l no-kill-child -d 'With --pid: let the program outlive us'
complete -c nsenter-rs -l explain -d 'Say what it takes and what would be done; do nothing'
complete -c nsenter-rs -l json -d 'With --each or --explain: as JSON'
complete -c nsenter-rs -l pty -d 'Give the program a terminal of its own'
complete -c nsenter-rs -s V -l version -d 'Print version'
