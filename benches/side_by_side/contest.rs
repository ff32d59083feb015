//! What is compared with what: add a row here when a tool arrives, and its floor to `SOURCES` in `floors.rs`.
//!
//! A command is a line of words; those in single quotes are one. Its first word is found among our binaries, on
//! `PATH`, or in `benches/floors/` by the part it plays; what is in capitals, a word or a part of one, is filled in from the
//! fixture:
//!
//! | word | becomes |
//! |---|---|
//! | `NAME` | the name of a running container; those of the crowd are called `NAME-1` and so on |
//! | `PID` | a process in the fixture's network namespace: the container's first, or a stand-in's |
//! | `LINK` | a name under `/run/netns` for that namespace |
//! | `SOCKET` | the path of the engine's socket |
//! | `WORKSHOP` | the directory of the floors, and of programs that a row looks at |
//! | `TRUE` | a program that does nothing; when answers are compared, one that says in which network it runs |

use serde::Serialize;

/// How many containers run where a row asks for a crowd.
pub(crate) const CROWD: usize = 200;

/// One piece of work, and everyone who does it.
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) work: &'static str,
    pub(crate) ours: &'static str,
    /// What people use for it today.
    pub(crate) peers: &'static [&'static str],
    /// A C program that does only what cannot be avoided, where there is one.
    pub(crate) floor: Option<&'static str>,
    pub(crate) targets: &'static [Target],
    /// Whether it is measured among `CROWD` containers. These rows stand last: the crowd stays.
    pub(crate) in_crowd: bool,
    /// Slow work is done fewer times: the runs asked for, divided by this.
    pub(crate) every: u32,
    /// Lines of shell, not timed: `before` the row, `after` it, and before each run.
    pub(crate) before: &'static str,
    pub(crate) reset: &'static str,
    pub(crate) after: &'static str,
    /// A line of shell that reads what a contestant printed and says what it achieved, for all the same.
    pub(crate) proof: &'static str,
}

/// What our median must not exceed.
pub(crate) struct Target {
    pub(crate) at_most: f64,
    pub(crate) of: Of,
}

/// What a target is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    /// Medians of the contestant whose program this is.
    Contestant(&'static str),
    /// Our medians in a row before this one.
    Row(&'static str),
    /// Milliseconds more than our medians in a row before this one.
    Added(&'static str),
    Milliseconds,
}

const fn times(at_most: f64, program: &'static str) -> Target {
    Target { at_most, of: Of::Contestant(program) }
}

const PLAIN: Row = Row {
    name: "",
    work: "",
    ours: "",
    peers: &[],
    floor: None,
    targets: &[],
    in_crowd: false,
    every: 1,
    before: "",
    reset: "",
    after: "",
    proof: "cat",
};

/// Removes the links of a run, whoever made them: bound ones and symbolic ones.
const UNLINK: &str = "umount /run/netns/NAME* 2>/dev/null; rm -f /run/netns/NAME*";

/// Takes the NIC out again, whoever plugged it in.
const UNPLUG: &str = "\"$NETNS_TOOLBOX_BIN/add-nic\" --rm NAME >/dev/null; \
                      ip link del hand0 2>/dev/null; ip link del br-bench 2>/dev/null; rm -f /run/netns/NAME";

/// A cable from the fixture's network to one of its own, whose end is 198.18.250.2.
const CABLE: &str = "ip netns add LINK-peer; \
                     ip link add ping0 netns LINK type veth peer name ping0 netns LINK-peer; \
                     ip -n LINK addr add 198.18.250.1/24 dev ping0; ip -n LINK link set ping0 up; \
                     ip -n LINK-peer addr add 198.18.250.2/24 dev ping0; ip -n LINK-peer link set ping0 up; \
                     until ip netns exec LINK ping -qc1 -W1 198.18.250.2 >/dev/null; do :; done";
const NO_CABLE: &str = "ip netns del LINK-peer";

/// A bridge's worth of neighbours on a cable: of 198.18.251.0/24 the fixture's network has .1, and its neighbour .10 to .29.
const NEIGHBOURS: &str = "ip netns add LINK-peer; \
                          ip link add arp0 netns LINK type veth peer name arp0 netns LINK-peer; \
                          ip -n LINK addr add 198.18.251.1/24 dev arp0; ip -n LINK link set arp0 up; \
                          for n in $(seq 10 29); do ip -n LINK-peer addr add 198.18.251.$n/24 dev arp0; done; \
                          ip -n LINK-peer link set arp0 up; \
                          until ip netns exec LINK ping -qc1 -W1 198.18.251.10 >/dev/null; do :; done";
/// The same of 198.19.0.0/16, with a thousand neighbours in four of its corners.
const MANY_NEIGHBOURS: &str = "ip netns add LINK-peer; \
                               ip link add arp0 netns LINK type veth peer name arp0 netns LINK-peer; \
                               ip -n LINK addr add 198.19.0.1/16 dev arp0; ip -n LINK link set arp0 up; \
                               for a in 0 77 160 255; do seq -f \"addr add 198.19.$a.%g/16 dev arp0\" 2 251; done | \
                               ip -n LINK-peer -batch -; ip -n LINK-peer link set arp0 up; \
                               until ip netns exec LINK ping -qc1 -W1 198.19.0.2 >/dev/null; do :; done";
/// Of whatever a scanner prints, the neighbours that it found.
const FOUND: &str = "grep -Eo '\\b198\\.1[89]\\.[0-9]+\\.[0-9]+\\b' | grep -vE '\\.0\\.0$|\\.251\\.[01]$|\\.0\\.1$' | sort -u | wc -l";

/// A thousand namespaces on one bridge, each by a cable whose host end is `mapN`.
const MANY_NETNS: &str = "ip link add br-map up type bridge; \
                          for n in $(seq 1000); do echo netns add map-$n; done | ip -batch -; \
                          for n in $(seq 1000); do echo link add map$n master br-map up type veth peer name eth0 netns map-$n; \
                          done | ip -batch -; \
                          for n in $(seq 1000); do echo addr add 198.19.$((n / 250)).$((n % 250 + 1))/16 dev eth0; \
                          done | while read -r line; do n=$((${n:-0} + 1)); ip -n map-$n $line; done";
const NO_NETNS: &str =
    "for n in $(seq 1000); do echo netns del map-$n; done | ip -batch -; ip link del br-map";

/// A thousand namespaces, in each of which `waiters` waits on a port of TCP and one of UDP.
const MANY_PORTS: &str = "WORKSHOP/waiters 1000 >/run/netns/.waiting 2>&1 & echo $! >/run/netns/.waiters; \
                          until grep -qs . /run/netns/.waiting; do sleep 0.1; done; cat /run/netns/.waiting; \
                          grep -q ready /run/netns/.waiting";
const NO_PORTS: &str = "kill $(cat /run/netns/.waiters); rm -f /run/netns/.wait*; \
                        for n in $(seq 1000); do echo netns del ports-$n; done | ip -batch -";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "cpid",
        work: "a container's name becomes its PID",
        ours: "cpid NAME",
        peers: &["docker inspect -f {{.State.Pid}} NAME"],
        floor: Some("inspect SOCKET NAME"),
        targets: &[times(1.0 / 6.0, "docker"), times(1.7, "inspect")],
        ..PLAIN
    },
    Row {
        name: "nsenter-rs",
        work: "a program runs in another network namespace",
        ours: "nsenter-rs -t PID -n TRUE",
        peers: &["nsenter -t PID -n TRUE", "ip netns exec LINK TRUE"],
        floor: Some("enter_net PID TRUE"),
        targets: &[times(0.8, "nsenter"), times(1.15, "enter_net")],
        ..PLAIN
    },
    Row {
        name: "enter-all",
        work: "a program of the container runs in all of its namespaces",
        ours: "nsenter-rs -t PID -a /bin/hostname",
        peers: &["nsenter -t PID -a /bin/hostname"],
        targets: &[times(1.0, "nsenter"), Target { at_most: 1.0, of: Of::Added("nsenter-rs") }],
        ..PLAIN
    },
    Row {
        name: "host-tools",
        work: "a program of the host runs in all of a container's namespaces",
        ours: "nsenter-rs -t PID -a -H /bin/hostname",
        targets: &[Target { at_most: 5.0, of: Of::Added("enter-all") }],
        ..PLAIN
    },
    Row {
        name: "netns-link",
        work: "a container's network gets a name that ip knows",
        ours: "netns-link NAME",
        peers: &["sh -c 'pid=$(docker inspect -f {{.State.Pid}} NAME); mkdir -p /run/netns; \
                  ln -sfT /proc/$pid/ns/net /run/netns/NAME'"],
        floor: Some("inspect SOCKET NAME /run/netns/NAME"),
        targets: &[times(0.25, "sh")],
        reset: UNLINK,
        after: UNLINK,
        proof: "stat -Lc %i /run/netns/NAME",
        ..PLAIN
    },
    Row {
        name: "add-nic",
        work: "a container gets a NIC, the host the other end, and both reach each other",
        ours: "add-nic NAME 10.1.0.2/24 --name eth1",
        // By hand, and the steps that pipework takes: it asks docker three times, and wants a bridge.
        peers: &[
            "sh -c 'pid=$(docker inspect -f {{.State.Pid}} NAME); mkdir -p /run/netns; \
                 ln -sfT /proc/$pid/ns/net /run/netns/NAME; \
                 ip link add hand0 type veth peer name hand1; ip link set hand1 netns NAME; \
                 ip -n NAME link set hand1 name eth1; ip addr add 10.1.0.1/24 dev hand0; \
                 ip -n NAME addr add 10.1.0.2/24 dev eth1; ip link set hand0 up; ip -n NAME link set eth1 up'",
            "bash -c 'for ask in .State.Running .Config.Image .State.Pid; do \
                 pid=$(docker inspect -f {{$ask}} NAME); done; mkdir -p /run/netns; \
                 ln -sfT /proc/$pid/ns/net /run/netns/NAME; ip link add dev br-bench type bridge; \
                 ip link set br-bench up; ip addr add 10.1.0.1/24 dev br-bench; ip link show hand0 2>/dev/null; \
                 ip link add name hand0 mtu 1500 type veth peer name hand1 mtu 1500; \
                 ip link set hand0 master br-bench; ip link set hand0 up; ip link set hand1 netns NAME; \
                 ip netns exec NAME ip link set hand1 name eth1; ip netns exec NAME ip -4 addr add 10.1.0.2/24 dev eth1; \
                 ip netns exec NAME ip -4 link set eth1 up; ip netns exec NAME ip route get 10.1.0.1 >/dev/null; \
                 rm -f /run/netns/NAME'",
        ],
        targets: &[
            times(1.0 / 6.0, "sh"),
            times(1.0 / 12.0, "bash"),
            Target { at_most: 8.0, of: Of::Milliseconds },
        ],
        every: 5,
        reset: UNPLUG,
        after: UNPLUG,
        proof: "cat >/dev/null; ping -nqc1 -W1 10.1.0.2 >/dev/null && nsenter -t PID -n ip -o -4 addr show eth1 | cut -d' ' -f7",
        ..PLAIN
    },
    Row {
        name: "ping-start",
        work: "a container, by its name, has the answer to one ping",
        ours: "netns-ping NAME 198.18.250.2 -q -c1",
        peers: &["sh -c 'nsenter -t $(docker inspect -f {{.State.Pid}} NAME) -n ping -q -c1 198.18.250.2'"],
        targets: &[times(0.5, "sh")],
        before: CABLE,
        after: NO_CABLE,
        proof: "grep -o '1 packets transmitted, 1 received'",
        ..PLAIN
    },
    Row {
        name: "sweep",
        work: "who is there, of a /24 with 20 neighbours",
        ours: "netns-ping PID 198.18.251.0/24",
        peers: &[
            "sh -c 'nsenter -t PID -n arp-scan -q -x -I arp0 198.18.251.0/24'",
            "nsenter -t PID -n arp-scan -q -x -r1 -t50 -i50u -I arp0 198.18.251.0/24",
            "bash -c 'nsenter -t PID -n nmap -sn -PR -n -oG - 198.18.251.2-254 | grep Up'",
        ],
        targets: &[times(0.05, "sh"), Target { at_most: 80.0, of: Of::Milliseconds }],
        every: 10,
        before: NEIGHBOURS,
        after: NO_CABLE,
        proof: FOUND,
        ..PLAIN
    },
    Row {
        name: "sweep-500",
        work: "the same at 500 packets a second",
        ours: "netns-ping --rate 500 PID 198.18.251.0/24",
        targets: &[Target { at_most: 1100.0, of: Of::Milliseconds }],
        every: 20,
        before: NEIGHBOURS,
        after: NO_CABLE,
        proof: FOUND,
        ..PLAIN
    },
    Row {
        name: "sweep-16",
        work: "who is there, of a /16 with 1,000 neighbours",
        ours: "netns-ping --rate 30000 PID 198.19.0.0/16",
        targets: &[Target { at_most: 5000.0, of: Of::Milliseconds }],
        every: 100,
        before: MANY_NEIGHBOURS,
        after: NO_CABLE,
        proof: FOUND,
        ..PLAIN
    },
    Row {
        name: "map",
        work: "which of the host's interfaces leads into which of 1,000 network namespaces",
        ours: "netns-ls",
        // It does not say which leads where, but reads as much.
        peers: &["sh -c 'lsns -t net >/dev/null; ip -d -o link; \
                  for link in $(ip netns list | cut -d\" \" -f1); do ip -n $link -d -o addr; done'"],
        floor: Some("map"),
        targets: &[times(2.0, "map"), times(1.0 / 20.0, "sh")],
        every: 20,
        before: MANY_NETNS,
        after: NO_NETNS,
        proof: "grep -oE '\\bmap[0-9]+\\b' | sort -u | wc -l",
        ..PLAIN
    },
    Row {
        name: "ports",
        work: "who waits on which port, in 1,000 network namespaces with 2,000 sockets",
        ours: "netns-ls --ports",
        // It does not say what is forwarded.
        peers: &[
            "sh -c 'for link in $(ip netns list | cut -d\" \" -f1); do ip netns exec $link ss -Hlntup; done'",
        ],
        floor: Some("ports"),
        targets: &[times(1.3, "ports"), times(1.0 / 20.0, "sh")],
        every: 20,
        before: MANY_PORTS,
        after: NO_PORTS,
        // Ports of nobody else's on this machine.
        proof: "grep -oE '0\\.0\\.0\\.0:(64780|64753)\\b' | wc -l",
        ..PLAIN
    },
    Row {
        name: "cpid-crowd",
        work: "a container's name becomes its PID, one of 200",
        ours: "cpid NAME",
        peers: &["docker inspect -f {{.State.Pid}} NAME"],
        floor: Some("inspect SOCKET NAME"),
        targets: &[times(1.7, "inspect"), Target { at_most: 1.15, of: Of::Row("cpid") }],
        in_crowd: true,
        ..PLAIN
    },
    Row {
        name: "cpid-disk",
        work: "a container's name becomes its PID, one of 200, and no daemon answers",
        ours: "cpid NAME",
        peers: &["sh -c 'sed -E \"s/.*\\\"Pid\\\":([0-9]+).*/\\1/\" \
                  $(grep -l \"\\\"Name\\\":\\\"/NAME\\\"\" /var/lib/docker/containers/*/config.v2.json)'"],
        targets: &[Target { at_most: 5.0, of: Of::Milliseconds }],
        in_crowd: true,
        // A socket that nobody listens on, as a killed daemon leaves it.
        before: "mount --bind /dev/null SOCKET",
        after: "umount SOCKET",
        ..PLAIN
    },
    Row {
        name: "list",
        work: "a list of 200 containers",
        ours: "cpid --list",
        peers: &["sh -c 'docker ps -q | xargs docker inspect'"],
        targets: &[times(1.0 / 3.0, "sh")],
        in_crowd: true,
        every: 4,
        proof: "grep -o 'NAME[-0-9]*' | sort -u",
        ..PLAIN
    },
    Row {
        name: "tab",
        work: "the names that a shell offers at TAB, of 200 containers",
        ours: "cpid --complete targets",
        peers: &["docker ps --format {{.Names}}"],
        targets: &[Target { at_most: 30.0, of: Of::Milliseconds }, times(1.0, "docker")],
        in_crowd: true,
        every: 4,
        proof: "grep -o '^NAME[-0-9]*' | sort -u",
        ..PLAIN
    },
    Row {
        name: "link-all",
        work: "the networks of 200 containers get names that ip knows",
        ours: "netns-link --all",
        peers: &["sh -c 'mkdir -p /run/netns; for id in $(docker ps -q); do \
                  set -- $(docker inspect -f \"{{.State.Pid}} {{.Name}}\" $id); \
                  ln -sfT /proc/$1/ns/net /run/netns/${2#/}; done'"],
        targets: &[Target { at_most: 150.0, of: Of::Milliseconds }],
        in_crowd: true,
        every: 20,
        reset: UNLINK,
        after: UNLINK,
        proof: "stat -Lc '%n %i' /run/netns/NAME*",
        ..PLAIN
    },
    Row {
        name: "ip",
        work: "an address becomes the PID of the one of 200 containers that has it",
        ours: "cpid ip:198.18.200.100",
        // In the middle of the crowd, where the search ends on average.
        peers: &["sh -c 'for link in $(ip netns list | cut -d\" \" -f1); do \
                  if ip -n $link -j addr | grep -qF \"\\\"198.18.200.100\\\"\"; then \
                  ip netns pids $link | head -n 1; break; fi; done'"],
        targets: &[times(0.25, "sh")],
        in_crowd: true,
        every: 10,
        before: "for n in $(seq 199); do \
                 ip netns attach NAME-$n $(docker inspect -f '{{.State.Pid}}' NAME-$n); \
                 ip -n NAME-$n addr add 198.18.200.$n/32 dev lo; done",
        after: UNLINK,
        ..PLAIN
    },
    Row {
        name: "add-nics",
        work: "100 of 200 containers get a NIC each",
        ours: "add-nic --watch /run/netns/.nics.toml --once",
        // By hand, as above, without waiting for anybody's end.
        peers: &["sh -c 'mkdir -p /run/netns; for n in $(seq 100); do \
                  pid=$(docker inspect -f {{.State.Pid}} NAME-$n); ln -sfT /proc/$pid/ns/net /run/netns/NAME-$n; \
                  ip link add hand$n type veth peer name gift$n; ip link set gift$n netns NAME-$n; \
                  ip -n NAME-$n link set gift$n name eth1; ip addr add 10.1.$n.1/24 dev hand$n; \
                  ip -n NAME-$n addr add 10.1.$n.2/24 dev eth1; ip link set hand$n up; \
                  ip -n NAME-$n link set eth1 up; done'"],
        targets: &[Target { at_most: 400.0, of: Of::Milliseconds }, times(1.0 / 6.0, "sh")],
        in_crowd: true,
        every: 20,
        before: "for n in $(seq 100); do printf '[[nic]]\ncontainer = \"docker:NAME-%s\"\n\
                 addresses = \"10.1.%s.2/24\"\nname = \"eth1\"\n' $n $n; done >/run/netns/.nics.toml",
        // Emptied, the file takes out what it has plugged in.
        reset: "cp /run/netns/.nics.toml /run/netns/.nics; : >/run/netns/.nics.toml; \
                \"$NETNS_TOOLBOX_BIN/add-nic\" --watch /run/netns/.nics.toml --once >/dev/null; \
                mv /run/netns/.nics /run/netns/.nics.toml; \
                for n in $(seq 100); do ip link del hand$n 2>/dev/null; rm -f /run/netns/NAME-$n; done; true",
        after: "rm -f /run/netns/.n*",
        proof: "cat >/dev/null; for n in 1 50 100; do ping -nqc1 -W1 10.1.$n.2 >/dev/null && echo $n; done",
        ..PLAIN
    },
    Row {
        name: "matrix",
        work: "each of 50 of 200 containers reaches the other 49; the loop asks for ten of them",
        ours: "netns-ping -q --matrix NAME-[1-5][0-9]",
        // All would fill the host's table of neighbours, and hundreds of its pings be lost.
        peers: &["bash -c 'for n in $(seq 10 59); do for m in $(seq 10 19); do [ $n = $m ] || \
                  nsenter -t $(sed -n ${n}p /run/netns/.pids) -n ping -qc1 -W1 198.18.252.$m; done; done; true'"],
        targets: &[Target { at_most: 1000.0, of: Of::Milliseconds }],
        in_crowd: true,
        every: 100,
        // The bridge has a network of its own: Docker's FORWARD chain drops what goes over one that it does not know.
        before: "ip netns add LINK-bridge; ip -n LINK-bridge link add br0 up type bridge; \
                 for n in $(seq 199); do docker inspect -f '{{.State.Pid}}' NAME-$n; done >/run/netns/.pids; \
                 for n in $(seq 10 59); do pid=$(sed -n ${n}p /run/netns/.pids); \
                 ip -n LINK-bridge link add mx$n master br0 up type veth peer name mx0 netns $pid; \
                 nsenter -t $pid -n ip addr add 198.18.252.$n/24 dev mx0; nsenter -t $pid -n ip link set mx0 up; done; \
                 sleep 2",
        after: "ip netns del LINK-bridge; rm -f /run/netns/.pids",
        proof: "grep -oE '2450 of 2450|1 received' | sed 's/ of.*//; s/1 received/1/' | \
                awk '{ n += $1 } END { print (n == 2450 || n == 490 ? \"all\" : n) }'",
        ..PLAIN
    },
];

/// The part a contestant plays, and so where its program is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Ours,
    Peer,
    Floor,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Ours => "ours",
            Part::Peer => "peer",
            Part::Floor => "floor",
        }
    }
}

impl Row {
    /// Everyone, in the order of the report.
    pub(crate) fn contestants(&self) -> impl Iterator<Item = (Part, &'static str)> {
        [(Part::Ours, self.ours)]
            .into_iter()
            .chain(self.peers.iter().map(|peer| (Part::Peer, *peer)))
            .chain(self.floor.map(|floor| (Part::Floor, floor)))
    }

    pub(crate) fn needs_container(&self) -> bool {
        self.in_crowd || self.contestants().any(|(_, command)| command.contains("NAME"))
    }
}

/// The words of a command; what is in single quotes is one, as in a shell.
pub(crate) fn words(command: &str) -> Vec<&str> {
    let quoted = |(place, part)| (place % 2 == 1, part);
    let split = |(is_quoted, part): (bool, _)| match is_quoted {
        true => vec![part],
        false => str::split_whitespace(part).collect(),
    };
    command.split('\'').enumerate().map(quoted).flat_map(split).collect()
}
