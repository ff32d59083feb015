//! From "made" to "works": both ends carry packets, the bridge forwards, and neighbours know whose the addresses are now.

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::failure::{Failure, say};
use common::netlink::{Link, OperState, PortState};
use common::packet::Segment;
use common::target::IfName;

use crate::TOOL;
use crate::plan::{OtherEnd, Plan};
use crate::snapshot::enter;
use crate::step::{Held, Place, Step};
use crate::wires::{WireError, Wires};

/// Kernels before 6.9 look after links once a second; the rest is for machines that are busy with something else.
const PATIENCE: Duration = Duration::from_secs(4);
/// Gigabit Ethernet takes two to three seconds.
const PATIENCE_WITH_HARDWARE: Duration = Duration::from_secs(5);
/// Between two looks; each is some 20 µs of the kernel's time.
const BETWEEN: Duration = Duration::from_micros(200);

/// The index of every namespace's lo (LOOPBACK_IFINDEX in net/net_namespace.h).
const LO: u32 = 1;

/// Whether neighbours are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    Yes,
    No,
}

/// Waits until the NIC works, and says so on its segment.
pub fn make(plan: &Plan, wires: &mut Wires, announce: Announce) -> Result<(), Failure> {
    let nic = &plan.nic;
    let trouble = |error: WireError| Failure::trouble(&nic.name, error);
    let inside = wires.index(Place::Inside, &nic.name).map_err(trouble)?;
    let works = wait_for_links(plan, wires)?;
    for (step, _) in &plan.steps {
        if let Step::AddAddress(held) = step {
            wait_for_address(held, wires)?;
        }
    }
    if let Some(why_not) = works {
        say(TOOL, why_not);
    }
    // On a cable of its own there is nobody else who could remember anything.
    if announce == Announce::No || !nic.other_end.has_neighbours() {
        return Ok(());
    }
    let Some((_, namespace)) = &wires.sockets.inside else { return Ok(()) };
    let addresses = nic.addresses.iter().map(|cidr| cidr.address());
    let segment = Segment { index: inside, mac: nic.mac };
    Ok(enter(&wires.sockets.home, namespace, || segment.announce(addresses))??)
}

/// Waits until all links of the NIC carry packets; or says why that is not waited for.
pub fn wait_for_links(plan: &Plan, wires: &mut Wires) -> Result<Option<String>, Failure> {
    let nic = &plan.nic;
    if learns(plan, wires)? {
        let bridge = nic.other_end.bridge().map_or("", IfName::as_str);
        return Ok(Some(format!(
            "{bridge} runs the spanning tree protocol: it forwards to {} only later",
            nic.name
        )));
    }
    if let Some(parent) = without_carrier(plan, wires)? {
        return Ok(Some(format!("{parent} has no carrier: {} reaches nobody until it has", nic.name)));
    }
    // Hardware agrees with its switch how fast both are, and need not have any.
    let is_hardware = matches!(nic.other_end, OtherEnd::Phys(_));
    let other = nic.other_end.far().map(|(place, port)| (place, &port.name));
    for (place, name) in other.into_iter().chain([(Place::Inside, &nic.name)]) {
        if !wait_for_carrier(plan, (place, name), is_hardware, wires)? {
            return match is_hardware {
                true => Ok(Some(format!("{name} has no carrier: it reaches nobody until it has"))),
                false => Err(Failure::trouble(name, "does not come to carry packets")),
            };
        }
    }
    Ok(None)
}

/// Whether the bridge waits, many seconds long, to learn of others before it forwards.
fn learns(plan: &Plan, wires: &mut Wires) -> Result<bool, Failure> {
    let Some(bridge) = plan.nic.other_end.bridge() else { return Ok(false) };
    Ok(wires.sockets.outside.link_named(bridge)?.is_some_and(|link| link.spanning_tree))
}

/// The link below, if nothing is plugged into that.
fn without_carrier(plan: &Plan, wires: &mut Wires) -> Result<Option<IfName>, Failure> {
    let Some(parent) = plan.nic.other_end.parent() else { return Ok(None) };
    let link = wires.sockets.outside.link_named(&parent.name)?;
    let down = |link: &Link| matches!(link.operstate, OperState::Down | OperState::LowerLayerDown);
    Ok(Some(parent.name.clone()).filter(|_| link.as_ref().is_some_and(down)))
}

/// Each look also has the kernel finish what it would otherwise do up to a second later: whichever end was set up last
/// counts as down until then, and has no IPv6 (rtnl_getlink and linkwatch_sync_dev, since Linux 6.9).
fn wait_for_carrier(
    plan: &Plan,
    (place, name): (Place, &IfName),
    is_hardware: bool,
    wires: &mut Wires,
) -> Result<bool, Failure> {
    let until = Instant::now() + if is_hardware { PATIENCE_WITH_HARDWARE } else { PATIENCE };
    let is_port = place == Place::Outside && plan.nic.other_end.bridge().is_some();
    loop {
        let Some(link) = wires.look(place, name).map_err(|error| Failure::trouble(name, error))? else {
            return Err(Failure::trouble(name, "is gone: the container has ended, or deleted it"));
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

/// The kernel gives an IPv6 address its routes, the one to itself among them, only later, in a work queue, even if nobody
/// is to be asked whose it is (addrconf_dad_start in net/ipv6/addrconf.c).
fn wait_for_address(held: &Held, wires: &mut Wires) -> Result<(), Failure> {
    let address = held.cidr.address();
    let trouble = |error: WireError| Failure::trouble(address, error);
    let link = wires.index(held.place, &held.link).map_err(trouble)?;
    // What is for the host itself goes through lo; what is for the other end, through the link.
    let wanted = std::iter::once((address, LO)).chain(held.peer.map(|peer| (peer, link)));
    let until = Instant::now() + PATIENCE;
    for (to, through) in wanted.filter(|(to, _)| to.is_ipv6()) {
        while wires.way_to(held.place, to).map_err(trouble)? != Some(through) {
            if Instant::now() > until {
                return Err(Failure::trouble(
                    to,
                    format_args!("does not come to be reached through {}", held.link),
                ));
            }
            sleep(BETWEEN);
        }
    }
    Ok(())
}
