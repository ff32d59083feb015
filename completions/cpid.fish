complete -c cpid -l engine-timeout -d 'Wait for an engine this long' -r
complete -c cpid -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c cpid -s h -l help -d 'Print this help; the manual says more'
complete -c cpid -s V -l version -d 'Print version'
