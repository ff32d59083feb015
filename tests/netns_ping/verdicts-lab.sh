# The lab of verdicts.tsv, for bash as root in mount and network namespaces of its own: a - r - b, and the host beside.
mount -t tmpfs t /run; mkdir -p /run/netns; ip link set lo up
for n in a r b; do ip netns add $n; ip -n $n link set lo up; done
ip link add a0 netns a type veth peer name ra netns r; ip link add b0 netns b type veth peer name rb netns r
ip -n a addr add 10.9.1.2/24 dev a0; ip -n r addr add 10.9.1.1/24 dev ra
ip -n b addr add 10.9.2.2/24 dev b0; ip -n r addr add 10.9.2.1/24 dev rb
for x in a:a0 r:ra r:rb b:b0; do ip -n ${x%:*} link set ${x#*:} up; done
ip netns exec r sysctl -qw net.ipv4.ip_forward=1
ip -n a route add default via 10.9.1.1; ip -n b route add default via 10.9.2.1

cat >/run/v6 <<'END'
ip -n a addr add fd09:1::2/64 dev a0 nodad; ip -n r addr add fd09:1::1/64 dev ra nodad
ip -n b addr add fd09:2::2/64 dev b0 nodad; ip -n r addr add fd09:2::1/64 dev rb nodad
ip netns exec r sysctl -qw net.ipv6.conf.all.forwarding=1
ip -n a -6 route add default via fd09:1::1; ip -n b -6 route add default via fd09:2::1
sleep .3
END
cat >/run/no6 <<'END'
ip -n a -6 route del default; ip -n b -6 route del default
ip -n a addr del fd09:1::2/64 dev a0; ip -n r addr del fd09:1::1/64 dev ra
ip -n b addr del fd09:2::2/64 dev b0; ip -n r addr del fd09:2::1/64 dev rb
ip -n a -6 neigh flush all; ip -n r -6 neigh flush all
END
cat >/run/host <<'END'
ip link add ha type veth peer name ah netns a; ip link add hb type veth peer name bh netns b
ip addr add 10.9.8.1/24 dev ha; ip -n a addr add 10.9.8.2/24 dev ah
ip addr add 10.9.9.1/24 dev hb; ip -n b addr add 10.9.9.2/24 dev bh
ip link set ha up; ip link set hb up; ip -n a link set ah up; ip -n b link set bh up
ip -n a route add 10.9.9.0/24 via 10.9.8.1; ip -n b route add 10.9.8.0/24 via 10.9.9.1
sysctl -qw net.ipv4.ip_forward=1
END
cat >/run/nohost <<'END'
ip link del ha; ip link del hb
END
sleep 1
