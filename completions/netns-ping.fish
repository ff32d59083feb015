complete -c netns-ping -s c -l count -d 'Stop after so many packets to each DEST' -r -f
complete -c netns-ping -s i -l interval -d 'Seconds between packets, 1 if not given' -r -f
complete -c netns-ping -s w -l deadline -d 'Stop after this long, whatever has come' -r -f
complete -c netns-ping -s W -l timeout -d 'Wait for an answer this long' -r -f
complete -c netns-ping -s s -l size -d 'Bytes of data in a packet, 56 if not given' -r -f
complete -c netns-ping -s t -l ttl -d 'Through at most so many routers' -r -f
complete -c netns-ping -s I -l interface -d 'From this link or address of the container' -r -f
complete -c netns-ping -s M -l pmtudisc -d 'Forbid fragments (do, probe), or leave them to the path (want, dont)' -r -f -a "do\t'IP_PMTUDISC_DO'
want\t'IP_PMTUDISC_WANT'
probe\t'IP_PMTUDISC_PROBE'
dont\t'IP_PMTUDISC_DONT'"
complete -c netns-ping -l rate -d 'In a sweep, packets a second: 10000 on-link, 500 beyond' -r -f
complete -c netns-ping -l matrix -d 'Every running container, or those that fit, to all others' -r -f
complete -c netns-ping -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c netns-ping -s q -l quiet -d 'Print the first line and the summary only'
complete -c netns-ping -s n -l numeric -d 'Print addresses without names'
complete -c netns-ping -s f -l flood -d 'Flood: the next packet with each answer, 100 a second at least'
complete -c netns-ping -s 4 -l ipv4 -d 'IPv4 only'
complete -c netns-ping -s 6 -l ipv6 -d 'IPv6 only'
complete -c netns-ping -s O -l outstanding -d 'Say so before the next packet when an answer is outstanding'
complete -c netns-ping -s D -l time-of-day -d 'Print the time of day in front of each line'
complete -c netns-ping -l arp -d 'Ask for MACs: ARP, for IPv6 neighbour solicitation'
complete -c netns-ping -l dad -d 'Ask whether anybody has an address already'
complete -c netns-ping -l announce -d 'Tell the neighbours whose an address of the container\'s is'
complete -c netns-ping -l json -d 'A line of JSON for each event'
complete -c netns-ping -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c netns-ping -s h -l help -d 'Print this help; the manual says more'
complete -c netns-ping -s V -l version -d 'Print version'
