//! What waits at a port at the other end, where that is a network of this host: the sockets themselves are looked at, there.

use std::net::IpAddr;

use common::map::walk;
use common::netlink::{ListeningSocket, NetlinkError, listening};
use common::netns::Home;
use common::target::DestPort;

/// What waits at a port in the network that has the address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortThere {
    /// All sockets that wait at that port, at whatever address.
    pub sockets: Vec<ListeningSocket>,
}

impl PortThere {
    /// In the one network of this host that has `address`; `None` if none has it, several have it, or it cannot be looked at.
    pub fn look(address: IpAddr, port: DestPort) -> Option<Self> {
        let home = Home::current().ok()?;
        let seen = walk(|mut visit| {
            if !visit.socket.addresses()?.iter().any(|own| own.address == address) {
                return Ok(None);
            }
            let looked = home.inside(&visit.namespace, || listening(port.transport, port.number));
            Ok::<_, NetlinkError>(looked.ok().and_then(Result::ok))
        });
        let [sockets] = <[Vec<ListeningSocket>; 1]>::try_from(seen.ok()?.seen).ok()?;
        Some(PortThere { sockets })
    }

    /// The sockets that packets to `address` come to.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &ListeningSocket> {
        self.sockets.iter().filter(move |socket| socket.has(address))
    }

    /// Where they wait, without repetitions.
    pub fn places(&self) -> Vec<IpAddr> {
        let mut places: Vec<IpAddr> = self.sockets.iter().map(|socket| socket.address.ip()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}
