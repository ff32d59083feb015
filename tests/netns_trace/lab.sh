# The lab of faults.tsv, pairs.tsv and working.tsv, for bash as root in mount, PID and network namespaces of its own:
#
#   a 198.18.1.2 - host - b 198.18.2.2         c 198.18.3.2, d .3.3, e .3.4 on the bridge br0 of the host
#                  host - r - f 198.18.5.2     r routes, and is 198.18.4.2 and 198.18.5.1
#
# The same with fd18:N:: and IPv6. What a row has in its column "given" is there before the first snapshot.
mount -t tmpfs none /run; mkdir -p /run/netns; mount -t sysfs none /sys
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
ip link set lo up
quiet='net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0'
sysctl -qw $quiet net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for n in a b c d e r f; do
    ip netns add $n
    ip netns exec $n sh -c "ip link set lo up; sysctl -qw $quiet"
done
ip netns exec r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# cable NETNS N: from the host's vNETNS, 198.18.N.1, to eth0 there, 198.18.N.2, which is its way to everything else.
cable() {
    ip link add v$1 up type veth peer name eth0 netns $1
    ip addr add 198.18.$2.1/24 dev v$1; ip addr add fd18:$2::1/64 dev v$1
    ip -n $1 -b - <<END
link set eth0 up
addr add 198.18.$2.2/24 dev eth0
addr add fd18:$2::2/64 dev eth0
route add default via 198.18.$2.1
END
    ip -n $1 -6 route add default via fd18:$2::1
}
cable a 1; cable b 2; cable r 4

ip link add br0 address 02:00:00:00:00:03 up type bridge
sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null
ip addr add 198.18.3.1/24 dev br0; ip addr add fd18:3::1/64 dev br0
# plug NETNS N: 198.18.3.N on br0.
plug() {
    ip link add v$1 up master br0 type veth peer name eth0 netns $1
    ip -n $1 -b - <<END
link set eth0 up
addr add 198.18.3.$2/24 dev eth0
addr add fd18:3::$2/64 dev eth0
route add default via 198.18.3.1
END
    ip -n $1 -6 route add default via fd18:3::1
}
plug c 2; plug d 3; plug e 4

ip -n r link add eth1 up type veth peer name eth0 netns f
ip -n r addr add 198.18.5.1/24 dev eth1; ip -n r addr add fd18:5::1/64 dev eth1
ip -n f link set eth0 up
ip -n f addr add 198.18.5.2/24 dev eth0; ip -n f addr add fd18:5::2/64 dev eth0
ip -n f route add default via 198.18.5.1; ip -n f -6 route add default via fd18:5::1
ip route add 198.18.5.0/24 via 198.18.4.2; ip -6 route add fd18:5::/64 via fd18:4::2

# The netns of the lab, the host's as "host".
within() {
    if [ "$1" = host ]; then "${@:2}"; else nsenter --net=/run/netns/$1 "${@:2}"; fi
}

# settled NETNS: each interface that is up has the link-local address that the kernel gives it shortly after.
settled() { [ $(within $1 ip -o link show up | grep -vc ': lo:') = $(within $1 ip -o -6 addr show scope link | wc -l) ]; }
for n in host a b c d e r f; do for i in $(seq 100); do settled $n && break; sleep .02; done; done

# serve NETNS KIND PORT [ADDRESS]: a server, which says hello. KIND: tcp; full, with as many connections as may wait; stopped, a
# tcp that is never scheduled; udp; mute, which reads and has no answer; deaf, which does not read.
cat >/run/serve.pl <<'END'
use Socket qw(:all);
my ($kind, $port, $address) = @ARGV;
my $v6 = $address =~ /:/;
my $at = sub { $v6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $_[0])) : pack_sockaddr_in($port, inet_aton($_[0])) };
my $udp = $kind =~ /^(udp|mute|deaf)$/;
socket(S, $v6 ? PF_INET6 : PF_INET, $udp ? SOCK_DGRAM : SOCK_STREAM, 0) or die $!;
setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
setsockopt(S, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $v6;
setsockopt(S, SOL_SOCKET, SO_RCVBUF, 1) if $kind eq "deaf";
bind(S, $at->($address)) or die $!;
listen(S, $kind eq "full" ? 0 : 64) or die $! unless $udp;
if ($kind eq "full") { socket(C, PF_INET, SOCK_STREAM, 0); connect(C, $at->("127.0.0.1")) or die $!; }
open(R, ">", "/run/server.$port"); print R $$; close R;
if ($kind eq "deaf" || $kind eq "full") { sleep 999 }
if ($udp) { while (my $peer = recv(S, my $data, 2000, 0)) { send(S, "hello", 0, $peer) if $kind eq "udp" } }
while (my $peer = accept(my $one, S)) { syswrite($one, "hello\n"); close $one }
END
serve() {
    rm -f /run/server.$3
    within $1 perl /run/serve.pl $2 $3 ${4-0.0.0.0} >/dev/null 2>&1 </dev/null &
    for i in $(seq 500); do [ -s /run/server.$3 ] && return; sleep .02; done
    echo "the server at $3 did not start"; return 1
}
# mac NETNS IFNAME
mac() { ip -n $1 -o link show $2 | grep -o 'link/ether [^ ]*' | cut -d' ' -f2; }

# plain NETNS DEST [SIZE]: whether DEST, as a tool takes it, answers plain programs: ping, or a connection that is greeted.
plain() {
    local dest size=${3:+-M do -s $3}
    dest=$(sed 's/netns:d/198.18.3.3/; s/netns:b/198.18.2.2/; s/^gateway$/198.18.1.1/' <<<"$2")
    case $dest in
        tcp:* | udp:*) within $1 perl /run/greet.pl $(sed 's/:\([0-9]*\)$/ \1/; s/:/ /; s/[][]//g' <<<"$dest") ;;
        *) within $1 ping -nqc1 -W1 $size "$dest" ;;
    esac
}
cat >/run/greet.pl <<'END'
use Socket qw(:all);
my ($kind, $address, $port) = @ARGV;
my $v6 = $address =~ /:/;
socket(S, $v6 ? PF_INET6 : PF_INET, $kind eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die $!;
# What does not answer at all; by then a SYN has been sent twice.
alarm 2;
connect(S, $v6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address))) or die "connect: $!\n";
send(S, "knock", 0) if $kind eq "udp";
alarm 1;
my $got = sysread(S, my $data, 99);
die "not greeted\n" unless $got && $data =~ /^hello/;
END

# snapshot: what is set in each netns, a line for each thing. An empty chain with the policy accept is nothing; counters, times and
# what the kernel learns by itself are left out.
cat >/run/read.sh <<'END'
echo "@netns $1"
echo "@link"; ip -o link
echo "@addr"; ip -o addr
echo "@route"; ip -4 route show table all; ip -6 route show table all
echo "@rule"; ip rule; ip -6 rule
echo "@neigh"; ip neigh show nud permanent
if [ $1 = host ]; then
    echo "@fdb"; bridge fdb show
    echo "@bridge"; ip -d -o link show type bridge
    echo "@port"; bridge -d link show
fi
qdiscs=$(tc qdisc)
echo "@qdisc"; echo "$qdiscs"
case $qdiscs in *clsact* | *ingress*)
    for d in $(ls /proc/sys/net/ipv4/conf | grep -vxE 'all|default|lo'); do
        for h in ingress egress; do echo "@filter $d $h"; tc filter show dev $d $h 2>/dev/null; done
    done ;;
esac
echo "@xfrm"; ip xfrm policy
echo "@sysctl"
cd /proc/sys/net
grep -s '' ipv4/ip_forward ipv4/ip_default_ttl ipv6/conf/*/hop_limit ipv4/icmp_echo_ignore_all ipv4/ip_nonlocal_bind ipv6/icmp/echo_ignore_all bridge/* netfilter/nf_log/* \
    netfilter/nf_log_all_netns netfilter/nf_conntrack_max ipv4/conf/*/{rp_filter,forwarding,route_localnet,accept_local,proxy_arp} \
    ipv4/conf/*/{log_martians,arp_ignore,arp_announce,arp_filter,send_redirects,accept_redirects} \
    ipv6/conf/*/{forwarding,disable_ipv6,accept_ra,accept_redirects}
saves=
rules=$(nft -s list ruleset 2>/dev/null)
[ -z "$rules" ] || { echo "@nft"; echo "$rules"; saves="iptables-save ip6tables-save"; }
[ ! -s /proc/net/ip_tables_names ] || saves="$saves iptables-legacy-save"
[ ! -s /proc/net/ip6_tables_names ] || saves="$saves ip6tables-legacy-save"
for save in $saves; do echo "@save $save"; $save 2>/dev/null; done
END
cat >/run/settle.pl <<'END'
my ($netns, $what, $table, $chain, $port) = ("", "", "", "", "");
while (<STDIN>) {
    chomp;
    if (/^\@netns (.*)/) { $netns = $1; next }
    if (/^\@(.*)/) { $what = $1; $table = $chain = ""; next }
    if ($what eq "port" && /^\s/) { s/^\s+/$port /; }
    elsif ($what eq "link" || $what eq "port") {
        ($port) = /^\d+: ([^:@]+)/;
        s/^\d+: //; s/@[^:]*:/:/; s/,(LOWER_UP|NO-CARRIER)//g; s/(NO-CARRIER|LOWER_UP),//; s/ state [A-Za-z]+//g; s/ qdisc [a-z]+//;
        s/ \\ .*//;
    }
    elsif ($what eq "addr") { s/^\d+: //; s/ *valid_lft.*//; s/\\//; s/ (tentative|dadfailed)//g }
    elsif ($what eq "route") { next if / table local /; s/ expires \S+//; s/ pref medium//; s/ linkdown//; s/ dead//; }
    elsif ($what eq "neigh") { next if / NOARP/ }
    elsif ($what eq "fdb") { next unless /static|permanent/; next if /^(33:33|01:00)/ }
    elsif ($what eq "bridge") { $_ = join " ", /((?:stp_state|vlan_filtering|forward_delay|nf_call_\w+) \d+)/g }
    # These are the kernel's own.
    elsif ($what eq "qdisc") { next if / (noqueue|pfifo_fast) / }
    elsif ($what eq "nft") {
        s/^\s+|\s+$//g; next if $_ eq "" || $_ eq "}";
        if (/^table (.*) \{$/) { $table = $1; $chain = ""; next }
        if (/^(?:chain|set|map) (\S+) \{$/) { $chain = $1; next }
        next if /^type .* policy accept;$/ || /^type (?!.*policy)/;
        s/ counter(?= |$)//g;
    }
    elsif ($what =~ /^save/) {
        if (/^(\*.*)/) { $table = $1; next }
        next if /^#|^:\S+ (ACCEPT|-) |^COMMIT/;
        s/^(:.*) \[.*\]/$1/;
    }
    s/\s+$//;
    print "$netns $what: ", join(" ", grep { $_ ne "" } $table, $chain, $_), "\n" if $_ ne "";
}
END
snapshot() {
    local n
    for n in host $(ls /run/netns | grep -vx host); do within $n bash /run/read.sh $n; done 2>&1 |
        perl /run/settle.pl | LC_ALL=C sort
}

# Where a hop is: the inode of each netns.
inodes() { for n in $(ls /run/netns); do echo $n $(stat -Lc %i /run/netns/$n); done; echo host $(stat -Lc %i /proc/self/ns/net); }

# given: a table of nftables with a chain at each hook, for rows that put rules into it.
chains() {
    local n
    for n; do
        within $n nft -f - <<'END'
table inet q {
  chain p { type filter hook prerouting priority -5; }
  chain i { type filter hook input priority 5; }
  chain f { type filter hook forward priority 5; }
  chain o { type filter hook output priority 5; }
  chain s { type filter hook postrouting priority 5; }
}
END
    done
}
