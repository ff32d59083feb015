complete -c netns-link -l as -d 'Link the one TARGET under this name' -r
complete -c netns-link -l rm -d 'Remove these links; one that is gone is fine' -r
complete -c netns-link -l engine-timeout -d 'Wait for an engine this long' -r
complete -c netns-link -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c netns-link -s h -l help -d 'Print this help; the manual says more'
complete -c netns-link -s V -l version -d 'Print version'
