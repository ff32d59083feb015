//! The pictures of netns-ls, end to end: the page and the SVG in a browser, the graph in graphviz.
//!
//! Observers: headless Chromium, which draws them, and `dot`; both are in the world.

#![cfg(test)]

mod browser;
mod graph;
mod hostile;
mod large;
mod page;
mod scripts;

use std::fs;
use std::path::PathBuf;

use browser::Browser;
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::Missing;
use support::world::World;

/// A host with two bridges: `web` at both, where something listens on port 8080, `db` at the second with its interface down, `lone` at none, and `mac` with a macvlan on
/// an interface of the host. A fake Docker knows them.
pub struct Drawn {
    /// The host.
    pub lab: Lab,
    _docker: FakeEngine,
    _containers: Vec<Container>,
    _listener: RunningProgram,
}

impl Drawn {
    /// Makes it.
    pub fn new() -> Result<Self, Missing> {
        let lab = Lab::new()?;
        lab.user_namespace()?;
        let containers: Vec<Container> = ["web", "db", "lone", "mac"]
            .iter()
            .map(|name| lab.container(name, Options::only(&["net"])))
            .collect();
        let [web, db, _, mac] = [0, 1, 2, 3].map(|at: usize| containers[at].pid);
        lab.shell(&format!(
            "ip link add br0 type bridge; ip address add 198.18.0.1/24 dev br0; ip link set br0 up
            ip link add br1 type bridge; ip address add 198.18.1.1/24 dev br1; ip link set br1 up
            ip link add vweb0 type veth peer name eth0 netns {web}; ip link set vweb0 master br0 up
            ip link add vweb1 type veth peer name eth1 netns {web}; ip link set vweb1 master br1 up
            ip link add vdb type veth peer name eth0 netns {db}; ip link set vdb master br1 up
            ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
            ip link add mac0 link up0 netns {mac} type macvlan mode bridge"
        ))
        .run()
        .ok();
        containers[0].ip("address add 198.18.0.2/24 dev eth0");
        containers[0].ip("link set eth0 up");
        containers[0].ip("address add 198.18.1.2/24 dev eth1");
        containers[0].ip("link set eth1 up");
        containers[0].ip("route add default via 198.18.0.1");
        containers[1].ip("address add 198.18.1.3/24 dev eth0");
        // The kernel tells a moment later that a bridge has a carrier.
        support::until::until("both bridges are up", || {
            let links = lab.command("ip").args(["-br", "link", "show", "type", "bridge"]).run().stdout;
            links.lines().filter(|line| line.split_whitespace().nth(1) == Some("UP")).count() == 2
        });
        let listen = r#"$| = 1; $s = IO::Socket::INET->new(Listen => 5, LocalPort => 8080) or die; print "ready\n"; sleep 1000"#;
        let mut listener = lab.command("nsenter");
        listener.args(["-t", &web.to_string(), "-n", "perl", "-MIO::Socket::INET", "-e", listen]);
        let listener = listener.start();
        listener.wait_for("ready");
        let docker =
            fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path("/run/docker.sock"));
        Ok(Drawn { lab, _docker: docker, _containers: containers, _listener: listener })
    }

    /// Titles of boxes without the one of the fake engine: `pid:43 (perl)`.
    pub fn without_engine(titles: &str) -> String {
        let words = titles.split(' ').filter(|word| !word.starts_with("pid:") && *word != "(perl)");
        words.collect::<Vec<_>>().join(" ")
    }

    /// What netns-ls prints with these options, in a file that a browser of the world can open.
    pub fn file(&self, options: &[&str]) -> DrawnFile {
        DrawnFile::of(&self.lab, options)
    }
}

/// A picture on disk, gone when this is dropped.
pub struct DrawnFile(pub PathBuf);

impl DrawnFile {
    /// What netns-ls prints on this host with these options.
    pub fn of(lab: &Lab, options: &[&str]) -> Self {
        let ran = lab.tool("netns-ls").arg("-q").args(options).run().ok();
        assert_eq!(ran.stderr, "", "{options:?}");
        let suffix = if options.contains(&"svg") { ".svg" } else { ".html" };
        DrawnFile::with(&ran.stdout, suffix)
    }

    /// This text, in a file whose name ends so.
    pub fn with(text: &str, suffix: &str) -> Self {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique("picture-") + suffix);
        fs::write(&file, text).unwrap();
        DrawnFile(file)
    }
}

impl Drop for DrawnFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A browser in the world.
pub fn browser() -> Result<Browser, Missing> {
    Browser::start(&World::get()?.with("browser")?)
}
