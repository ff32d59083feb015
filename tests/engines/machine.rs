//! systemd-nspawn's containers, by files laid out as systemd-machined writes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command};

use nix::unistd::Pid;

use support::run::{Ran, Run};
use support::scratch::Scratch;
use support::tools;

/// A host with the files of its systemd-machined, and a process to be somebody's leader.
struct Host {
    root: Scratch,
    leader: Child,
}

impl Host {
    fn new() -> Host {
        let root = Scratch::new();
        fs::create_dir_all(root.path("run/systemd/machines")).unwrap();
        Host { root, leader: Command::new("sleep").arg("600").spawn().unwrap() }
    }

    fn leader(&self) -> u32 {
        self.leader.id()
    }

    /// As version 252 writes it, with `more` of later ones.
    fn machine(&self, name: &str, class: &str, more: &str) {
        let (leader, now) = (self.leader(), monotonic_us());
        let text = format!(
            "# This is private data. Do not parse.\nNAME={name}\nSCOPE=machine-{name}.scope\nSERVICE=systemd-nspawn\n\
             ROOT=/var/lib/machines/{name}\nID=0123456789abcdef0123456789abcdef\nLEADER={leader}\nCLASS={class}\n\
             REALTIME=1700000000000000\nMONOTONIC={now}\nNETIF=7\n{more}"
        );
        fs::write(self.root.path(&format!("run/systemd/machines/{name}")), text).unwrap();
        let unit = self.root.path(&format!("run/systemd/machines/unit:machine-{name}.scope"));
        symlink(name, unit).unwrap();
    }

    fn cpid(&self, arguments: &[&str]) -> Ran {
        let mut cpid = tools::in_clean_environment(Command::new(tools::tool("cpid")));
        cpid.env("NETNS_TOOLBOX_ROOT", self.root.as_ref()).args(arguments).run()
    }
}

/// As long as no host sleeps that runs tests.
fn monotonic_us() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    uptime.split('.').next().unwrap().parse::<u64>().unwrap() * 1_000_000
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

#[test]
fn a_machines_leader_is_its_first_process() {
    let host = Host::new();
    host.machine("web", "container", "");
    host.cpid(&["machine:web"]).ok().stdout_is(&format!("{}\n", host.leader()));
    let shown = host.cpid(&["--json", "web"]).ok().json();
    assert_eq!(shown[0]["engine"], "machine");
    assert_eq!(shown[0]["source"], "state");
    assert_eq!(shown[0]["started_at"], "2023-11-14T22:13:20Z");
}

#[test]
fn a_machine_is_listed_once_whatever_its_other_names() {
    let host = Host::new();
    host.machine("web", "container", "");
    host.machine("windows", "vm", "");
    let listed = host.cpid(&["--list", "--json", "--engine", "machine"]).ok().json();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web"]);
}

#[test]
fn a_virtual_machine_is_no_container() {
    let host = Host::new();
    host.machine("windows", "vm", "");
    host.cpid(&["machine:windows"]).fails_with(1).stderr_has("no such container");
}

#[test]
fn the_leaders_pidfs_inode_must_be_the_recorded_one() {
    let host = Host::new();
    let leader = common::process::Process::open(Pid::from_raw(host.leader.id().cast_signed())).unwrap();
    let Some(inode) = leader.pidfd_inode() else { return };
    host.machine("web", "container", &format!("LEADER_PIDFDID={inode}\n"));
    host.machine("old", "container", &format!("LEADER_PIDFDID={}\n", inode + 1));
    host.cpid(&["machine:web"]).ok().stdout_is(&format!("{}\n", host.leader()));
    host.cpid(&["machine:old"]).fails_with(1).stdout_is("").stderr_has("old is not running");
}

#[test]
fn a_users_machine_is_that_users_claim() {
    let host = Host::new();
    host.machine("web", "container", "UID=12345\n");
    host.cpid(&["machine:web"]).fails_with(2).stdout_is("").stderr_has("of user 12345 claims PID");
}

#[test]
fn files_that_make_no_sense_are_no_panic_and_no_process() {
    let host = Host::new();
    let machines = host.root.path("run/systemd/machines");
    for text in [
        "",
        "CLASS=container\nLEADER=x\n",
        "CLASS=container\nLEADER=-1",
        "CLASS=\"container\nLEADER",
        "\u{0}=\n",
    ] {
        fs::write(machines.join("web"), text).unwrap();
        host.cpid(&["machine:web"]).fails_with(1).stdout_is("");
    }
    fs::write(machines.join("web"), vec![b'='; 9 << 20]).unwrap();
    host.cpid(&["machine:web"]).fails_with(2).stderr_has("longer than");
}

/// Three thousand files of eight MiB in the place of one: more than any engine has.
#[test]
fn state_without_end_is_given_up_and_said_to_be_no_answer() {
    let host = Host::new();
    host.machine("web", "container", "");
    let large = host.root.path("large");
    fs::File::create(&large).unwrap().set_len(8 << 20).unwrap();
    for number in 0..3000 {
        symlink(&large, host.root.path(&format!("run/systemd/machines/m{number}"))).unwrap();
    }
    let says = "is not read: the state of this engine is too large (";
    host.cpid(&["--list"]).fails_with(2).stderr_has(says);
    // One name is one file, and whether that is there is certain.
    host.cpid(&["machine:web"]).ok().stdout_is(&format!("{}\n", host.leader()));
    host.cpid(&["machine:nope"]).fails_with(1);
    // Nobody else's answer is lost by it.
    let other = support::engine_state::Host::new().ok();
    if let Some(other) = other {
        let api = other.process("api");
        other.runc_record("/run/runc/api", api.pid, other.start_time(api.pid));
        let crowd = "mkdir -p /run/host/run/systemd/machines; truncate -s 8M /run/large; \
                     for i in $(seq 3000); do ln -s /run/large /run/host/run/systemd/machines/m$i; done";
        other.lab.shell(crowd).run().ok();
        other.cpid(&["--list"]).run().fails_with(2).stdout_has("api").stderr_has(says);
    }
}
