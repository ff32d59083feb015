//! What an ordinary user sees of a host: its own network, and a line on what is missing.

use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};

use crate::plugged::inode;
use crate::seen::PrintedMap;

#[test]
fn an_ordinary_user_sees_its_own_network_and_is_told_what_it_does_not_see() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    let web = lab.container("web", Options::default());
    lab.shell(&format!("ip link add near type veth peer name eth0 netns {}", web.pid)).run().ok();
    lab.shell("ip netns add blue; ip link add far type veth peer name eth0 netns blue").run().ok();
    let names = [(inode(&lab, 1), "host"), (inode(&lab, web.pid), "web")];
    for depth in ["quick", "whole"] {
        let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
        let map = PrintedMap::by(&lab, &user, depth, &names);
        // Files of /run/netns may be opened by all, and entered by none but root: what is in it stays hidden, but the host's
        // kernel says that a cable leads there.
        assert_eq!(map.ends(), ["host far → unseen", "host near → unseen"], "{depth}");
        assert!(map.unseen.contains("CAP_SYS_PTRACE"), "{}", map.unseen);
        assert!(map.unseen.contains("1 network namespace (CAP_SYS_ADMIN"), "{}", map.unseen);
        let own = map.namespaces.iter().find(|netns| netns["is_own"] == true).unwrap();
        assert_eq!(own["links"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn where_proc_hides_the_processes_of_others_that_is_said() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    let hidden =
        "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=1000 --regid=1000 --clear-groups";
    let list = format!("{hidden} {} -a", support::tools::tool("netns-ls"));
    let ran = lab.command("unshare").args(["-m", "sh", "-c", &list]).run();
    ran.stderr_has("processes of other users (/proc does not list them: its option hidepid)");
}
