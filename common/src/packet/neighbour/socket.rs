//! The socket that sends requests and receives the answers.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use pnet_packet::ethernet::EtherTypes;

use super::error::{PacketError, failed};
use super::packet_socket::PacketSocket;
use super::{Claim, InvalidFrame, filter, read};
use crate::packet::ancillary::Ancillary;
use crate::packet::stamp_log::StampLog;
use crate::packet::{IpFamily, TxStage};
use crate::sys::{self, BATCH, RecvBuffer, SocketOption};
use crate::target::Mac;

/// An advertisement with all its options; a longer frame answers nothing of ours.
const FRAME_BYTES: usize = 256;
/// Room in the kernel for ten thousand answers. Beyond net.core.rmem_max it takes CAP_NET_ADMIN over the first user
/// namespace; without that the socket gets what it may have.
const BUFFER_BYTES: c_int = 8 << 20;
/// How many frames are handed over before the caller looks at the clock again. More than the usual receive buffer holds.
const AT_ONCE: usize = 4096;

/// Time stamps of received frames, and of sent ones by their number alone.
const STAMPS: u32 = libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_ID
    | libc::SOF_TIMESTAMPING_OPT_TSONLY;

/// What a socket hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Answers to our own requests: ARP replies to `mac`, neighbour advertisements, echo replies to `ident`. The kernel says
    /// when these came, and when requests reached the `stage`.
    Answers {
        /// The source of our frames.
        mac: Mac,
        /// The identifier of our echo requests.
        ident: u16,
        /// Which time stamp of a request is wanted.
        stage: TxStage,
    },
    /// All that claims an address, without time stamps.
    Claims,
}

/// A packet socket for requests of one address family on one link.
pub struct NeighbourSocket {
    socket: PacketSocket,
    listen: Listen,
    buffers: Vec<RecvBuffer>,
    /// What was asked, by the caller's own numbers.
    requests: StampLog<u32>,
    /// Answers that the kernel has thrown away because we did not read them in time.
    dropped: u64,
}

/// A frame that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedClaim {
    /// What it says.
    pub claim: Result<Claim, InvalidFrame>,
    /// When the kernel received it, by CLOCK_REALTIME.
    pub at: Option<Duration>,
}

impl NeighbourSocket {
    /// Opens it on the link of that index, in the network that this thread is in. The filter is there before anything can
    /// come.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn open(index: u32, family: IpFamily, listen: Listen) -> Result<Self, PacketError> {
        let (ethertype, program) = match (family, listen) {
            (IpFamily::V4, Listen::Answers { mac, .. }) => (EtherTypes::Arp, filter::arp_replies(mac)),
            (IpFamily::V4, Listen::Claims) => (EtherTypes::Arp, Vec::new()),
            (IpFamily::V6, Listen::Answers { ident, .. }) => (EtherTypes::Ipv6, filter::ipv6_answers(ident)),
            (IpFamily::V6, Listen::Claims) => (EtherTypes::Ipv6, filter::ipv6_claims()),
        };
        let socket = PacketSocket::open(index, ethertype.0, |fd| {
            if !program.is_empty() {
                sys::attach_filter(fd, &program).map_err(failed("attach a filter"))?;
            }
            let Listen::Answers { stage, .. } = listen else { return Ok(()) };
            let number = |option, number: c_int| sys::set_option(fd, option, &number.to_ne_bytes());
            let _ = number(SocketOption::RCVBUFFORCE, BUFFER_BYTES)
                .or_else(|_| number(SocketOption::RCVBUF, BUFFER_BYTES));
            count_requests(fd, stage).map_err(failed("ask for time stamps"))
        })?;
        let buffers = vec![RecvBuffer::without_sender(FRAME_BYTES); BATCH];
        Ok(NeighbourSocket { socket, listen, buffers, requests: StampLog::new(), dropped: 0 })
    }

    /// Sends requests, each with the number that [`NeighbourSocket::sent_at`] names it by: as many as a batch has, and the kernel
    /// takes. How many.
    ///
    /// # Errors
    /// What sendmmsg(2) says, if none was sent: ENETDOWN, and ENOBUFS or EAGAIN where the link's queue is full.
    pub fn send(&mut self, requests: &[(u32, Vec<u8>)]) -> nix::Result<usize> {
        let frames = requests.iter().map(|(_, frame)| frame.as_slice());
        let sent = sys::send_many(self.socket.as_fd(), None, frames);
        let count = sent.unwrap_or(0);
        requests[..count].iter().for_each(|(request, _)| self.requests.sent(*request));
        if count < requests.len().min(BATCH)
            && let Listen::Answers { stage, .. } = self.listen
        {
            // Whether the kernel has counted one that it did not send, it does not say.
            self.sent_at(|_, _| ());
            let _ = count_requests(self.socket.as_fd(), stage);
            self.requests.restart();
        }
        sent
    }

    /// Sends all of them.
    pub(super) fn send_all(&mut self, requests: &[(u32, Vec<u8>)]) -> Result<(), PacketError> {
        let mut rest = requests;
        while !rest.is_empty() {
            rest = &rest[self.send(rest).map_err(failed("send"))?..];
        }
        Ok(())
    }

    /// Hands over all that has come, or the first thousands of it, so that a host that answers faster than we read cannot
    /// keep us. From a link that is down or gone nothing comes.
    ///
    /// # Errors
    /// What recvmmsg(2) says.
    pub fn receive(&mut self, mut each: impl FnMut(ReceivedClaim)) -> nix::Result<()> {
        let mut total = 0;
        while total < AT_ONCE {
            let count = match sys::receive_many(self.socket.as_fd(), &mut self.buffers, 0) {
                Ok(count) => count,
                Err(Errno::EAGAIN | Errno::ENETDOWN) => break,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            for buffer in &self.buffers[..count] {
                let claim = if buffer.is_cut() { Err(InvalidFrame::Length) } else { read(buffer.data()) };
                each(ReceivedClaim { claim, at: Ancillary::of(buffer).at });
            }
            total += count;
            if count < self.buffers.len() {
                break;
            }
        }
        Ok(())
    }

    /// Hands over when requests left, by their numbers; of one that is handed over twice the later time counts.
    pub fn sent_at(&mut self, mut each: impl FnMut(u32, Duration)) {
        while let Ok(count @ 1..) =
            sys::receive_many(self.socket.as_fd(), &mut self.buffers, libc::MSG_ERRQUEUE)
        {
            for buffer in &self.buffers[..count] {
                let Ancillary { at, error, .. } = Ancillary::of(buffer);
                let number = error.and_then(|error| error.stamp()).map(|(number, _)| number);
                if let (Some(at), Some(request)) = (at, number.and_then(|it| self.requests.packet(it))) {
                    each(request, at);
                }
            }
        }
    }

    /// How many answers the kernel has thrown away because we did not read them in time.
    pub fn dropped(&mut self) -> u64 {
        // struct tpacket_stats: packets and drops, both counted from when they were last read.
        let mut numbers = [0; 8];
        let read = sys::option(self.socket.as_fd(), SocketOption::PACKET_STATISTICS, &mut numbers);
        if let (Ok(8), [.., a, b, c, d]) = (read, numbers) {
            self.dropped += u64::from(u32::from_ne_bytes([a, b, c, d]));
        }
        self.dropped
    }
}

/// Has the kernel stamp requests, and count them from 0 on.
fn count_requests(socket: BorrowedFd<'_>, stage: TxStage) -> nix::Result<()> {
    let stages = match stage {
        TxStage::Scheduled => libc::SOF_TIMESTAMPING_TX_SCHED,
        // Not every driver says so: then there is the stage before.
        TxStage::Sent => libc::SOF_TIMESTAMPING_TX_SCHED | libc::SOF_TIMESTAMPING_TX_SOFTWARE,
    };
    let set = |stamps: u32| sys::set_option(socket, SocketOption::TIMESTAMPING, &stamps.to_ne_bytes());
    set(0)?;
    set(STAMPS | stages)
}

impl AsFd for NeighbourSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for NeighbourSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeighbourSocket({:?})", self.socket)
    }
}
