//! The socket that questions go out through, and answers come in by.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::super::PacketError;
use super::super::icmp::{Beside, Family, Stage};
use super::super::socket::{ETH_P_ARP, ETH_P_IPV6, PacketSocket, failed};
use super::{Answer, Oddity, filter, read};
use crate::sys::{self, BATCH, Message, RecvBuffer, SocketOption};
use crate::target::Mac;

/// An advertisement with all its options; whatever is longer answers nothing of ours.
const FRAME_BYTES: usize = 256;
/// Room in the kernel for ten thousand answers. Beyond net.core.rmem_max it takes CAP_NET_ADMIN over the first user
/// namespace; who has not that gets what he may have.
const BUFFER_BYTES: c_int = 8 << 20;
/// Of those so many are handed over before somebody looks at the clock again.
const AT_ONCE: usize = 4096;

/// Of what comes, and of what leaves by its number alone.
const STAMPS: u32 = libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_ID
    | libc::SOF_TIMESTAMPING_OPT_TSONLY;

/// Has the kernel stamp questions, and count them from 0 on.
fn count_questions(socket: BorrowedFd<'_>, stage: Stage) -> nix::Result<()> {
    let stages = match stage {
        Stage::Scheduled => libc::SOF_TIMESTAMPING_TX_SCHED,
        // Not every driver says so: then there is the stage before.
        Stage::Sent => libc::SOF_TIMESTAMPING_TX_SCHED | libc::SOF_TIMESTAMPING_TX_SOFTWARE,
    };
    let set = |stamps: u32| sys::set_option(socket, SocketOption::TIMESTAMPING, &stamps.to_ne_bytes());
    set(0)?;
    set(STAMPS | stages)
}

/// A packet socket for questions of one family on one link.
pub struct AskSocket {
    socket: PacketSocket,
    stage: Stage,
    rooms: Vec<RecvBuffer>,
    /// Answers that the kernel has thrown away because we did not read them in time.
    dropped: u64,
}

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// What it answers.
    pub answer: Result<Answer, Oddity>,
    /// When the kernel had it, by the clock that people have.
    pub at: Option<Duration>,
}

impl AskSocket {
    /// Opens it on the link of that index, in the network that this thread is in. Of questions, too, the kernel says when
    /// they were where `stage` says. The filter is there before anything can come.
    ///
    /// # Errors
    /// [`PacketError`]: EPERM without CAP_NET_RAW over the user namespace of the network.
    pub fn open(
        index: u32,
        family: Family,
        (mac, ident): (Mac, u16),
        stage: Stage,
    ) -> Result<Self, PacketError> {
        let (ethertype, program) = match family {
            Family::V4 => (ETH_P_ARP, filter::arp_replies(mac)),
            Family::V6 => (ETH_P_IPV6, filter::ipv6_answers(ident)),
        };
        let socket = PacketSocket::open_with(index, ethertype, |fd| {
            sys::attach_filter(fd, &program).map_err(failed("attach a filter"))?;
            let number = |option, number: c_int| sys::set_option(fd, option, &number.to_ne_bytes());
            let _ = number(SocketOption::RCVBUFFORCE, BUFFER_BYTES)
                .or_else(|_| number(SocketOption::RCVBUF, BUFFER_BYTES));
            count_questions(fd, stage).map_err(failed("ask for time stamps"))
        })?;
        Ok(AskSocket {
            socket,
            stage,
            rooms: vec![RecvBuffer::without_sender(FRAME_BYTES); BATCH],
            dropped: 0,
        })
    }

    /// Has the kernel count questions from 0 on again: whether it has counted one that it then did not send, it does not
    /// say.
    pub fn count_anew(&mut self) {
        self.sent_at(|_, _| ());
        let _ = count_questions(self.socket.as_fd(), self.stage);
    }

    /// Sends as many of `frames` as a batch has, and the kernel takes. How many.
    ///
    /// # Errors
    /// What sendmmsg(2) says, if none was sent: ENETDOWN, and ENOBUFS or EAGAIN where the link's queue is full.
    pub fn send<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) -> nix::Result<usize> {
        sys::send_many(self.socket.as_fd(), None, frames.into_iter().map(Message::from))
    }

    /// Hands over all that has come, or the first thousands of it: who answers faster than we read does not keep us. How
    /// much.
    ///
    /// # Errors
    /// What recvmmsg(2) says, other than that there is nothing: ENETDOWN.
    pub fn receive(&mut self, mut each: impl FnMut(Heard)) -> nix::Result<usize> {
        let mut total = 0;
        loop {
            let count = match sys::receive_many(self.socket.as_fd(), &mut self.rooms, 0) {
                Ok(count) => count,
                Err(Errno::EAGAIN) => return Ok(total),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            for room in &self.rooms[..count] {
                let answer = if room.is_cut() { Err(Oddity::Length) } else { read(room.data()) };
                each(Heard { answer, at: Beside::of(room).at });
            }
            total += count;
            if count < self.rooms.len() || total >= AT_ONCE {
                return Ok(total);
            }
        }
    }

    /// Hands over when questions left, counted from the first; of one that is handed over twice the later time counts.
    pub fn sent_at(&mut self, mut each: impl FnMut(u32, Duration)) {
        while let Ok(count @ 1..) =
            sys::receive_many(self.socket.as_fd(), &mut self.rooms, libc::MSG_ERRQUEUE)
        {
            for room in &self.rooms[..count] {
                let Beside { at, error, .. } = Beside::of(room);
                if let (Some(at), Some((question, _))) = (at, error.and_then(|error| error.stamp())) {
                    each(question, at);
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

impl AsFd for AskSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for AskSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskSocket({:?})", self.socket)
    }
}
