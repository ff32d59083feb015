//! The host's own network is linked only on demand: who acts on a container's name must not act on the host.

use crate::{everything, netns_link};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn a_container_in_the_hosts_network_is_linked_on_demand_alone() {
    let lab = need!(Lab::new());
    let hosty = lab.container("hosty", Options::only(&["mnt", "pid"]));
    let _engine = fake_docker::knows(&[&hosty]).listen(lab.path("/run/docker.sock"));
    let before = everything(&lab);
    for target in ["hosty", "1", "/proc/1/ns/net"] {
        let refused = netns_link(&lab, &[target, "--as", "hosty", "--force"]).fails_with(2).stdout_is("");
        refused.stderr_has(
            "is in the network of the host itself: only with --host is that linked\nhint: netns-link ",
        );
    }
    netns_link(&lab, &["--all"]).ok().stdout_is("");
    assert_eq!(everything(&lab), before);

    netns_link(&lab, &["hosty", "--host"]).ok().stdout_is("/run/netns/hosty\n");
    lab.command("ip").args(["netns", "identify", "1"]).run().ok().stdout_is("hosty\n");
}

#[test]
fn the_host_is_meant_wherever_it_is_asked_from() {
    let lab = need!(Lab::new());
    let (web, hosty) =
        (lab.container("web", Options::default()), lab.container("hosty", Options::only(&["mnt"])));
    let _engine = fake_docker::knows(&[&web, &hosty]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["web"]).ok();
    // From within the container's network, that is not the host's, and the host's is another.
    let from_web = |arguments: &[&str]| {
        let mut exec = lab.command("ip");
        exec.args(["netns", "exec", "web", support::tools::tool("netns-link")]).args(arguments).run()
    };
    from_web(&["web"]).ok();
    from_web(&["hosty"]).fails_with(2).stderr_has("the network of the host itself");
}
