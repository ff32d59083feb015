//! Many at once.

use std::collections::BTreeSet;

use crate::{add_nic, everything, lab, reaches};
use support::container::Options;
use support::run::Run;
use support::skip::need;

#[test]
fn fifty_at_once_on_one_container_have_fifty_names() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    let running: Vec<_> =
        (0..50).map(|at| lab.tool("add-nic").args([&pid, &format!("10.1.{at}.2/24")]).start()).collect();
    for one in running {
        one.finish().ok();
    }
    let nics = add_nic(&lab, &["--list", "--json"]).ok().json();
    let nics = nics.as_array().unwrap();
    let distinct = |field: &str| nics.iter().map(|nic| nic[field].to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!((distinct("name"), distinct("host_name"), distinct("host_mac")), (50, 50, 50));
    for at in 0..50 {
        reaches(&lab, &format!("10.1.{at}.2"));
    }
    add_nic(&lab, &["--check"]).ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn of_twenty_who_want_one_address_one_gets_it() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    let running: Vec<_> = (0..20)
        .map(|at| lab.tool("add-nic").args([&pid, "10.1.0.2/24", "--name", &format!("n{at}")]).start())
        .collect();
    let ended: Vec<_> = running.into_iter().map(|one| one.finish()).collect();
    let won = ended.iter().filter(|ran| ran.status.unwrap().success()).count();
    assert_eq!(won, 1);
    for ran in ended.into_iter().filter(|ran| !ran.status.unwrap().success()) {
        ran.fails_with(2).stderr_has("10.1.0.2: already the address of n");
    }
    reaches(&lab, "10.1.0.2");
}
