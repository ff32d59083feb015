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
