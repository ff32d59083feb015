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
# serve NETNS KIND ADDRESS PORT: a server of KIND: tcp, full (with as many connections as may wait), udp, mute (it answers nothing).
cat >/run/serve.pl <<'END'
use Socket qw(:all);
my ($kind, $address, $port) = @ARGV;
my $v6 = $address =~ /:/;
my $at = sub { $v6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $_[0])) : pack_sockaddr_in($port, inet_aton($_[0])) };
my $stream = $kind eq "tcp" || $kind eq "full";
socket(S, $v6 ? PF_INET6 : PF_INET, $stream ? SOCK_STREAM : SOCK_DGRAM, 0) or die $!;
setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
# The one before was killed, and may not have let go of the port yet.
my $bound;
for (1 .. 200) { last if $bound = bind(S, $at->($address)); select(undef, undef, undef, .05) }
$bound or die $!;
listen(S, $kind eq "full" ? 0 : 64) or die $! if $stream;
if ($kind eq "full") { socket(C, PF_INET, SOCK_STREAM, 0); connect(C, $at->("127.0.0.1")) or die $!; }
open(R, ">", "/run/ready"); close R;
if ($stream) { sleep 999 }
while (my $peer = recv(S, my $data, 999, 0)) { send(S, $data, 0, $peer) if $kind eq "udp" }
END
cat >/run/serve <<'END'
rm -f /run/ready
ip netns exec $1 perl /run/serve.pl $2 $3 $4 & echo $! >>/run/served
for i in $(seq 400); do [ -e /run/ready ] && break; sleep .05; done
END
cat >/run/unserve <<'END'
kill -CONT $(cat /run/served); kill -KILL $(cat /run/served); rm -f /run/served
END
# bridge: bb of the host, with a (10.9.5.2) and b (10.9.5.3) on it.
cat >/run/bridge <<'END'
ip link add bb type bridge; ip link set bb up
ip link add pa master bb up type veth peer name ab netns a; ip link add pb master bb up type veth peer name ba netns b
ip -n a addr add 10.9.5.2/24 dev ab; ip -n b addr add 10.9.5.3/24 dev ba; ip -n a link set ab up; ip -n b link set ba up
END
cat >/run/nobridge <<'END'
ip link del pa; ip link del pb; ip link del bb
END
sleep 1
