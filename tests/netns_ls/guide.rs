//! The examples of the guide run, and print what is written there. Observer: the page. Those of the manual: tests/tour.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use support::container::{Container, Options};
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};
use support::tools;

use crate::settle;

/// A command as a page has it, and the lines that it prints there.
#[derive(Debug)]
struct PageExample {
    command: String,
    output: Vec<String>,
}

/// The host of the examples: `docker0`, two containers of Docker at it, a namespace of `ip netns add`.
struct ExampleHost {
    lab: Lab,
    containers: Vec<Container>,
}

impl ExampleHost {
    fn new(names: [&str; 2]) -> Result<Self, Missing> {
        let lab = Lab::new()?;
        lab.shell(
            "ip link add docker0 address 02:42:5d:a1:0e:3c type bridge
             ip address add 172.17.0.1/16 dev docker0; ip link set docker0 up
             ip netns add blue",
        )
        .run()
        .ok();
        let containers: Vec<Container> =
            names.iter().map(|name| lab.container(name, Options::only(&["net"]))).collect();
        for (container, (veth, last)) in containers.iter().zip([("veth077b91e", 2), ("veth9c2b2f0", 3)]) {
            let script = format!(
                "ip link add {veth} type veth peer name eth0 address 02:42:ac:11:00:0{last} netns {}
                 ip link set {veth} master docker0 up",
                container.pid
            );
            lab.shell(&script).run().ok();
            container.ip(&format!("address add 172.17.0.{last}/16 dev eth0"));
            container.ip("link set eth0 up");
            container.ip("route add default via 172.17.0.1");
            settle(&lab, "docker0", veth, container);
        }
        containers[0].ip("neighbour add 172.17.0.3 lladdr 02:42:ac:11:00:03 dev eth0 nud permanent");
        Ok(ExampleHost { lab, containers })
    }

    /// Runs each, and compares what it prints, word by word; numbers of processes and namespaces, and IDs, are others each time.
    fn prove(&self, examples: &[PageExample]) {
        let known: Vec<&Container> = self.containers.iter().collect();
        let _docker = fake_docker::knows(&known).listen(self.lab.path("/run/docker.sock"));
        let directory = Path::new(tools::tool("netns-ls")).parent().unwrap().display();
        for PageExample { command, output } in examples {
            // Without a terminal all columns are shown; where a lab may not look is of no interest.
            let script = format!("PATH={directory}:$PATH; cd /run; {command}");
            let ran = self.lab.shell(&script).run();
            let mut shown: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
            // A namespace of the machine that a lab may not look into is the last.
            match shown.as_slice() {
                [.., last] if last.ends_with(" ?") => shown.truncate(shown.len() - 1),
                [.., _, last] if last.ends_with("could not be looked at") => shown.truncate(shown.len() - 2),
                _ => {}
            }
            let is_same = |(ours, page): (&&str, &String)| {
                let (ours, page) = (ours.split_whitespace(), page.split_whitespace());
                ours.clone().count() == page.clone().count()
                    && ours.zip(page).all(|(ours, page)| ours == page || (is_number(ours) && is_number(page)))
            };
            let same = shown.len() == output.len() && shown.iter().zip(output).all(is_same);
            assert!(same, "{command}: the page has {output:#?}: {ran}");
        }
    }
}

impl ExampleHost {
    /// Gives the first container the address of the example, on an interface that is there before.
    fn prove_watch(&self, PageExample { command, output }: &PageExample) {
        let known: Vec<&Container> = self.containers.iter().collect();
        let _docker = fake_docker::knows(&known).listen(self.lab.path("/run/docker.sock"));
        let first = known[0];
        let script = format!("ip link add v1 up type veth peer name eth1 netns {}", first.pid);
        self.lab.shell(&script).run().ok();
        first.ip("link set eth1 up");
        let is_settled = || first.ip("-o -6 address show dev eth1 -tentative").text().contains("fe80");
        support::until::until("duplicate address detection has ended", is_settled);
        let options: Vec<&str> = command.split_whitespace().skip(1).collect();
        let watch = self.lab.tool("netns-ls").args(options).start();
        watch.wait_for_stderr("watching ");
        first.ip("address add 10.1.0.2/24 dev eth1");
        watch.wait_for(&format!("{}\n", output.last().unwrap()));
        watch.signal_behind_nsenter(Signal::SIGINT);
        let ran = watch.finish().ok();
        assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), *output, "{ran}");
        self.lab.shell("ip link del v1").run().ok();
    }
}

/// A number, or an ID in brackets.
fn is_number(word: &str) -> bool {
    let word = word.trim_end_matches([',', ')']).trim_start_matches('(');
    word.bytes().all(|byte| byte.is_ascii_digit())
        || (word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The indented blocks of a page with commands of netns-ls.
fn of_page(page: &str) -> Vec<PageExample> {
    let mut examples: Vec<PageExample> = Vec::new();
    let mut is_ours = false;
    for line in page.lines() {
        match (line.strip_prefix("    # "), line.strip_prefix("    ")) {
            (Some(command), _) => {
                // Ports are proven with a real Docker: tests/ports/docker.rs.
                is_ours = command.starts_with("netns-ls") && !command.contains("--ports");
                if is_ours {
                    examples.push(PageExample { command: command.to_owned(), output: Vec::new() });
                }
            }
            (None, Some(output)) if is_ours => examples.last_mut().unwrap().output.push(output.to_owned()),
            (None, None) if is_ours && line.is_empty() => {
                examples.last_mut().unwrap().output.push(String::new());
            }
            (None, Some(_)) => {}
            (None, None) => is_ours = false,
        }
    }
    // A blank line after a block is not of it.
    for example in &mut examples {
        while example.output.last().is_some_and(String::is_empty) {
            example.output.pop();
        }
    }
    examples
}

#[test]
fn every_example_of_the_guide_prints_what_is_written_there() {
    let host = need!(ExampleHost::new(["nginx", "db"]));
    let has = |option: &'static str| move |example: &PageExample| example.command.contains(option);
    let (faults, examples): (Vec<_>, Vec<_>) =
        of_page(&read("docs/guide.md")).into_iter().partition(has("--why"));
    let (watches, examples): (Vec<_>, Vec<_>) = examples.into_iter().partition(has("--watch"));
    assert!(examples.len() >= 3, "{examples:#?}");
    host.prove(&examples);
    assert_eq!(watches.len(), 1, "{watches:#?}");
    host.prove_watch(&watches[0]);
    // What is wrong there.
    assert_eq!(faults.len(), 1, "{faults:#?}");
    host.lab.shell("ip link set veth077b91e mtu 1400").run().ok();
    host.containers[1].ip("route replace default via 172.17.0.99");
    host.prove(&faults);
}

#[test]
fn where_something_is_wrong_the_readme_names_netns_ls_first() {
    let page = read("README.md");
    let section = page.split("## Something is wrong\n").nth(1).expect("a section of what is wrong");
    let mut rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let first = rows.find(|line| !line.starts_with("|-")).unwrap();
    assert!(first.contains("`netns-ls --why`"), "{first}");
}
