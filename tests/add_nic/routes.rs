//! Default routes and others, and the one that was there before.

use crate::{add_nic, everything, lab, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// A container with a cable to another one, and its default routes there.
fn with_default_routes(lab: &Lab) -> (Container, Container) {
    let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
    lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
    web.ip("address add fd00:18::2/64 dev eth0 nodad");
    web.ip("route add default via 198.18.0.1 dev eth0 src 198.18.0.2 proto static");
    web.ip("route add default via fd00:18::1 dev eth0 metric 1024");
    (web, router)
}

#[test]
fn the_old_default_route_comes_back_exactly() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    plug(&lab, &web, "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1").ok();
    lab.shell("ip address add 192.0.2.1/32 dev lo; ip address add fd00:99::1/128 dev lo").run().ok();
    reaches_from(&lab, &web, "192.0.2.1");
    reaches_from(&lab, &web, "fd00:99::1");
    lab.shell("ip address del 192.0.2.1/32 dev lo; ip address del fd00:99::1/128 dev lo").run().ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn with_a_metric_the_old_default_route_stays() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --metric 50").ok();
    let routes = web.ip("-4 route show default").stdout;
    assert_eq!(routes.lines().count(), 2, "{routes}");
    assert!(routes.contains("default via 10.1.0.1 dev eth1 metric 50"), "{routes}");
}

#[test]
fn two_nics_that_took_it_one_after_the_other_give_it_back_in_any_order() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    for order in [["eth1", "eth2"], ["eth2", "eth1"]] {
        plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").ok();
        plug(&lab, &web, "10.2.0.2/24 --gateway 10.2.0.1").ok();
        add_nic(&lab, &["--rm", &pid, order[0]]).ok();
        add_nic(&lab, &["--rm", &pid, order[1]]).ok();
        assert_eq!(everything(&lab, &[&web]), before, "{order:?}");
    }
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").ok();
    plug(&lab, &web, "10.2.0.2/24 --gateway 10.2.0.1").ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn a_default_route_that_somebody_made_since_is_left_alone() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").ok();
    web.ip("route replace default via 198.18.0.77 dev eth0");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(web.ip("-4 route show default").stdout.trim(), "default via 198.18.0.77 dev eth0");
}

#[test]
fn a_default_route_that_cannot_be_put_back_is_not_taken_away() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    web.ip("route replace default nexthop via 198.18.0.1 dev eth0 nexthop via 198.18.0.3 dev eth0");
    let before = everything(&lab, &[&web]);
    let refused = plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").fails_with(2);
    refused.stderr_has("cannot be restored exactly").stderr_has("hint: give --metric N");
    assert_eq!(everything(&lab, &[&web]), before);
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --metric 5").ok();
}

#[test]
fn other_routes_lead_where_they_say() {
    let lab = need!(lab());
    let (web, _router) = with_default_routes(&lab);
    lab.shell("ip address add 172.31.0.1/32 dev lo; ip address add 172.30.0.1/32 dev lo").run().ok();
    plug(&lab, &web, "10.1.0.2/24 --route 172.31.0.0/16@10.1.0.1 --route 172.30.0.0/16 --metric 7").ok();
    reaches_from(&lab, &web, "172.31.0.1");
    reaches_from(&lab, &web, "172.30.0.1");
    let again = plug(&lab, &web, "10.2.0.2/24 --route 172.31.0.0/16@10.2.0.1 --metric 7").fails_with(2);
    again.stderr_has("already has this route, on eth1").stderr_has("hint: give --metric N");
}
