//! The name of a NIC, beside an engine that names interfaces too.

use crate::{add_nic, lab, plug};
use support::container::Options;
use support::fake_docker;
use support::skip::need;

const NOTE: &str = "note: eth1: \"docker network connect\" fails if it wants this name";

#[test]
fn a_prefix_counts_from_nought() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24 --name-prefix net").ok().stdout_has(": net0 10.1.0.2/24, host end ");
    plug(&lab, &web, "10.2.0.2/24 --name-prefix net").ok().stdout_has(": net1 10.2.0.2/24");
    plug(&lab, &web, "10.1.0.2/24 --name-prefix net").ok().stdout_has("unchanged");
    plug(&lab, &web, "10.3.0.2/24 --name-prefix verylongname")
        .fails_with(2)
        .stderr_has("--name-prefix verylongname: longer than 11 bytes");
}

#[test]
fn who_is_on_a_docker_network_is_told_that_docker_wants_the_next_name_too() {
    let lab = need!(lab());
    let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    // On no network Docker never connects it.
    add_nic(&lab, &["web", "10.9.0.2/24"]).ok().stderr_is("");
    add_nic(&lab, &["--rm", "web"]).ok();
    lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
    let noted = add_nic(&lab, &["web", "10.1.0.2/24"]).ok().stderr_has(NOTE);
    noted.stderr_has("hint: --name net1, or --name-prefix net");
    add_nic(&lab, &["web", "10.1.0.2/24"]).ok().stderr_is("");
    for (at, words) in ["--name eth7", "--name-prefix net", "-q"].into_iter().enumerate() {
        let address = format!("10.{}.0.2/24", at + 2);
        let words: Vec<&str> = ["web", &address].into_iter().chain(words.split(' ')).collect();
        add_nic(&lab, &words).ok().stderr_is("");
    }
}
