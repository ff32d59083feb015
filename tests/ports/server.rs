//! Servers of perl's that listen where a test wants, and say their PIDs; and a host with two containers at a bridge.

use std::process::Command;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, program};

/// Listens at each of its arguments, `ADDRESS:PORT`, of UDP with a `u` in front; accepts nobody. `NAME` is what it calls itself,
/// `BACKLOG` how many may wait.
const SERVER: &str = r#"
use Socket qw(:all); my @sockets;
for (@ARGV) {
    my ($udp, $address, $port) = /^(u?)\[?([^\]]*?)\]?:(\d+)$/ or die $_;
    my $six = $address =~ /:/;
    socket(my $socket, $six ? PF_INET6 : PF_INET, $udp ? SOCK_DGRAM : SOCK_STREAM, 0) or die $!;
    my $place = $six ? pack_sockaddr_in6($port, inet_pton(PF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address));
    bind($socket, $place) or die "$_: $!";
    $udp or listen($socket, $ENV{BACKLOG} // 16) or die $!;
    push @sockets, $socket;
}
$0 = $ENV{NAME} if length($ENV{NAME} // '');
$| = 1; print "ready $$\n"; sleep 9 while 1;"#;

/// A server that runs until it is dropped.
pub struct Server {
    pub pid: i32,
    running: RunningProgram,
}

impl Server {
    #[track_caller]
    fn start(mut command: Command) -> Server {
        let running = command.start();
        running.wait_for("ready ");
        let line = running.first_line().unwrap_or_default();
        let pid = line.strip_prefix("ready ").and_then(|pid| pid.parse().ok());
        Server { pid: pid.unwrap_or_else(|| panic!("no PID: {}", running.so_far())), running }
    }

    /// What it said, for messages.
    pub fn said(&self) -> String {
        self.running.so_far().to_string()
    }
}

/// Where a server runs.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    Host,
    /// In its network only.
    Network(&'a Container),
}

/// A fake host with a bridge, and two containers at it.
pub struct Town {
    pub lab: Lab,
    pub web: Container,
    pub db: Container,
}

/// web is 198.18.0.2, db is 198.18.0.3, the host 198.18.0.1.
pub fn town() -> Result<Town, Missing> {
    program("perl", "perl-base")?;
    let lab = Lab::new()?;
    lab.shell("ip link add br0 type bridge; ip address add 198.18.0.1/24 dev br0; ip link set br0 up")
        .run()
        .ok();
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::default()));
    for (container, host_end, address) in [(&web, "vweb", "198.18.0.2/24"), (&db, "vdb", "198.18.0.3/24")] {
        let pid = container.pid;
        let script = format!(
            "ip link add {host_end} master br0 type veth peer name eth0 netns {pid}; ip link set {host_end} up"
        );
        lab.shell(&script).run().ok();
        container.ip(&format!("address add {address} dev eth0"));
        container.ip("link set eth0 up");
    }
    Ok(Town { lab, web, db })
}

impl Town {
    /// A server at those places.
    #[track_caller]
    pub fn serve(&self, place: Place<'_>, listens: &[&str]) -> Server {
        self.serve_as(place, listens, "", "16")
    }

    /// The same with a name of its own, and a queue of that length.
    #[track_caller]
    pub fn serve_as(&self, place: Place<'_>, listens: &[&str], name: &str, backlog: &str) -> Server {
        let mut command = match place {
            Place::Host => self.lab.command("perl"),
            Place::Network(container) => {
                let mut nsenter = self.lab.command("nsenter");
                nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "perl"]);
                nsenter
            }
        };
        command.args(["-e", SERVER]).args(listens).env("NAME", name).env("BACKLOG", backlog);
        Server::start(command)
    }

    /// What `cpid` prints for that port.
    #[track_caller]
    pub fn pid_at(&self, word: &str) -> i32 {
        let ran = self.lab.tool("cpid").arg(word).run().ok();
        ran.stdout.trim().parse().unwrap_or_else(|_| panic!("no PID: {ran}"))
    }

    /// The lines of `netns-ls --ports`, each with single spaces.
    #[track_caller]
    pub fn lines(&self, words: &[&str]) -> Vec<String> {
        let ran = self.lab.tool("netns-ls").args(words).run().ok();
        let in_words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        ran.stdout.lines().skip(1).map(in_words).collect()
    }

    /// The one line about that port.
    #[track_caller]
    pub fn line(&self, port: &str) -> String {
        let lines = self.lines(&["--ports"]);
        let mut about = lines.iter().filter(|line| line.split(' ').any(|word| word == port));
        let line = about.next().cloned().unwrap_or_else(|| panic!("no {port} in {lines:#?}"));
        assert_eq!(about.next(), None, "{port} twice");
        line
    }
}
