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
complete -c cpid -s h -l help -d 'Print this help; the manual says more'
complete -c cpid -s V -l version -d 'Print version'
complete -c cpid -f
complete -c cpid -a '(cpid --complete targets 2>/dev/null)'
