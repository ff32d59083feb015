//! What waits at a port at the other end, where that is a network of this host: the sockets themselves are looked at, there.

use std::net::IpAddr;

use common::map::walk;
use common::netlink::{ListeningSocket, NetlinkError, listening};
use common::netns::Home;
use common::target::DestPort;

/// All sockets that wait at that port, at whatever address, in the one network of this host that has `address`; `None` if
/// none has it, several have it, or it cannot be looked at.
pub fn look(address: IpAddr, port: DestPort) -> Option<Vec<ListeningSocket>> {
    let home = Home::current().ok()?;
    let seen = walk(|mut visit| {
        if !visit.socket.addresses()?.iter().any(|own| own.address == address) {
            return Ok(None);
        }
        let looked = home.inside(&visit.namespace, || listening(port.transport, port.number));
        Ok::<_, NetlinkError>(looked.ok().and_then(Result::ok))
    });
    let [sockets] = <[Vec<ListeningSocket>; 1]>::try_from(seen.ok()?.seen).ok()?;
    Some(sockets)
}
