//! Waits until the NIC works: both ends have a carrier, the bridge forwards, and the addresses are announced.

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::failure::{Failure, say};
use common::netlink::{Link, OperState, PortState};
use common::packet::neighbour::Segment;
use common::target::IfName;

use crate::apply::executor::{Executor, StepError};
use crate::apply::proof::{self, Reachability};
use crate::apply::route_check;
use crate::model::change::{AddressSpec, PlanStep};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};
use crate::model::plan::Plan;
use crate::read::sockets::enter;
use crate::tool::TOOL;

/// Kernels before 6.9 process link events once a second; the rest is a margin for busy machines.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Gigabit Ethernet takes two to three seconds.
const TIMEOUT_WITH_HARDWARE: Duration = Duration::from_secs(5);
/// Between two looks; each is some 20 µs of the kernel's time.
const BETWEEN: Duration = Duration::from_micros(200);

/// The index of every namespace's lo (LOOPBACK_IFINDEX in net/net_namespace.h).
const LO: u32 = 1;

/// Waits until the NIC works, and announces its addresses.
///
/// `known` is the status of its links, if that is known already.
pub fn finish(
    plan: &Plan,
    executor: &mut Executor,
    announce: bool,
    known: Option<LinkStatus<'_>>,
) -> Result<Reachability, Failure> {
    let nic = &plan.nic;
    let works = known.map_or_else(|| wait_for_links(plan, executor), Ok)?;
    for (step, _) in &plan.steps {
        if let PlanStep::AddAddress(spec) = step {
            wait_for_address(spec, executor)?;
        }
    }
    if let LinkStatus::NoCarrier(link) = works {
        let subject = if *link == nic.name { "it" } else { nic.name.as_str() };
        say(TOOL, format_args!("{link} has no carrier: {subject} will not work until it has"));
    } else {
        // Without one, routes through it may not count yet.
        route_check::verify(plan, executor)?;
    }
    if announce {
        send_announcement(nic, executor)?;
    }
    if works == LinkStatus::Ready { proof::look(nic, executor) } else { Ok(Reachability::Later) }
}

/// Announces the addresses `times` more, for neighbours that missed it. The NIC works already: a signal only ends the
/// process.
pub fn announce_again(nic: &Nic, executor: &mut Executor, times: u8) -> Result<(), Failure> {
    // ANNOUNCE_INTERVAL in RFC 5227, 1.1; RETRANS_TIMER in RFC 4861, 7.2.6 and 10.
    let is_ipv4 = nic.addresses.iter().any(|cidr| cidr.address().is_ipv4());
    let interval = Duration::from_secs(if is_ipv4 { 2 } else { 1 });
    if !nic.other_end.has_neighbours() {
        return Ok(());
    }
    for _ in 0..times {
        sleep(interval);
        send_announcement(nic, executor)?;
    }
    Ok(())
}

fn send_announcement(nic: &Nic, executor: &mut Executor) -> Result<(), Failure> {
    // On a plain veth pair there are no neighbours with a stale cache.
    if !nic.other_end.has_neighbours() {
        return Ok(());
    }
    let as_failure = |error: StepError| Failure::failed(&nic.name, error);
    let index = executor.index(Netns::Container, &nic.name).map_err(as_failure)?;
    let Some((_, namespace)) = &executor.sockets.inside else { return Ok(()) };
    let addresses = nic.addresses.iter().map(|cidr| cidr.address());
    let segment = Segment { index, mac: nic.mac };
    Ok(enter(&executor.sockets.home, namespace, || segment.announce(addresses))??)
}

/// Whether the NIC's links work, or why not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStatus<'a> {
    /// They work.
    Ready,
    /// The bridge does not forward yet (spanning tree protocol); the preflight has warned.
    BridgeLearning,
    /// This link has no carrier.
    NoCarrier(&'a IfName),
}

/// Waits until all links of the NIC have a carrier, unless that depends on something outside.
pub fn wait_for_links<'a>(plan: &'a Plan, executor: &mut Executor) -> Result<LinkStatus<'a>, Failure> {
    let nic = &plan.nic;
    if bridge_learns(plan, executor)? {
        return Ok(LinkStatus::BridgeLearning);
    }
    if let Some(parent) = without_carrier(plan, executor)? {
        return Ok(LinkStatus::NoCarrier(parent));
    }
    // Hardware negotiates its speed first, and may have no cable.
    let is_hardware = matches!(nic.other_end, OtherEnd::Phys(_));
    let other = nic.other_end.other_port().map(|(netns, port)| (netns, &port.name));
    // Until a port of the bridge forwards, the kernel drops the host's own packets.
    let bridge = nic.other_end.bridge().map(|bridge| (Netns::Host, bridge));
    for (netns, name) in other.into_iter().chain(bridge).chain([(Netns::Container, &nic.name)]) {
        if !wait_for_carrier(plan, (netns, name), is_hardware, executor)? {
            return match is_hardware {
                true => Ok(LinkStatus::NoCarrier(name)),
                false => {
                    Err(Failure::failed(name, format_args!("did not come up within {} s", TIMEOUT.as_secs())))
                }
            };
        }
    }
    Ok(LinkStatus::Ready)
}

/// Whether the bridge delays forwarding because of the spanning tree protocol.
fn bridge_learns(plan: &Plan, executor: &mut Executor) -> Result<bool, Failure> {
    let Some(bridge) = plan.nic.other_end.bridge() else { return Ok(false) };
    Ok(executor.sockets.host.link_named(bridge)?.is_some_and(|link| link.spanning_tree))
}

/// The parent, if it has no carrier.
fn without_carrier<'a>(plan: &'a Plan, executor: &mut Executor) -> Result<Option<&'a IfName>, Failure> {
    let Some(parent) = plan.nic.other_end.parent() else { return Ok(None) };
    let link = executor.sockets.host.link_named(&parent.name)?;
    let down = |link: &Link| matches!(link.operstate, OperState::Down | OperState::LowerLayerDown);
    Ok(Some(&parent.name).filter(|_| link.as_ref().is_some_and(down)))
}

/// Each look also has the kernel finish what it would otherwise do up to a second later: whichever end was set up last
/// counts as down until then, and has no IPv6 (rtnl_getlink and linkwatch_sync_dev, since Linux 6.9).
fn wait_for_carrier(
    plan: &Plan,
    (netns, name): (Netns, &IfName),
    is_hardware: bool,
    executor: &mut Executor,
) -> Result<bool, Failure> {
    let until = Instant::now() + if is_hardware { TIMEOUT_WITH_HARDWARE } else { TIMEOUT };
    let is_port = plan.nic.other_end.bridge().is_some_and(|bridge| netns == Netns::Host && name != bridge);
    loop {
        let Some(link) = executor.link(netns, name).map_err(|error| Failure::failed(name, error))? else {
            return Err(Failure::failed(name, "disappeared: the container exited or deleted it"));
        };
        // A veth end is up when its other end is.
        let forwards = !is_port || link.port_state == Some(PortState::Forwarding);
        // Drivers need not say how it is, ipvlan's and many of hardware among them.
        let does_not_say = !link.is_veth() && link.operstate == OperState::Unknown;
        let carries = link.operstate == OperState::Up || (does_not_say && link.has_carrier());
        if carries && forwards {
            return Ok(true);
        }
        if Instant::now() > until {
            return Ok(false);
        }
        sleep(BETWEEN);
    }
}

/// The kernel adds the routes of an IPv6 address, also the local one, only later in a work queue, even without duplicate
/// address detection (addrconf_dad_start in net/ipv6/addrconf.c).
fn wait_for_address(spec: &AddressSpec, executor: &mut Executor) -> Result<(), Failure> {
    let address = spec.cidr.address();
    let as_failure = |error: StepError| Failure::failed(address, error);
    let link = executor.index(spec.netns, &spec.link).map_err(as_failure)?;
    // What is for the host itself goes through lo; what is for the other end, through the link.
    let wanted = std::iter::once((address, LO)).chain(spec.peer.map(|peer| (peer, link)));
    let until = Instant::now() + TIMEOUT;
    for (to, through) in wanted.filter(|(to, _)| to.is_ipv6()) {
        while executor.route_to(spec.netns, to).map_err(as_failure)? != Some(through) {
            if Instant::now() > until {
                return Err(Failure::failed(
                    to,
                    format_args!("no route through {} after {} s", spec.link, TIMEOUT.as_secs()),
                ));
            }
            sleep(BETWEEN);
        }
    }
    Ok(())
}
