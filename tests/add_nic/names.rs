//! The name of a NIC, beside an engine that names interfaces too.

use crate::{add_nic, everything, lab, plug};
use support::container::Options;
use support::fake_docker;
use support::run::Run;
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
    noted.stderr_has("hint: add-nic web 10.1.0.2/24 --name-prefix net --replace\n");
    add_nic(&lab, &["web", "10.1.0.2/24"]).ok().stderr_is("");
    for (at, words) in ["--name eth7", "--name-prefix net", "-q"].into_iter().enumerate() {
        let address = format!("10.{}.0.2/24", at + 2);
        let words: Vec<&str> = ["web", &address].into_iter().chain(words.split(' ')).collect();
        add_nic(&lab, &words).ok().stderr_is("");
    }
}

#[test]
fn names_that_shells_and_terminals_should_not_obey_are_quoted_while_an_interface_changes() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    // The container's root, or the host's, gives a link such a name.
    let evil = "\x1b[2J;>p;$(>p)";
    let inside = format!("nsenter --target {pid} --net ip link set eth0 name '{evil}'");
    let outside = format!("ip link set pid{pid}-eth0 name '{evil}'");
    for rename in [&inside, &outside] {
        plug(&lab, &web, "10.1.0.2/24").ok();
        lab.shell(rename).run().ok();
        let change = "10.1.0.2/24 --mtu 1400 --gateway 10.1.0.1";
        let renamed = everything(&lab, &[&web]);
        // What is asked for by such a name is refused, and changes nothing.
        let word = [&pid, "10.1.0.2/24", "--replace", "--name", evil];
        let refused = add_nic(&lab, &word).fails_with(2);
        let checked = add_nic(&lab, &["--check"]).fails_with(1);
        // Commands would be about whatever has the name now.
        let shown = plug(&lab, &web, &format!("{change} --replace --dry-run")).fails_with(2);
        let shown = shown.stdout_is("").stderr_has("eth0: was renamed to ");
        let removal = add_nic(&lab, &["--rm", &pid, "--dry-run"]).fails_with(2).stdout_is("");
        let removal = removal.stderr_has("was renamed to ");
        assert_eq!(everything(&lab, &[&web]), renamed, "{rename}");
        let changed = plug(&lab, &web, &format!("{change} --replace")).ok();
        add_nic(&lab, &["--check"]).ok().stdout_is("").stderr_is("");
        for ran in [refused, checked, shown, removal, changed] {
            assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "{ran}");
        }
        add_nic(&lab, &["--rm", &pid]).ok();
        assert_eq!(everything(&lab, &[&web]), before, "{rename}");
    }
}
