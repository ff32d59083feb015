complete -c add-nic -l host-addr -d 'The host\'s address on the cable; none for none' -r -f
complete -c add-nic -s b -l bridge -d 'Plug the other end into this bridge' -r -f
complete -c add-nic -l peer -d 'Plug the other end into this container or network' -r -f
complete -c add-nic -l macvlan -d 'A macvlan on this link of the host: PARENT[:MODE]' -r -f
complete -c add-nic -l ipvlan -d 'An ipvlan on this link of the host, with the link\'s MAC: PARENT[:MODE]' -r -f
complete -c add-nic -l phys -d 'Move this NIC of the host in; --rm gives it back' -r -f
complete -c add-nic -l peer-addr -d 'TARGET2\'s address on the cable; none for none' -r -f
complete -c add-nic -l peer-name -d 'The name of TARGET2\'s end, not the next free ethN there' -r -f
complete -c add-nic -l vlan -d 'In this VLAN, 1 to 4094' -r -f
complete -c add-nic -l name -d 'Its name in the container, not the next free ethN' -r -f
complete -c add-nic -l host-name -d 'The name of the host\'s end, not CONTAINER-ethN' -r -f
complete -c add-nic -l mac -d 'Its MAC address' -r -f
complete -c add-nic -l mtu -d 'Its MTU; without it the bridge\'s, or 1500' -r -f
complete -c add-nic -s g -l gateway -d 'A default route through the NIC, in place of the one there is' -r -f
complete -c add-nic -s r -l route -d 'A route through the NIC; may be given again' -r -f
complete -c add-nic -l metric -d 'The metric of these routes' -r -f
complete -c add-nic -l sysctl -d 'Set KEY in its network; IF in KEY is the NIC' -r -f
complete -c add-nic -s p -l publish -d 'Forward a port of the host to one of its own' -r -f
complete -c add-nic -l dad -d 'How long to look for somebody who has the addresses already' -r -f -a "quick\t''
full\t''"
complete -c add-nic -l announce -d 'How often to tell the bridge whose the addresses are now' -r
complete -c add-nic -l watch -d 'Stay, and keep the NICs in FILE plugged in' -r -F
complete -c add-nic -l engine-timeout -d 'Wait for an engine this long' -r -f
complete -c add-nic -l create -d 'Make the bridge if there is none'
complete -c add-nic -l nat -d 'NAT: it reaches other networks with the host\'s address'
complete -c add-nic -l forward -d 'Let those on its bridge talk to each other'
complete -c add-nic -l sbr -d 'Replies leave by the NIC that they answer'
complete -c add-nic -l no-dad -d 'Do not ask the bridge who has the addresses already'
complete -c add-nic -l no-announce -d 'Do not tell the bridge whose the addresses are now'
complete -c add-nic -l rm -d 'Remove a NIC of ours, all if none is named'
complete -c add-nic -s l -l list -d 'Print a table of our NICs'
complete -c add-nic -l check -d 'Print what is not as we made it; exit with 1 if anything is'
complete -c add-nic -l once -d 'With --watch: plug in what is not there, and do not stay'
complete -c add-nic -s n -l dry-run -d 'Print the commands that would do it, and do nothing'
complete -c add-nic -l preflight -d 'Print what would not work, and what helps; do nothing'
complete -c add-nic -l host -d 'Plug into the network of the host itself'
complete -c add-nic -s f -l force -d 'With --rm: remove a NIC that we did not make'
complete -c add-nic -l json -d 'JSON in place of text'
complete -c add-nic -s v -l verbose -d 'Say on stderr what was found, and how'
complete -c add-nic -s h -l help -d 'Print this help; the manual says more'
complete -c add-nic -s V -l version -d 'Print version'
