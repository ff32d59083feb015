//! A real Docker whose networks, ports and settings are the host's too: neither it nor add-nic takes from the other.

use std::time::Duration;

use crate::docker::{docker, with_dockers_filters};
use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools::tool;
use support::world::{IMAGE, World};

const LONG: Duration = Duration::from_secs(240);

/// A Docker of its own, in a network of its own with a way out to 203.0.113.9, which knows no way back.
const SCENE: &str = r#"
    fail() { echo "failed: $*" >&2; exit 7; }
    until_ok() { for time in $(seq 300); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.1; done; fail "$@"; }
    is_gone() { ! ip link show "$1"; }
    ip link set lo up; mkdir -p /run/$name
    # Another host has other records.
    mkdir -m 755 -p /run/netns-toolbox; mount -t tmpfs -o mode=755 $name /run/netns-toolbox
    docker() { command docker --host unix:///run/$name/sock "$@"; }
    start() {
        dockerd --host unix:///run/$name/sock --data-root /run/$name/data --exec-root /run/$name/exec --pidfile /run/$name/pid \
            --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /$name --bip 198.18.99.1/24 >>/run/$name/log 2>&1 & daemon=$!
        until docker version >/dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
    }
    stop() { umount /run/docker.sock; kill $daemon; wait $daemon || :; rm -f /run/$name/pid; }
    begin() { start; mount --bind /run/$name/sock /run/docker.sock; }
    run() { docker run --detach "$@" >/dev/null; }
    reaches() { ip netns exec $name ping -c1 -W1 -q "$1" >/dev/null; }
    touch /run/docker.sock; begin
    trap 'docker ps -aq | while read -r id; do docker rm -f $id; done >/dev/null 2>&1; stop
          ip netns del $name; ip netns del $name-out; rm -rf /run/$name 2>/dev/null || :' EXIT
    tar -c -C /var/lib/netns-toolbox/rootfs . | docker import - $image >/dev/null
    ip netns add $name; ip netns add $name-out
    ip link add up0 up type veth peer name eth0 netns $name-out; ip address add 203.0.113.1/24 dev up0
    ip -n $name-out address add 203.0.113.9/24 dev eth0; ip -n $name-out link set eth0 up; ip -n $name-out link set lo up
    ip route add default via 203.0.113.9
"#;

fn beside(script: &str) -> Result<Ran, Missing> {
    program("curl", "curl")?;
    let world: World = docker().and_then(with_dockers_filters)?;
    let script = format!("name={} tool={} image={IMAGE}\n{SCENE}\n{script}", unique("side"), tool("add-nic"));
    Ok(world.engine("unshare").args(["--net", "--mount", "bash", "-ec", &script]).run_within(LONG))
}

#[test]
fn docker_publishes_a_port_that_a_removed_container_had() {
    let ran = need!(beside(
        r#"
        run --name old --network none $image sleep infinity
        "$tool" old 198.19.14.2/24 --gateway 198.19.14.1 --publish 18088:80 --host-name old0
        docker rm -f old >/dev/null; until_ok is_gone old0
        run --name web2 -p 18088:80 $image sh -c 'mkdir -p /www; echo web2 >/www/index.html; exec httpd -f -p 80 -h /www'
        served() { [ "$(curl -sS -m5 http://$1:18088/)" = web2 ] &&
            [ "$(ip netns exec $name-out curl -sS -m5 http://203.0.113.1:18088/)" = web2 ]; }
        until_ok served 203.0.113.1; until_ok served 127.0.0.1
        said=$("$tool" --check) && fail 'nothing said' || echo "$said"
        "$tool" --check; ! nft list table inet netns-toolbox 2>/dev/null || fail 'the table is left'
        ! iptables -S | grep netns-toolbox || fail 'a rule is left'
        served 203.0.113.1"#
    ));
    ran.ok()
        .stdout_has("old: eth0: no longer exists; removed what was left of it: ")
        .stdout_has("DOCKER-USER");
}

#[test]
fn docker_connects_a_container_whose_interfaces_have_names_of_their_own() {
    let ran = need!(beside(
        r#"
        docker network create nn >/dev/null; run --name hh $image sleep infinity
        "$tool" hh 198.19.15.2/24 2>&1
        ! docker network connect nn hh 2>/dev/null || echo 'this Docker takes another name'
        docker network disconnect -f nn hh 2>/dev/null || :
        "$tool" --rm hh; "$tool" hh 198.19.15.2/24 --name-prefix net
        docker network connect nn hh; "$tool" --check hh
        docker network disconnect nn hh; "$tool" --rm hh"#
    ));
    ran.ok()
        .stdout_has("hint: add-nic hh 198.19.15.2/24 --name-prefix net --replace\n")
        .stdout_has(": net0 198.19.15.2/24");
}

#[test]
fn an_internal_network_of_docker_stays_closed_to_a_container_with_nat() {
    let ran = need!(beside(
        r#"
        docker network create --internal shut >/dev/null; run --name secret --network shut $image sleep infinity
        secret=$(docker inspect -f '{{.NetworkSettings.Networks.shut.IPAddress}}' secret)
        run --name plain $image sleep infinity; plain=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' plain)
        "$tool" netns:$name 198.19.16.2/24 --gateway 198.19.16.1 --nat
        reaches 203.0.113.9 || fail 'no way out'
        ! reaches $secret || fail 'the internal network is open'
        ! reaches $plain || fail 'an unpublished container is open'
        "$tool" --rm netns:$name; "$tool" netns:$name 198.19.16.2/24 --gateway 198.19.16.1 --nat=all
        reaches $plain || fail 'all is not all'
        "$tool" --rm netns:$name"#
    ));
    ran.ok();
}

#[test]
fn forwarding_stays_on_for_a_docker_that_was_started_later_and_for_the_administrator() {
    let ran = need!(beside(
        r#"
        add() { "$tool" netns:$name 198.19.17.2/24 --gateway 198.19.17.1 --nat; }
        forwards() { cat /proc/sys/net/ipv4/ip_forward; }
        stop; nft flush ruleset; echo 0 >/proc/sys/net/ipv4/ip_forward
        add; begin
        run --name c2 $image sleep infinity
        docker exec c2 ping -c1 -W1 -q 203.0.113.9 >/dev/null
        "$tool" --rm netns:$name 2>&1
        [ $(forwards) = 1 ] || fail 'forwarding is off'
        docker exec c2 ping -c1 -W1 -q 203.0.113.9 >/dev/null
        docker rm -f c2 >/dev/null; stop; nft flush ruleset; echo 0 >/proc/sys/net/ipv4/ip_forward
        add; sleep 0.1; echo 1 >/proc/sys/net/ipv4/ip_forward; "$tool" --rm netns:$name 2>&1
        [ $(forwards) = 1 ] || fail "the administrator's setting is gone"
        begin"#
    ));
    ran.ok();
}

#[test]
fn a_network_of_docker_that_has_the_name_of_an_old_bridge_inherits_nothing() {
    let ran = need!(beside(
        r#"
        bridge=br-${name##*-}; bridge=${bridge:0:15}
        network() { docker network create -o com.docker.network.bridge.name=$bridge --subnet 198.19.30.0/24 --gateway 198.19.30.1 "$@" >/dev/null; }
        ip netns exec $name-out ip route add 198.19.30.0/24 via 203.0.113.1
        network nx
        "$tool" netns:$name 198.19.30.9/24 --bridge $bridge --gateway 198.19.30.1 --nat=all --forward --publish 18090:80 --host-name own0
        reaches 203.0.113.9 || fail 'no way out'
        before=$(iptables -S DOCKER-USER); echo "$before" | grep -q -- "-i $bridge -o $bridge .*netns-toolbox:" || fail 'no rule'
        docker network rm nx >/dev/null; network --internal -o com.docker.network.bridge.enable_icc=false nx
        [ "$(iptables -S DOCKER-USER)" = "$before" ] || fail 'our rules are not there any more'
        run --name s1 --network nx $image sleep infinity; run --name s2 --network nx $image sleep infinity
        pid=$(docker inspect -f '{{.State.Pid}}' s1); nsenter -t $pid -n ip route replace default via 198.19.30.1
        other=$(docker inspect -f '{{.NetworkSettings.Networks.nx.IPAddress}}' s2)
        from_s1() { nsenter -t $pid -n ping -c1 -W1 -q "$1" >/dev/null; }
        # Rules that know the bridge by its name let them through.
        iptables -I DOCKER-USER -i $bridge -o $bridge -j ACCEPT; from_s1 $other || fail 'a rule with the name is no hole'
        iptables -D DOCKER-USER -i $bridge -o $bridge -j ACCEPT
        iptables -I DOCKER-USER -s 198.19.30.0/24 -i $bridge -j ACCEPT; iptables -I DOCKER-USER -d 198.19.30.0/24 -o $bridge -j ACCEPT
        from_s1 203.0.113.9 || fail 'a rule with the name and the network is no hole'
        iptables -D DOCKER-USER -s 198.19.30.0/24 -i $bridge -j ACCEPT; iptables -D DOCKER-USER -d 198.19.30.0/24 -o $bridge -j ACCEPT
        ! from_s1 $other || fail 'the old rule lets its ports through'
        ! from_s1 203.0.113.9 || fail 'the old rule lets it out'
        "$tool" --check && fail 'nothing is said' || :
        theirs=$(ip -o link show $bridge; docker network inspect nx)
        "$tool" --rm netns:$name
        [ "$(ip -o link show $bridge; docker network inspect nx)" = "$theirs" ] || fail 'their network is another one'
        ! iptables -S | grep netns-toolbox || fail 'a rule is left'
        docker rm -f s1 s2 >/dev/null; docker network rm nx >/dev/null"#
    ));
    ran.ok().stdout_has("its firewall rules are void: ").stdout_has("is not attached to a bridge");
}
