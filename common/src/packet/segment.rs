//! A link's segment: what is asked and said there, through a packet socket.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};

use super::{Claim, announcement, claim, probe};
use crate::failure::{Failure, Status};
use crate::sys;
use crate::target::Mac;

/// linux/if_ether.h
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;

/// Why a segment cannot be talked to.
#[derive(Debug, thiserror::Error)]
#[error("packet socket: {action}: {source}")]
pub struct PacketError {
    /// What we tried to do.
    action: &'static str,
    /// What the kernel said.
    source: io::Error,
}

impl From<PacketError> for Failure {
    fn from(error: PacketError) -> Self {
        Failure::said(Status::Trouble, &error)
    }
}

/// A link of the namespace that this thread is in, by its index, and our address there.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The link's index.
    pub index: u32,
    /// What our frames come from.
    pub mac: Mac,
}

impl Segment {
    /// Who has any of `addresses`, as far as he says so within `patience`; over as soon as somebody has said so for
    /// each of them. Who asks leaves no trace in anybody's tables.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn who_has(&self, addresses: &[IpAddr], patience: Duration) -> Result<Vec<Claim>, PacketError> {
        let mut claims = Vec::new();
        for (ethertype, is_ipv4) in [(ETH_P_ARP, true), (ETH_P_IPV6, false)] {
            let addresses: Vec<IpAddr> =
                addresses.iter().copied().filter(|address| address.is_ipv4() == is_ipv4).collect();
            if !addresses.is_empty() {
                claims.extend(self.ask(ethertype, &addresses, patience)?);
            }
        }
        Ok(claims)
    }

    fn ask(
        &self,
        ethertype: u16,
        addresses: &[IpAddr],
        patience: Duration,
    ) -> Result<Vec<Claim>, PacketError> {
        let fd = self.open(ethertype)?;
        for address in addresses {
            self.send(&fd, &probe(self.mac, *address))?;
        }
        let until = Instant::now() + patience;
        let mut claims: Vec<Claim> = Vec::new();
        while claims.len() < addresses.len() {
            let Some(frame) = receive(&fd, until)? else { break };
            // Our own frames come back to us too.
            let heard =
                claim(&frame).filter(|heard| heard.mac != self.mac && addresses.contains(&heard.address));
            claims.extend(heard.filter(|heard| claims.iter().all(|claim| claim.address != heard.address)));
        }
        Ok(claims)
    }

    /// Tells everybody on the segment that these addresses are `mac`'s now, so that nobody goes on sending to who had
    /// them before.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn announce(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), PacketError> {
        // A socket that is to hear nothing: the kernel then gives it no copies.
        let fd = self.open(0)?;
        let claims = addresses.into_iter().map(|address| Claim { address, mac: self.mac });
        claims.map(announcement).try_for_each(|frame| self.send(&fd, &frame))
    }

    fn open(&self, ethertype: u16) -> Result<OwnedFd, PacketError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd =
            socket(AddressFamily::Packet, SockType::Raw, flags, None).map_err(failed("open a socket"))?;
        sys::packet_bind(fd.as_fd(), self.index, ethertype).map_err(failed("bind it to the link"))?;
        Ok(fd)
    }

    #[expect(clippy::unused_self, reason = "it is the segment that is spoken to")]
    fn send(&self, fd: &OwnedFd, frame: &[u8]) -> Result<(), PacketError> {
        send(fd.as_raw_fd(), frame, MsgFlags::empty()).map(drop).map_err(failed("send"))
    }
}

fn failed(action: &'static str) -> impl Fn(Errno) -> PacketError {
    move |errno| PacketError { action, source: errno.into() }
}

/// The next frame, or none until then.
fn receive(fd: &OwnedFd, until: Instant) -> Result<Option<Vec<u8>>, PacketError> {
    let mut frame = vec![0; 2048];
    loop {
        match recv(fd.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(length) => {
                frame.truncate(length);
                return Ok(Some(frame));
            }
            // The link went down, or was deleted.
            Err(Errno::ENETDOWN) => return Ok(None),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(failed("receive")(errno)),
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let timeout = PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("wait for an answer")(errno)),
        }
    }
}
