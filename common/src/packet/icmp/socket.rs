//! The socket: raw where that is permitted, otherwise one of the kernel's own for ping. It belongs to the network
//! namespace that it was opened in.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use std::{fmt, mem};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::echo::{self, EchoReply, HEADER_BYTES, InvalidReply, answer, quoted};
use super::error::{EchoSocketError, io};
use super::event::TxEvent;
use super::filter;
use super::options::EchoOptions;
use crate::packet::IpFamily;
use crate::packet::ancillary::{Ancillary, STAMPS};
use crate::packet::stamp_log::StampLog;
use crate::sys::{self, BATCH, RecvBuffer, SocketOption};

/// The longest IPv4 header, and as much more of a packet as tells that it is longer than it should be.
const AROUND_BYTES: usize = 60 + 64;
/// What is in the error queue is the beginning of a packet, or nothing.
const QUOTED_BYTES: usize = 128;
/// So much of it is read at once.
const EVENTS: usize = 16;
/// And so much before the caller looks at the clock again.
const MOST_EVENTS: usize = 4096;

/// A socket for echo requests of one family and size, and for what comes back.
pub struct EchoSocket {
    fd: OwnedFd,
    family: IpFamily,
    is_raw: bool,
    ident: u16,
    requests: Vec<Vec<u8>>,
    buffers: Vec<RecvBuffer>,
    /// For what is in the error queue.
    event_buffers: Vec<RecvBuffer>,
    /// Events that were read before the caller asked for them.
    early: Vec<TxEvent>,
    sent: StampLog<u16>,
}

/// A packet that has come.
#[derive(Debug)]
pub struct ReceivedEcho<'a> {
    /// Its source address.
    pub from: IpAddr,
    /// Its TTL when it came.
    pub ttl: Option<u8>,
    /// When the kernel received it, by CLOCK_REALTIME.
    pub at: Option<Duration>,
    /// Whether it was too long to be read as a whole.
    pub is_cut: bool,
    /// How long it is, from the ICMP header on.
    pub bytes: usize,
    /// What it answers.
    pub answer: Result<EchoReply<'a>, InvalidReply>,
}

impl EchoSocket {
    /// Opens it in the network that this thread is in. `payload` begins with [`echo::TOKEN_BYTES`] random bytes: what comes
    /// back without them is no answer. `ident` tells our packets from those of others; a socket that is
    /// not raw has one from the kernel instead.
    ///
    /// # Errors
    /// [`EchoSocketError`].
    pub fn open(
        family: IpFamily,
        ident: u16,
        payload: &[u8],
        options: &EchoOptions,
    ) -> Result<Self, EchoSocketError> {
        let (fd, is_raw) = opened(family)?;
        let batch = options.batch.clamp(1, BATCH);
        let bytes = AROUND_BYTES + HEADER_BYTES + payload.len();
        let has_header = is_raw && family == IpFamily::V4;
        let buffer = if has_header { RecvBuffer::without_sender(bytes) } else { RecvBuffer::new(bytes) };
        let mut socket = EchoSocket {
            fd,
            family,
            is_raw,
            ident,
            requests: vec![echo::request(family, ident, 0, payload); batch],
            buffers: vec![buffer; batch],
            event_buffers: vec![RecvBuffer::new(QUOTED_BYTES); EVENTS],
            early: Vec::new(),
            sent: StampLog::new(),
        };
        if is_raw {
            filter::attach(socket.fd.as_fd(), family, ident).map_err(io("attach a filter"))?;
        }
        options.set(socket.fd.as_fd(), family)?;
        socket.count_stamps().map_err(io("ask for time stamps"))?;
        // What came before the filter was there is not for us.
        while sys::receive_many(socket.fd.as_fd(), &mut socket.buffers, 0).is_ok() {}
        Ok(socket)
    }

    /// Has the kernel stamp packets, and count those that are sent from 0 on.
    fn count_stamps(&self) -> nix::Result<()> {
        let set =
            |flags: u32| sys::set_option(self.fd.as_fd(), SocketOption::TIMESTAMPING, &flags.to_ne_bytes());
        set(0)?;
        set(STAMPS)
    }

    /// Whether it is a raw one.
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Sends `count` requests to `to`, numbered from `first` on; at most as many as a batch has. How many were sent: of
    /// the next one, the error is what the next call says.
    ///
    /// # Errors
    /// What sendmsg(2) says, if none was sent. An error of a packet before, which the kernel reports here too, is not
    /// mistaken for one of these.
    pub fn send(&mut self, to: SocketAddr, first: u16, count: usize) -> nix::Result<usize> {
        let count = count.min(self.requests.len());
        for (sequence, request) in (0..).map(|n| first.wrapping_add(n)).zip(&mut self.requests[..count]) {
            echo::renumber(request, self.family, sequence);
        }
        // An error of a packet before is said once, of whatever call comes next: then the second try tells the truth.
        let sent = self.send_once(to, count).or_else(|_| {
            self.restart_count();
            self.send_once(to, count)
        });
        let went = sent.unwrap_or(0);
        (0..went).for_each(|nth| self.sent.sent(first.wrapping_add(nth as u16)));
        if went < count {
            self.restart_count();
        }
        sent
    }

    fn send_once(&self, to: SocketAddr, count: usize) -> nix::Result<usize> {
        sys::send_many(self.fd.as_fd(), to, self.requests[..count].iter().map(Vec::as_slice))
    }

    /// Has the kernel count from 0 again, because it does not say whether it counted a packet that it did not send. What it
    /// has reported so far is read before, while its numbers mean these packets.
    fn restart_count(&mut self) {
        let mut early = Vec::new();
        self.events(|event| early.push(event));
        self.early = early;
        let _ = self.count_stamps();
        self.sent.restart();
    }

    /// Hands over the packets that have come, as many as a batch has at most. How many.
    ///
    /// # Errors
    /// What recvmsg(2) says, other than that there is nothing.
    pub fn receive(&mut self, mut each: impl FnMut(&ReceivedEcho<'_>)) -> nix::Result<usize> {
        let mut receive = || sys::receive_many(self.fd.as_fd(), &mut self.buffers, 0);
        let count = match receive() {
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            // What an ICMP error said is said here too, once.
            Err(_) => match receive() {
                Ok(count) => count,
                Err(errno) if errno == Errno::EAGAIN || errno == Errno::EINTR || is_of_icmp(errno) => {
                    return Ok(0);
                }
                Err(errno) => return Err(errno),
            },
        };
        for buffer in &self.buffers[..count] {
            let has_header = self.is_raw && self.family == IpFamily::V4;
            let from = if has_header { echo::sender(buffer.data()) } else { buffer.from() };
            let Some(from) = from else { continue };
            let Ancillary { at, ttl, .. } = Ancillary::of(buffer);
            let answer = answer(self.family, self.is_raw, buffer.data()).and_then(|answer| {
                let is_ours = !self.is_raw || answer.ident == self.ident;
                if is_ours {
                    answer.proven(&self.requests[0][HEADER_BYTES..])
                } else {
                    Err(InvalidReply::NoReply)
                }
            });
            let bytes = answer.map_or(0, |answer| HEADER_BYTES + answer.payload.len());
            each(&ReceivedEcho { from, ttl, at, is_cut: buffer.is_cut(), bytes, answer });
        }
        Ok(count)
    }

    /// Hands over what the kernel has to tell of packets that were sent: all of it, or the first thousands.
    pub fn events(&mut self, mut each: impl FnMut(TxEvent)) {
        mem::take(&mut self.early).into_iter().for_each(&mut each);
        for _ in 0..MOST_EVENTS / EVENTS {
            match sys::receive_many(self.fd.as_fd(), &mut self.event_buffers, libc::MSG_ERRQUEUE) {
                Ok(count) => {
                    self.event_buffers[..count].iter().for_each(|buffer| each(self.read_event(buffer)));
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn read_event(&self, buffer: &RecvBuffer) -> TxEvent {
        let ancillary = Ancillary::of(buffer);
        let Some(error) = ancillary.error else { return TxEvent::Foreign };
        if let Some((number, stage)) = error.stamp() {
            return match (self.sent.packet(number), ancillary.at) {
                (Some(sequence), Some(at)) => TxEvent::Stamp { sequence, stage, at },
                _ => TxEvent::Foreign,
            };
        }
        let Some(error) = error.icmp_error() else { return TxEvent::Foreign };
        if error.by.is_none() {
            return TxEvent::Error { sequence: None, to: None, error };
        }
        match quoted(self.family, buffer.data(), &self.requests[0][HEADER_BYTES..]) {
            Some((ident, sequence)) if !self.is_raw || ident == self.ident => {
                // recvmsg(2) gives the destination of the packet that is quoted: ip(7), IP_RECVERR.
                TxEvent::Error { sequence: Some(sequence), to: buffer.from(), error }
            }
            _ => TxEvent::Foreign,
        }
    }

    /// How many packets the kernel has thrown away because we did not read them in time.
    pub fn dropped(&self) -> u32 {
        // linux/sock_diag.h: SK_MEMINFO_DROPS is the last of nine.
        const DROPS: usize = 8;
        let mut numbers = [0; 4 * (DROPS + 1)];
        match sys::option(self.fd.as_fd(), SocketOption::MEMINFO, &mut numbers) {
            Ok(length) if length == numbers.len() => {
                let drops = numbers[4 * DROPS..].try_into().unwrap_or_default();
                u32::from_ne_bytes(drops)
            }
            _ => 0,
        }
    }
}

/// Whether an ICMP error may have said so: ip(7), and icmp_err_convert in the kernel's net/ipv4/icmp.c.
fn is_of_icmp(errno: Errno) -> bool {
    use Errno::{
        EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT,
        EOPNOTSUPP, EPROTO,
    };
    [
        EACCES,
        ECONNREFUSED,
        EHOSTDOWN,
        EHOSTUNREACH,
        EMSGSIZE,
        ENETUNREACH,
        ENONET,
        ENOPROTOOPT,
        EOPNOTSUPP,
        EPROTO,
    ]
    .contains(&errno)
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for EchoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EchoSocket { fd, family, is_raw, ident, .. } = self;
        write!(f, "EchoSocket({fd:?}, {family:?}, raw: {is_raw}, ident: {ident})")
    }
}

fn opened(family: IpFamily) -> Result<(OwnedFd, bool), EchoSocketError> {
    let (domain, protocol) = match family {
        IpFamily::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        IpFamily::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let open = |kind| socket(domain, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol);
    match open(SockType::Raw) {
        Ok(fd) => return Ok((fd, true)),
        Err(Errno::EPERM | Errno::EACCES) => {}
        Err(errno) => return Err(io("open a raw one")(errno)),
    }
    match open(SockType::Datagram) {
        Ok(fd) => Ok((fd, false)),
        Err(Errno::EPERM | Errno::EACCES) => Err(EchoSocketError::NotPermitted),
        Err(errno) => Err(io("open one for ping")(errno)),
    }
}
