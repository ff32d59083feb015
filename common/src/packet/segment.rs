//! A link's segment: what is asked and said there.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::socket::{ETH_P_ARP, ETH_P_IPV6, NOTHING, PacketSocket, next};
use super::{Claim, announcement, claim, probe};
use crate::failure::{Failure, Status};
use crate::target::Mac;

/// Why a segment cannot be talked to.
#[derive(Debug, thiserror::Error)]
#[error("packet socket: {action}: {source}")]
pub struct PacketError {
    /// What we tried to do.
    pub(super) action: &'static str,
    /// What the kernel said.
    pub(super) source: io::Error,
}

impl From<PacketError> for Failure {
    fn from(error: PacketError) -> Self {
        Failure::said(Status::Trouble, &error)
    }
}

/// More frames than the usual receive buffer of a socket holds (net.core.rmem_default).
const MOST_LATE: u32 = 1024;

/// A link of the namespace that this thread is in, by its index, and our address there.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The link's index.
    pub index: u32,
    /// What our frames come from.
    pub mac: Mac,
}

impl Segment {
    /// Who claims any of `addresses`. Asks once for each of `waits`, and listens for as long behind it; over as soon as
    /// somebody claims one, or `stop` can be read. Who asks leaves no trace in anybody's tables.
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
        let mut probes = Vec::new();
        for (ethertype, is_ipv4) in [(ETH_P_ARP, true), (ETH_P_IPV6, false)] {
            let of_family = addresses.iter().filter(|address| address.is_ipv4() == is_ipv4);
            let frames: Vec<_> = of_family.map(|address| probe(self.mac, *address)).collect();
            if !frames.is_empty() {
                sockets.push(PacketSocket::open(self.index, ethertype)?);
                probes.push(frames);
            }
        }
        // Our own frames can come back to us.
        let counts = |claim: &Claim| claim.mac != self.mac && addresses.contains(&claim.address);
        for wait in waits {
            for (socket, frames) in sockets.iter().zip(&probes) {
                frames.iter().try_for_each(|frame| socket.send(frame))?;
            }
            let until = Instant::now() + *wait;
            // What has come in time is read, however late we are; what comes ever after is not.
            let mut late = 0;
            while late < MOST_LATE
                && let Some(frame) = next(&sockets, until, stop)?
            {
                if let Some(claim) = claim(&frame).filter(counts) {
                    return Ok(Some(claim));
                }
                late += u32::from(Instant::now() > until);
            }
        }
        Ok(None)
    }

    /// Tells everybody on the segment that these addresses are `mac`'s now, so that nobody goes on sending to who had
    /// them before.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn announce(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), PacketError> {
        let socket = PacketSocket::open(self.index, NOTHING)?;
        addresses.into_iter().try_for_each(|address| socket.send(&announcement(self.mac, address)))
    }
}
