//! What is shown on a wide terminal and on a narrow one. Observer: tmux(1), which knows what did not fit.

use support::lab::Lab;
use support::skip::need;
use support::terminal::show;
use support::tools;

use crate::arp::container_options;
use crate::cable;
use crate::matrix::Scene;

const WIDTHS: [usize; 2] = [80, 40];

#[test]
fn every_help_fits_a_narrow_terminal_and_says_the_same() {
    let start = |program: &str| tools::in_clean_environment(std::process::Command::new(program));
    for name in tools::names() {
        let [wide, narrow] =
            WIDTHS.map(|columns| show(start, columns, &format!("{} --help", tools::tool(name))));
        let (wide, narrow) = (need!(wide), need!(narrow));
        assert!(wide.wrapped.is_empty(), "{name}: {:#?}", wide.wrapped);
        // A usage is one line, as it is typed.
        let is_usage =
            |line: &&String| line.starts_with("Usage: ") || line.starts_with(&format!("       {name} "));
        let broken: Vec<_> =
            narrow.wrapped.iter().filter(|line| !is_usage(line) && !line.ends_with(':')).collect();
        assert!(broken.is_empty(), "{name}: {broken:#?}");
        let joined = |words: Vec<&str>| words.concat();
        assert_eq!(joined(narrow.words()), joined(wide.words()), "{name}");
    }
}

#[test]
fn what_is_printed_fits_a_terminal() {
    let cable = need!(cable());
    let web = cable.web.pid;
    for (words, columns) in [
        ("-c2 -i0.2 198.18.0.2", 80),
        ("-c2 -i0.2 fd00::2", 80),
        ("-c1 -W0.2 198.18.0.77", 80),
        ("-c1 -W0.2 -q 203.0.113.9 2>/dev/null", 80),
        ("--arp -c1 198.18.0.2", 80),
        ("--dad 198.18.0.2", 80),
        ("--announce -i0.01 198.18.0.1", 80),
        ("-c2 -i0.2 tcp:198.18.0.2:9 2>/dev/null", 80),
        ("-c2 -i0.2 udp:198.18.0.2:9 2>/dev/null", 80),
        ("-c1 -W0.2 udp:198.18.0.77:53 2>/dev/null", 80),
        ("-c1 tcp:198.18.0.2:9 2>/dev/null", 60),
        ("198.18.0.0/28", 80),
        ("198.18.0.0/28", 40),
        ("-q 198.18.0.0/28", 40),
    ] {
        let line = format!("{} pid:{web} {words}", tools::tool("netns-ping"));
        let screen = need!(show(|program| cable.lab.command(program), columns, &line));
        assert!(!screen.lines.is_empty(), "{words}");
        assert!(screen.wrapped.is_empty(), "{words} at {columns}: {:#?}", screen.wrapped);
    }
}

#[test]
fn a_matrix_fits_a_terminal_and_all_of_it_is_there() {
    let names: Vec<String> = (0..9).map(|number| format!("container-{number}")).collect();
    let scene = need!(Scene::new(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    for columns in [132, 80, 40] {
        let line = format!("{} --engine-timeout 30s --matrix", tools::tool("netns-ping"));
        let screen = need!(show(|program| scene.lab.command(program), columns, &line));
        let is_row = |line: &&String| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|word| word.starts_with("container") && word != "containers:")
        };
        let rows = screen.lines.iter().filter(is_row);
        assert_eq!(rows.count(), 9, "{columns}: {screen:#?}");
        // The summary is a sentence.
        let broken: Vec<_> =
            screen.wrapped.iter().filter(|line| !line.starts_with("9 containers: ")).collect();
        assert!(broken.is_empty(), "{columns}: {screen:#?}");
    }
}

/// A progress bar is on one line, whatever its length would be, and nothing of it is left.
#[test]
fn a_progress_bar_stays_on_its_line() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, container_options()));
    lab.veth((&web, "198.18.0.1/24"), (&db, "198.18.0.2/24"));
    for columns in WIDTHS {
        let line = format!("{} --rate 100 -c1 pid:{} 198.18.0.0/24", tools::tool("netns-ping"), web.pid);
        let screen = need!(show(|program| lab.command(program), columns, &line));
        let left: Vec<_> =
            screen.lines.iter().filter(|line| line.contains('[') || line.contains('%')).collect();
        assert!(left.is_empty(), "{columns}: {screen:#?}");
        assert!(
            screen.wrapped.iter().all(|line| line.starts_with(char::is_numeric)),
            "{columns}: {screen:#?}"
        );
        assert!(screen.lines[0].starts_with("ADDRESS "), "{columns}: {screen:#?}");
    }
}
