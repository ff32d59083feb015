//! What a word means, and what a word that means nothing is told.

use support::container::Options;
use support::fake_docker;
use support::run::Run;
use support::skip::need;

use crate::Bridged;

#[test]
fn a_veth_an_address_and_a_mac_lead_straight_to_the_container() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let containers: Vec<_> = bridged.containers.iter().collect();
    let _docker = fake_docker::knows(&containers).listen(bridged.lab.path("/run/docker.sock"));
    let mac = containers[0].ip("-j link show eth0").json()[0]["address"].as_str().unwrap().to_owned();
    for word in [
        "veth-web",
        "veth:veth-web",
        "198.18.0.2",
        "198.18.0.2/24",
        "ip:198.18.0.2",
        &mac,
        &mac.replace(':', "-"),
    ] {
        let ran = bridged.lab.tool("netns-ls").args(["-q", word]).run().ok().stderr_is("");
        assert!(ran.stdout.starts_with("web  eth0  198.18.0.2/24  → veth-web  br0  "), "{word}: {ran}");
        assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
    }
    // A bridge is itself, and what is at the ports.
    let ran = bridged.lab.tool("netns-ls").args(["-q", "br0"]).run().ok();
    let firsts: Vec<&str> = ran.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(firsts, ["host", "web", "db"], "{ran}");
    // Several words, in their order.
    let ran = bridged.lab.tool("netns-ls").args(["-q", "198.18.0.3", "veth-web"]).run().ok();
    assert!(ran.stdout.starts_with("db ") && ran.stdout.contains("\n\nweb "), "{ran}");
}

#[test]
fn an_address_that_two_have_is_shown_with_both() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    bridged.containers.iter().for_each(|container| drop(container.ip("address add 10.9.9.9/24 dev eth0")));
    let ran = bridged.lab.tool("netns-ls").args(["-q", "10.9.9.9"]).run().ok();
    assert_eq!(ran.stdout.lines().count(), 2, "{ran}");
}

#[test]
fn what_nobody_has_is_an_honest_no() {
    let bridged = need!(Bridged::new(&["web"]));
    let _docker = fake_docker::knows(&[&bridged.containers[0]]).listen(bridged.lab.path("/run/docker.sock"));
    bridged
        .lab
        .tool("netns-ls")
        .args(["-q", "nope"])
        .run()
        .fails_with(1)
        .stdout_is("")
        .stderr_has("nope is no interface of any namespace");
    for word in ["198.18.0.99", "02:00:00:00:00:99"] {
        let ran = bridged.lab.tool("netns-ls").args(["-q", word]).run().stdout_is("").stderr_has(word);
        // The machine may have a namespace that a lab may not look into, and then the answer is not certain.
        let expected = if ran.stderr.contains("not looked at: ") { 2 } else { 1 };
        ran.fails_with(expected);
    }
    for word in ["127.0.0.1", "224.0.0.1", "", "-x", "a:b", "netns:nope"] {
        let ran = bridged.lab.tool("netns-ls").args(["-q", "--", word]).run();
        assert!(!ran.status.unwrap().success() && ran.stdout.is_empty(), "{word}: {ran}");
    }
    // A bare number is a PID, and somebody may have meant a port.
    let ran = bridged.lab.tool("netns-ls").args(["-q", "8080"]).run().fails_with(1).stdout_is("");
    ran.stderr_is("netns-ls: PID 8080: no such process\nhint: netns-ls :8080\n");
    let ran = bridged.lab.tool("netns-ls").args(["-q", "4000000"]).run().fails_with(1);
    assert!(!ran.stderr.contains("hint"), "{ran}");
    // One that is found is shown all the same.
    let ran = bridged.lab.tool("netns-ls").args(["-q", "nope", "veth-web"]).run().fails_with(1);
    assert!(ran.stdout.starts_with("web "), "{ran}");
}

#[test]
fn a_name_that_only_containers_have_as_an_interface_is_told_where() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let containers: Vec<_> = bridged.containers.iter().collect();
    let _docker = fake_docker::knows(&containers).listen(bridged.lab.path("/run/docker.sock"));
    let ran = bridged.lab.tool("netns-ls").args(["-q", "eth0"]).run().fails_with(1);
    ran.stderr_has("  eth0 is an interface of ").stderr_has("web").stderr_has("db");
}

#[test]
fn a_container_that_is_called_like_an_interface_is_the_container() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let br0 = bridged.lab.container("br0", Options::only(&["net"]));
    let _docker = fake_docker::knows(&[web, &br0]).listen(bridged.lab.path("/run/docker.sock"));
    let ran = bridged.lab.tool("netns-ls").arg("br0").run().ok();
    assert!(ran.stdout.starts_with("br0: network namespace "), "{ran}");
    ran.stderr_has("netns-ls: br0 is also a bridge of the host\n");
}
