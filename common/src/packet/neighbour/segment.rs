//! A link that is asked once, for duplicate address detection, and on which addresses are announced.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::error::failed;
use super::packet_socket::{NOTHING, PacketSocket};
use super::sender::announcement;
use super::socket::{Listen, NeighbourSocket};
use super::{Claim, PacketError, ProbeSender};
use crate::packet::{IpFamily, wait_for};
use crate::target::Mac;

/// A link of the namespace that this thread is in, by its index, and our MAC there.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The link's index.
    pub index: u32,
    /// The source of our frames.
    pub mac: Mac,
}

/// A socket, and the requests that are sent through it.
type Requests = (NeighbourSocket, Vec<(u32, Vec<u8>)>);

impl Segment {
    /// The first claim of any of `addresses`. Sends one request for each of `waits`, and listens that long after it. Ends as soon
    /// as one is claimed, or `stop` can be read. The requests change no neighbour table.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn who_has(
        &self,
        addresses: &[IpAddr],
        waits: &[Duration],
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Claim>, PacketError> {
        let mut sockets = Vec::new();
        for family in [IpFamily::V4, IpFamily::V6] {
            let of_family = addresses.iter().filter(|address| IpFamily::of(**address) == family);
            let sender = ProbeSender { mac: self.mac, address: None };
            let requests: Vec<_> = of_family.map(|address| (0, sender.request(*address))).collect();
            if !requests.is_empty() {
                sockets.push((NeighbourSocket::open(self.index, family, Listen::Claims)?, requests));
            }
        }
        // Our own frames can come back to us.
        let counts = |claim: &Claim| claim.mac != self.mac && addresses.contains(&claim.address);
        for wait in waits {
            for (socket, requests) in &mut sockets {
                socket.send_all(requests)?;
            }
            let until = Instant::now() + *wait;
            loop {
                // What has come in time is read, however late we are.
                let is_last = Instant::now() >= until;
                if let Some(claim) = claimed(&mut sockets, counts).map_err(failed("receive"))? {
                    return Ok(Some(claim));
                }
                if is_last {
                    break;
                }
                let fds = stop.into_iter().chain(sockets.iter().map(|(socket, _)| socket.as_fd()));
                let ready = wait_for(fds, until).map_err(failed("wait for an answer"))?;
                if stop.is_some() && ready.first() == Some(&0) {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Tells all neighbours that these addresses are `mac`'s now, so that they replace what they remember.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn announce(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), PacketError> {
        let socket = PacketSocket::open(self.index, NOTHING, |_| Ok(()))?;
        addresses.into_iter().try_for_each(|address| socket.send(&announcement(self.mac, address)))
    }
}

/// The first claim that counts of all that have come.
fn claimed(sockets: &mut [Requests], counts: impl Fn(&Claim) -> bool) -> Result<Option<Claim>, Errno> {
    let mut claimed = None;
    for (socket, _) in sockets {
        socket.receive(|received| claimed = claimed.or(received.claim.ok().filter(&counts)))?;
    }
    Ok(claimed)
}
