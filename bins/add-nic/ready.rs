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
use crate::step::Place;
use crate::wires::{WireError, Wires};

/// Kernels before 6.9 look after links once a second.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Between two looks; each is some 20 µs of the kernel's time.
const BETWEEN: Duration = Duration::from_micros(200);

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
        let bridge = nic.bridge.as_ref().map_or("", |bridge| bridge.as_str());
        say(
            TOOL,
            format_args!("{bridge} runs the spanning tree protocol: it forwards to {} only later", nic.name),
        );
    } else {
        for (place, name) in [(Place::Outside, &nic.host_name), (Place::Inside, &nic.name)] {
            wait_for_carrier(plan, (place, name), wires)?;
        }
    }
    // On a cable of its own there is nobody else who could remember anything.
    if announce == Announce::No || nic.bridge.is_none() {
        return Ok(());
    }
    let Some((_, namespace)) = &wires.sockets.inside else { return Ok(()) };
    let addresses = nic.addresses.iter().map(|cidr| cidr.address());
    let segment = Segment { index: inside, mac: nic.mac };
    Ok(enter(&wires.sockets.home, namespace, || segment.announce(addresses))??)
}

/// Whether the bridge waits, many seconds long, to learn of others before it forwards.
fn learns(plan: &Plan, wires: &mut Wires) -> Result<bool, Failure> {
    let Some(bridge) = &plan.nic.bridge else { return Ok(false) };
    Ok(wires.sockets.outside.link_named(bridge)?.is_some_and(|link| link.spanning_tree))
}

/// Each look also has the kernel finish what it would otherwise do up to a second later: whichever end was set up last
/// counts as down until then, and has no IPv6 (rtnl_getlink and linkwatch_sync_dev, since Linux 6.9).
fn wait_for_carrier(plan: &Plan, (place, name): (Place, &IfName), wires: &mut Wires) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let is_port = place == Place::Outside && plan.nic.bridge.is_some();
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
