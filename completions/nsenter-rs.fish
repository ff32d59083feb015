complete -c nsenter-rs -s t -l target -d 'The container or process to enter' -r -f
complete -c nsenter-rs -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c nsenter-rs -s m -l mount -d 'Mount points: programs are then the container\'s' -r -F
complete -c nsenter-rs -s u -l uts -d 'Host name' -r -F
complete -c nsenter-rs -s i -l ipc -d 'System V IPC and POSIX message queues' -r -F
complete -c nsenter-rs -s n -l net -d 'Network' -r -F
complete -c nsenter-rs -s p -l pid -d 'Process IDs; the program is then our child' -r -F
complete -c nsenter-rs -s C -l cgroup -d 'Root of the control groups' -r -F
complete -c nsenter-rs -s U -l user -d 'User and group IDs, and capabilities' -r -F
complete -c nsenter-rs -s T -l time -d 'Boot and monotonic clocks' -r -F
complete -c nsenter-rs -s r -l root -d 'Root directory: TARGET\'s, or the host\'s DIR' -r -f -a "(__fish_complete_directories)"
complete -c nsenter-rs -s w -l wd -d 'Working directory: TARGET\'s, or the host\'s DIR' -r -f -a "(__fish_complete_directories)"
complete -c nsenter-rs -s W -l wdns -d 'Working directory as it is seen inside' -r -F
complete -c nsenter-rs -s S -l setuid -d 'User ID inside; \'follow\' takes TARGET\'s' -r -f
complete -c nsenter-rs -s G -l setgid -d 'Group ID inside; \'follow\' takes TARGET\'s' -r -f
complete -c nsenter-rs -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c nsenter-rs -s h -l help -d 'Print this help; the manual says more'
complete -c nsenter-rs -s a -l all -d 'All that are not ours already'
complete -c nsenter-rs -l no-root -d 'With --mount: keep to the namespace\'s root'
complete -c nsenter-rs -s H -l host-tools -d 'With -m, -a or -r: run the host\'s PROGRAM'
complete -c nsenter-rs -l trust-target -d 'With --host-tools: even where TARGET could get at the host\'s files'
complete -c nsenter-rs -s e -l env -d 'TARGET\'s environment instead of ours'
complete -c nsenter-rs -l preserve-credentials -d 'Keep our user and group IDs with --user'
complete -c nsenter-rs -s F -l no-fork -d 'Do not fork for --pid'
complete -c nsenter-rs -l no-kill-child -d 'With --pid: let the program outlive us'
complete -c nsenter-rs -s V -l version -d 'Print version'
