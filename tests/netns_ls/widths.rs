//! Tables on terminals of 80 and 40 columns. Observer: tmux(1), which knows what did not fit.

use support::container::{Container, Options};
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::terminal::show;
use support::tools;

use crate::Bridged;

/// A name as compose makes them: 34 letters.
fn long(at: usize) -> String {
    format!("my-compose-project-web-frontend-{at:02}")
}

#[test]
fn fourteen_containers_with_long_names_are_fifteen_lines_of_whole_words() {
    let lab = need!(Lab::new());
    let containers: Vec<Container> =
        (0..14).map(|at| lab.container(&long(at), Options::only(&["net"]))).collect();
    let _docker =
        fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path("/run/docker.sock"));
    for columns in [80, 40] {
        let screen =
            need!(show(|program| lab.command(program), columns, &format!("{} --list", tools::tool("cpid"))));
        assert_eq!(screen.lines.len(), 15, "at {columns}: {screen:#?}");
        for (at, container) in containers.iter().enumerate() {
            let words: Vec<&str> = screen.lines[at + 1].split_whitespace().collect();
            assert_eq!(words[0], long(at), "at {columns}");
            assert!(words.contains(&container.pid.to_string().as_str()), "at {columns}: {words:?}");
        }
        assert!(screen.wrapped.is_empty(), "at {columns}: {:?}", screen.wrapped);
    }
}

#[test]
fn a_view_omits_columns_and_breaks_no_word() {
    let names = [long(1), long(2)];
    let bridged = need!(Bridged::new(&[]));
    let containers: Vec<Container> =
        names.iter().map(|name| bridged.lab.container(name, Options::only(&["net"]))).collect();
    for (at, container) in containers.iter().enumerate() {
        let pid = container.pid;
        bridged
            .lab
            .shell(&format!("ip link add veth{at} type veth peer name eth0 netns {pid}; ip link set veth{at} master br0 up"))
            .run()
            .ok();
        container.ip(&format!("address add 198.18.0.{}/24 dev eth0", at + 2));
        container.ip("link set eth0 up");
    }
    let _docker = fake_docker::knows(&containers.iter().collect::<Vec<_>>())
        .listen(bridged.lab.path("/run/docker.sock"));
    let tool = tools::tool("netns-ls");
    for columns in [80, 40] {
        let path = format!("--path {} {}", names[0], names[1]);
        let views = [
            "",
            "--all",
            "--bridges",
            "--namespaces",
            &names[0],
            "198.18.0.2",
            "--tree",
            "--routes",
            "--rules",
            &path,
        ];
        for options in views {
            let line = format!("{tool} -q {options}");
            let screen = need!(show(|program| bridged.lab.command(program), columns, &line));
            // tmux breaks a line that runs over where the terminal ends; joined, each row is one line again.
            let joined = screen.lines.concat();
            assert!(joined.contains(&names[0]), "{options:?} at {columns}: {screen:#?}");
            let width = screen.wrapped.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            // The name of a container in a sentence, and the last column, run over.
            let runs_over = columns == 40 || ["--namespaces", &names[0], "--tree"].contains(&options);
            assert!(runs_over || width == 0, "{options:?} at {columns}: {screen:#?}");
        }
    }
}

/// A view with a table: its words, its columns, and those that a narrow terminal omits, in their order.
const TABLES: [(&str, &str, &str); 12] = [
    (
        "",
        "WHO INTERFACE ADDRESS PLUGGED-INTO BRIDGE STATE MTU MAC KIND",
        "KIND MAC MTU STATE BRIDGE PLUGGED-INTO",
    ),
    (
        "--all",
        "WHO INTERFACE ADDRESS PLUGGED-INTO BRIDGE STATE MTU MAC KIND",
        "KIND MAC MTU STATE BRIDGE PLUGGED-INTO",
    ),
    ("--bridges", "BRIDGE PORT STATE WHO INTERFACE ADDRESS STP IN", "STP IN STATE ADDRESS INTERFACE"),
    ("--namespaces", "KIND INODE PROCESSES PID COMMAND OWNER WHO", "OWNER COMMAND PROCESSES PID"),
    ("--path FIRST SECOND", "WHO INTERFACE ADDRESS NEXT", "ADDRESS"),
    ("--ports", "WHO PORT TO BY STATE", "BY TO"),
    (
        "--routes",
        "WHO DESTINATION GATEWAY INTERFACE SOURCE METRIC TABLE MADE-BY",
        "MADE-BY TABLE METRIC SOURCE",
    ),
    ("--rules", "WHO PRIORITY FAMILY RULE", ""),
    ("--neigh", "WHO INTERFACE NEIGHBOUR MAC STATE HAS-IT", "HAS-IT STATE INTERFACE"),
    ("--fdb", "WHO BRIDGE MAC PORT VLAN LEARNED HAS-IT", "VLAN LEARNED HAS-IT"),
    ("--sockets", "WHO PROTO STATE LOCAL PEER RECV-Q SEND-Q PROCESS", "SEND-Q RECV-Q STATE PEER PROTO"),
    ("--programs", "WHO INTERFACE ATTACHED-TO ID NAME", "ID"),
];

#[test]
fn each_view_omits_its_columns_in_a_fixed_order_and_runs_over_only_when_none_is_left_to_omit() {
    let names = [long(3), long(4)];
    let bridged = need!(Bridged::new(&[]));
    let containers: Vec<Container> =
        names.iter().map(|name| bridged.lab.container(name, Options::only(&["net"]))).collect();
    let mut servers = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        let script = format!(
            "ip link add a-host-end-{at} type veth peer name eth0 netns $0; ip link set a-host-end-{at} master br0 up
             nsenter -t $0 -n sh -ec '
                ip link add bridge-inside type bridge; ip link add dummy-of-inside type veth peer name dummy-of-inner
                ip link set dummy-of-inside master bridge-inside; ip link set dummy-of-inside up; ip link set dummy-of-inner up
                ip link set eth0 mtu 1400 up; ip address add 198.18.0.{0}/24 dev eth0; ip address add 2001:db8:1234:5678:9abc:def0:1234:56{0}/64 dev eth0
                ip neighbour add 2001:db8:1234:5678:9abc:def0:1234:5699 lladdr 02:00:00:00:00:99 dev eth0 nud permanent
                tc qdisc add dev eth0 clsact'",
            at + 2
        );
        bridged.lab.shell(&script).arg(container.pid.to_string()).run().ok();
        let listen = "exec nsenter -t $0 -n perl -MIO::Socket::IP -e '$s = IO::Socket::IP->new(Listen => 1, LocalHost => \"198.18.0.$ARGV[0]\", LocalPort => 65530) or die; $| = 1; print \"ready\\n\"; sleep 1000' $1";
        let server =
            bridged.lab.shell(listen).args([container.pid.to_string(), (at + 2).to_string()]).start();
        server.wait_for("ready");
        servers.push(server);
    }
    let _docker = fake_docker::knows(&containers.iter().collect::<Vec<_>>())
        .listen(bridged.lab.path("/run/docker.sock"));
    let tool = tools::tool("netns-ls");
    for (words, columns, spared) in TABLES {
        let words = words.replace("FIRST", &names[0]).replace("SECOND", &names[1]);
        let (all, spared): (Vec<&str>, Vec<&str>) =
            (columns.split_whitespace().collect(), spared.split_whitespace().collect());
        for width in [400, 120, 80, 40] {
            let line = format!("{tool} {words} 2>/dev/null");
            let screen = need!(show(|program| bridged.lab.command(program), width, &line));
            // tmux has the lines that are too long joined again.
            let first = screen.wrapped.iter().find(|line| line.starts_with(all[0])).or(screen.lines.first());
            let header: Vec<&str> = first.map(|line| line.split_whitespace().collect()).unwrap_or_default();
            let omitted = all.len() - header.len();
            let expected: Vec<&str> = all
                .iter()
                .filter(|column| !spared[..omitted.min(spared.len())].contains(*column))
                .copied()
                .collect();
            assert_eq!(header, expected, "{words:?} at {width}: {screen:#?}");
            assert!(
                screen.wrapped.is_empty() || omitted == spared.len(),
                "{words:?} at {width} runs over: {screen:#?}"
            );
            assert!(width < 400 || omitted == 0, "{words:?} at {width}: {screen:#?}");
            assert!(screen.lines.len() > 1, "{words:?} at {width}: {screen:#?}");
        }
    }
    // Sentences go on in the next line; a command is in one piece.
    let ran = bridged.lab.tool("netns-ls").args([tools::PATIENT, "-q", "--why"]).run();
    ran.stdout_has("[mtu-unequal]\n  fix: ");
    for width in [80, 40] {
        let line = format!("{tool} {} -q --why", tools::PATIENT);
        let screen = need!(show(|program| bridged.lab.command(program), width, &line));
        // A word alone that is longer than the terminal.
        let may_run_over = |line: &String| line.starts_with("  fix: ") || !line.trim().contains(' ');
        assert!(screen.wrapped.iter().all(may_run_over), "at {width}: {screen:#?}");
        let is_sentence = |line: &&String| !line.starts_with("  fix: ");
        let shown = screen.lines.iter().filter(|line| line.contains("[mtu-unequal]")).count();
        assert_eq!(shown, 2, "at {width}: {screen:#?}");
        assert!(screen.lines.iter().filter(is_sentence).count() > 2, "at {width}: {screen:#?}");
    }
}
