//! Networks of other users, who give them the address of any container: they neither hide root's nor make it ambiguous, and
//! nothing acts on them unless they are named.

use std::process::Stdio;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, need, program};

const ADDRESS: &str = "ip:198.18.7.7";
const MAC: &str = "mac:02:00:5e:00:00:07";

/// What gives the network that it is run in the address and the MAC of another.
const CLAIM: &str = "ip link add name mine address 02:00:5e:00:00:07 type veth peer name far
     ip address add 198.18.7.7/24 dev mine; ip link set mine up";

fn lab() -> Result<Lab, Missing> {
    program("setpriv", "util-linux")?;
    let lab = Lab::with_users()?;
    lab.user_namespace().map(|()| lab)
}

/// A process of the user `uid` in user and network namespaces of its own, which has that address too, and its PID.
fn claim(lab: &Lab, uid: u32) -> (RunningProgram, i32) {
    let script = format!("{CLAIM}; echo at $$; read -r _");
    let mut setpriv = lab.command("setpriv");
    setpriv.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"]);
    setpriv.args(["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", &script]);
    let claims = setpriv.start_with(Stdio::piped());
    let line = claims.first_line().unwrap_or_else(|| panic!("no claim: {}", claims.so_far()));
    let pid = line.strip_prefix("at ").and_then(|pid| pid.parse().ok()).expect("at PID");
    (claims, pid)
}

fn web(lab: &Lab) -> Container {
    let web = lab.container("web", Options::default());
    for line in CLAIM.split([';', '\n']) {
        web.ip(line.trim().strip_prefix("ip ").expect("a command of ip"));
    }
    web
}

fn run(lab: &Lab, tool: &str, args: &[&str]) -> Ran {
    lab.tool(tool).args(args).run()
}

#[test]
fn a_users_network_with_a_containers_address_neither_hides_it_nor_makes_it_ambiguous() {
    let lab = need!(lab());
    let web = web(&lab);
    let _claims = [claim(&lab, 1000), claim(&lab, 1000), claim(&lab, 1001)];
    for target in [ADDRESS, MAC] {
        run(&lab, "cpid", &[target]).ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
        let inode = lab.namespace(web.pid, "net");
        let inside = ["-t", target, "-n", "readlink", "/proc/self/ns/net"];
        run(&lab, "nsenter-rs", &inside).ok().stdout_is(&format!("{inode}\n"));
    }
    run(&lab, "netns-link", &[ADDRESS, "--as", "found"]).ok();
    let linked = lab.shell("stat -Lc 'net:[%i]' /run/netns/found").run().ok();
    assert_eq!(linked.text(), lab.namespace(web.pid, "net"));
}

#[test]
fn a_users_network_that_alone_has_the_address_is_marked_and_nothing_acts_on_it() {
    let lab = need!(lab());
    let (_claims, pid) = claim(&lab, 1000);
    for target in [ADDRESS, MAC] {
        let looked = run(&lab, "cpid", &[target]).ok().stdout_is(&format!("{pid}\n"));
        looked.stderr_has("is a network of user 1000");
        let acts: [(&str, &[&str]); 4] = [
            ("nsenter-rs", &["-t", target, "-n", "true"]),
            ("netns-link", &[target, "--as", "caught"]),
            ("add-nic", &[target, "10.8.0.2/24"]),
            ("add-nic", &[target, "10.8.0.2/24", "--dry-run"]),
        ];
        for (tool, args) in acts {
            let refused = run(&lab, tool, args);
            let status = refused.status.and_then(|status| status.code());
            assert_eq!(status, Some(if tool == "nsenter-rs" { 1 } else { 2 }), "{refused}");
            let refused = refused.stdout_is("").stderr_has("only networks of other users have this address");
            refused
                .stderr_has(" of user 1000\n")
                .stderr_has(&format!("hint: use pid:{pid} for that network\n"));
        }
    }
    assert_eq!(lab.shell("ip -o link | wc -l; ls /run/netns 2>/dev/null || :").run().ok().text(), "1");
    // Named, it is what was asked for.
    run(&lab, "nsenter-rs", &["-t", &format!("pid:{pid}"), "-n", "true"]).ok();
    run(&lab, "netns-link", &[&format!("pid:{pid}"), "--as", "named"]).ok();
}

#[test]
fn the_network_of_whoever_called_sudo_counts_where_root_has_none() {
    let lab = need!(lab());
    let (_stranger, _) = claim(&lab, 1001);
    let (_callers, pid) = claim(&lab, 1000);
    let inode = lab.namespace(pid, "net");
    let enter = |lab: &Lab| {
        let mut enter = lab.tool("nsenter-rs");
        enter.env("SUDO_UID", "1000").args(["-t", ADDRESS, "-n", "readlink", "/proc/self/ns/net"]).run()
    };
    enter(&lab).ok().stdout_is(&format!("{inode}\n"));
    let web = web(&lab);
    enter(&lab).ok().stdout_is(&format!("{}\n", lab.namespace(web.pid, "net")));
}

#[test]
fn a_container_in_a_user_namespace_that_roots_engine_made_counts_and_so_does_what_it_makes_in_there() {
    let lab = need!(lab());
    // As with userns-remap: root makes it, others of its IDs are nobody's out here, and so is who makes another one in it.
    let mut unshare = lab.command("unshare");
    let script = format!(
        "echo at $$; read -r _; exec setpriv --reuid=5 --regid=5 --clear-groups \
         unshare --user --map-root-user --net sh -ec '{CLAIM}; echo ready; read -r _'"
    );
    let mut remapped = unshare.args(["--user", "sh", "-ec", &script]).start_with(Stdio::piped());
    let line = remapped.first_line().unwrap_or_else(|| panic!("no namespace: {}", remapped.so_far()));
    let pid = line.strip_prefix("at ").expect("at PID");
    let map = r"for map in uid_map gid_map; do printf '0 0 1\n1 10001 100\n' >/proc/$0/$map; done";
    lab.shell(&map.replace("$0", pid)).run().ok();
    remapped.say("\n");
    remapped.wait_for("ready");
    let user = lab.shell(&format!("stat -Lc %u /proc/{pid}")).run().ok();
    assert_eq!(user.text(), "10005");
    let (_claims, _) = claim(&lab, 1000);
    run(&lab, "cpid", &[ADDRESS]).ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    run(&lab, "nsenter-rs", &["-t", ADDRESS, "-n", "true"]).ok();
}
