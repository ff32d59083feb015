//! From "made" to "works": both ends carry packets, the bridge forwards, and neighbours know whose the addresses are now.

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::failure::{Failure, say};
use common::netlink::{OperState, PortState};
use common::packet::Segment;
use common::target::IfName;

use crate::TOOL;
use crate::plan::Plan;
use crate::snapshot::enter;
use crate::step::{Held, Place, Step};
use crate::wires::{WireError, Wires};

/// Kernels before 6.9 look after links once a second.
const PATIENCE: Duration = Duration::from_millis(1500);
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
    if learns(plan, wires)? {
        let bridge = nic.other_end.bridge().map_or("", IfName::as_str);
        say(
            TOOL,
            format_args!("{bridge} runs the spanning tree protocol: it forwards to {} only later", nic.name),
        );
    } else {
        let port = nic.other_end.port().map(|port| (Place::Outside, &port.name));
        for (place, name) in port.into_iter().chain([(Place::Inside, &nic.name)]) {
            wait_for_carrier(plan, (place, name), wires)?;
        }
    }
    for (step, _) in &plan.steps {
        if let Step::AddAddress(held) = step {
            wait_for_address(held, wires)?;
        }
    }
    // On a cable of its own there is nobody else who could remember anything.
    if announce == Announce::No || nic.other_end.bridge().is_none() {
        return Ok(());
    }
    let Some((_, namespace)) = &wires.sockets.inside else { return Ok(()) };
    let addresses = nic.addresses.iter().map(|cidr| cidr.address());
    let segment = Segment { index: inside, mac: nic.mac };
    Ok(enter(&wires.sockets.home, namespace, || segment.announce(addresses))??)
}

/// Whether the bridge waits, many seconds long, to learn of others before it forwards.
fn learns(plan: &Plan, wires: &mut Wires) -> Result<bool, Failure> {
    let Some(bridge) = plan.nic.other_end.bridge() else { return Ok(false) };
    Ok(wires.sockets.outside.link_named(bridge)?.is_some_and(|link| link.spanning_tree))
}

/// Each look also has the kernel finish what it would otherwise do up to a second later: whichever end was set up last
/// counts as down until then, and has no IPv6 (rtnl_getlink and linkwatch_sync_dev, since Linux 6.9).
fn wait_for_carrier(plan: &Plan, (place, name): (Place, &IfName), wires: &mut Wires) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let is_port = place == Place::Outside && plan.nic.other_end.bridge().is_some();
    loop {
        let Some(link) = wires.look(place, name).map_err(|error| Failure::trouble(name, error))? else {
            return Err(Failure::trouble(name, "is gone: the container has ended, or deleted it"));
        };
        // A veth end is up when its other end is.
        let forwards = !is_port || link.port_state == Some(PortState::Forwarding);
        if link.operstate == OperState::Up && forwards {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Failure::trouble(name, "does not come to carry packets"));
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
