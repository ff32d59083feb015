//! Plans, made without a network to look at: what is decided, as the commands that would do it.

use common::cidr::Cidr;
use common::netlink::{Address, Link, OperState, Route, Rule};

use crate::model::change::{PlanStep, Undo};
use crate::model::filter::WantedRules;
use crate::model::plan::Plan;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::shell::NetnsFiles;
use crate::model::snapshot::{NetnsState, Snapshot};
use crate::model::wanted::{OtherAddresses, Wanted, WantedBridge, WantedEnd};
use crate::plan::input::{PlanInput, RandomBytes};
use crate::plan::routes;

fn link(index: u32, name: &str, kind: Option<&str>) -> Link {
    Link {
        name: name.into(),
        mac: format!("02:00:00:00:00:{index:02x}").parse().ok(),
        kind: kind.map(str::to_owned),
        mtu_bytes: 1500,
        flags: IFF_UP,
        operstate: OperState::Up,
        ..Link::plain(index)
    }
}

/// netdevice(7)
const IFF_UP: u32 = 1;

fn side(links: Vec<Link>) -> NetnsState {
    NetnsState { links, allows_ipv6: Some(true), ..NetnsState::default() }
}

pub(crate) fn snapshot() -> Snapshot {
    let eth0 = || link(2, "eth0", Some("veth"));
    Snapshot { host: side(vec![eth0()]), inside: side(vec![eth0()]), ..Snapshot::default() }
}

fn peer() -> ContainerNetns {
    ContainerNetns { name: "db".to_owned(), file: "/run/netns/db".to_owned(), netns_inode: 2, ..inside() }
}

fn inside() -> ContainerNetns {
    ContainerNetns {
        name: "nginx".to_owned(),
        file: "/proc/7/ns/net".to_owned(),
        netns_inode: 1,
        netns_handle: None,
        container: None,
        process: None,
    }
}

/// Of the container's namespace.
const FILES: NetnsFiles<'static> = NetnsFiles { inside: "/proc/7/ns/net", peer: Some("/run/netns/db") };

pub(crate) fn wanted(addresses: &[&str]) -> Wanted {
    Wanted {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        other_end: WantedEnd::Host,
        other_addresses: OtherAddresses::Fitting,
        name: None,
        name_prefix: None,
        other_name: None,
        mac: None,
        mtu_bytes: None,
        gateways: vec![],
        routes: vec![],
        metric: None,
        sbr: false,
        sysctls: vec![],
        firewall: WantedRules::default(),
    }
}

pub(crate) fn record(wanted: Wanted, plan: Plan) -> NicRecord {
    NicRecord {
        format: crate::model::record::FORMAT,
        id: "1".to_owned(),
        made_by: "add-nic".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
        is_whole: true,
        outside_inode: 1,
        inside: inside(),
        peer: None,
        wanted,
        plan,
        watched: None,
        replaced: None,
    }
}

fn default_route(everywhere: &str, gateway: &str) -> Route {
    Route { gateway: gateway.parse().ok(), ..Route::plain(everywhere.parse().unwrap(), 2) }
}

pub(crate) fn plan(wanted: &Wanted, snapshot: &Snapshot, records: &[NicRecord]) -> Result<Plan, String> {
    let from = |first: u8| std::array::from_fn(|at| first + at as u8);
    let random = RandomBytes { nic: from(1), port: from(7), bridge: from(13), id: from(19) };
    let input = PlanInput {
        wanted,
        snapshot,
        records,
        inside: &inside(),
        peer: Some(&peer()),
        random,
        names_before: 0,
    };
    Plan::make(&input).map_err(|failure| failure.text().to_owned())
}

pub(crate) fn commands(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|(step, _)| step.as_command(&FILES)).collect()
}

pub(crate) fn undone(plan: &Plan, others: &[&NicRecord]) -> Vec<String> {
    let others: Vec<&Plan> = others.iter().map(|record| &record.plan).collect();
    plan.undoing(&others).map(|step| step.as_command(&FILES)).collect()
}

#[test]
fn a_cable_is_made_addressed_and_set_up() {
    let plan = plan(&wanted(&["10.1.0.2/24"]), &snapshot(), &[]).unwrap();
    assert_eq!(
        commands(&plan),
        [
            "ip link add nginx-eth1 address fe:08:09:0a:0b:0c type veth peer name eth1 address 02:02:03:04:05:06 netns /proc/7/ns/net",
            "ip link set nginx-eth1 alias 'add-nic: eth1 of nginx'",
            "ip link set nginx-eth1 up",
            "nsenter --net=/proc/7/ns/net ip link set eth1 up",
            "ip address add 10.1.0.1/24 broadcast 10.1.0.255 dev nginx-eth1",
            "nsenter --net=/proc/7/ns/net ip address add 10.1.0.2/24 broadcast 10.1.0.255 dev eth1",
        ]
    );
    assert_eq!(undone(&plan, &[]), ["ip link del nginx-eth1"]);
}

#[test]
fn what_is_routed_by_its_source_comes_before_everything_else_and_takes_nothing_from_anybody() {
    let mut snapshot = snapshot();
    let rule = |priority, table| Rule::plain(true, None, priority, table);
    snapshot.inside.rules = vec![rule(0, 255), rule(5209, 10_000), rule(32766, 254)];
    let mut wanted = wanted(&["10.1.0.2/24", "10.1.0.3/24", "fd00:1::2/128"]);
    wanted.other_addresses =
        OtherAddresses::These(vec!["10.1.0.1".parse().unwrap(), "fd00:9::1".parse().unwrap()]);
    wanted.gateways = vec!["10.1.0.254".parse().unwrap()];
    wanted.sbr = true;
    let plan = plan(&wanted, &snapshot, &[]).unwrap();
    let inside = "nsenter --net=/proc/7/ns/net ip";
    let of_sbr = |command: &String| command.contains(" route ") || command.contains(" rule ");
    let made: Vec<String> = commands(&plan).into_iter().filter(of_sbr).collect();
    assert_eq!(
        made,
        [
            format!("{inside} route add 10.1.0.0/24 dev eth1 table 10001"),
            format!("{inside} route add default via 10.1.0.254 dev eth1 table 10001"),
            format!("{inside} route add fd00:9::1/128 dev eth1 table 10001"),
            format!("{inside} route add ::/0 via fd00:9::1 dev eth1 table 10001"),
            format!("{inside} rule add from 10.1.0.2 lookup 10001 priority 5208"),
            format!("{inside} rule add from 10.1.0.3 lookup 10001 priority 5208"),
            format!("{inside} -6 rule add from fd00:1::2 lookup 10001 priority 5208"),
        ]
    );
    assert_eq!(
        undone(&plan, &[])[0],
        format!("{inside} -6 rule del from fd00:1::2 lookup 10001 priority 5208")
    );
    // The routes go with their link.
    assert_eq!(undone(&plan, &[])[3], "ip link del nginx-eth1");
}

#[test]
fn a_default_route_that_would_win_makes_room_unless_a_metric_was_asked_for() {
    let mut snapshot = snapshot();
    snapshot.inside.routes.push(Route { metric: 256, ..default_route("::/0", "fd00:17::1") });
    let mut wanted = wanted(&["fd00:1::2/64"]);
    wanted.gateways = vec!["fd00:1::1".parse().unwrap()];
    let displaced = |wanted: &Wanted| {
        let plan = plan(wanted, &snapshot, &[]).unwrap();
        plan.steps.iter().any(|(step, _)| matches!(step, PlanStep::DelRoute(route) if route.metric == 256))
    };
    assert!(displaced(&wanted));
    wanted.metric = Some(1024);
    assert!(!displaced(&wanted));
}

#[test]
fn the_link_local_address_is_given_before_the_link_is_up() {
    let plan = plan(&wanted(&["fd00:1::2/64"]), &snapshot(), &[]).unwrap();
    let commands = commands(&plan);
    let [addressed, up] = ["ip address add fe80::2:3ff:fe04:506/64 dev eth1 nodad", "ip link set eth1 up"]
        .map(|command| commands.iter().position(|known| known.ends_with(command)));
    assert!(addressed.is_some() && addressed < up, "{commands:?}");
}

#[test]
fn the_old_default_route_comes_back_when_the_new_one_is_gone() {
    let mut snapshot = snapshot();
    snapshot.inside.routes.push(default_route("0.0.0.0/0", "172.17.0.1"));
    let mut wanted = wanted(&["10.1.0.2/24"]);
    wanted.gateways = vec!["10.1.0.1".parse().unwrap()];
    let lower = plan(&wanted, &snapshot, &[]).unwrap();
    let back = [
        "nsenter --net=/proc/7/ns/net ip route del default via 10.1.0.1 dev eth1",
        "nsenter --net=/proc/7/ns/net ip route add default via 172.17.0.1 dev eth0",
        "ip link del nginx-eth1",
    ];
    assert_eq!(undone(&lower, &[]), back);

    // A second NIC takes it from the first; when that goes, the second puts back what the first would have.
    let mut upper = lower.clone();
    let below = lower.steps.iter().map(|(step, _)| step.clone()).find_map(|step| match step {
        PlanStep::AddRoute(route) => Some(route),
        _ => None,
    });
    let below = below.unwrap();
    upper.steps = vec![(PlanStep::DelRoute(below.clone()), Undo::By(PlanStep::AddRoute(below)))];
    assert!(routes::hand_over_routes(&lower, &mut upper));
    assert_eq!(undone(&upper, &[]), [back[1]]);
    assert!(!routes::hand_over_routes(&lower, &mut upper));
}

#[test]
fn a_bridge_that_we_made_is_undone_by_the_last() {
    let mut on_bridge = wanted(&["10.1.0.2/24"]);
    on_bridge.other_end =
        WantedEnd::Bridge(WantedBridge { name: "br1".parse().unwrap(), create: true, vlan: None });
    let first = plan(&on_bridge, &snapshot(), &[]).unwrap();
    assert_eq!(commands(&first)[0], "ip link add br1 address 0e:0e:0f:10:11:12 up type bridge");
    let first = record(on_bridge.clone(), first);
    let mut later = snapshot();
    later.host.links.push(Link { mac: "0e:0e:0f:10:11:12".parse().ok(), ..link(5, "br1", Some("bridge")) });
    later.host.addresses.push(Address::plain(5, "10.1.0.1".parse().unwrap(), 24));
    on_bridge.addresses = vec!["10.1.0.3/24".parse().unwrap()];
    let second = plan(&on_bridge, &later, std::slice::from_ref(&first)).unwrap();
    assert_eq!(undone(&second, &[&first]), ["ip link del nginx-eth1"]);
    assert_eq!(undone(&second, &[]), ["ip link del nginx-eth1", "ip link del br1"]);
    assert_eq!(second.nic.other_end.host_addresses(), Vec::<Cidr>::new());
}

#[test]
fn a_bridge_of_the_same_name_that_somebody_else_made_is_not_ours() {
    let mut on_bridge = wanted(&["10.1.0.2/24"]);
    on_bridge.other_end =
        WantedEnd::Bridge(WantedBridge { name: "br1".parse().unwrap(), create: true, vlan: None });
    let first = record(on_bridge.clone(), plan(&on_bridge, &snapshot(), &[]).unwrap());
    let mut later = snapshot();
    later.host.links.push(link(5, "br1", Some("bridge")));
    on_bridge.addresses = vec!["10.1.0.3/24".parse().unwrap()];
    let second = plan(&on_bridge, &later, std::slice::from_ref(&first)).unwrap();
    assert!(undone(&second, &[]).iter().all(|command| command != "ip link del br1"));
}

#[test]
fn a_network_that_another_link_takes_is_refused() {
    let mut snapshot = snapshot();
    snapshot.host.addresses.push(Address::plain(2, "10.1.0.77".parse().unwrap(), 24));
    let refused = |address: &str| plan(&wanted(&[address]), &snapshot, &[]).unwrap_err();
    assert_eq!(refused("10.1.0.2/24"), "10.1.0.0/24: already on the host's eth0");
    assert_eq!(refused("10.1.0.2/16"), "10.1.0.0/24: already on the host's eth0");
    // The longer prefix wins: this one is reached.
    assert!(plan(&wanted(&["10.1.0.2/30"]), &snapshot, &[]).is_ok());
    assert!(plan(&wanted(&["10.2.0.2/24"]), &snapshot, &[]).is_ok());
}
