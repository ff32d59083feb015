//! The socket: raw where that is permitted, otherwise one of the kernel's own for ping. It belongs to the network
//! namespace that it was opened in.

use std::ffi::c_int;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use std::{fmt, mem};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::beside::Beside;
use super::echo::{self, Answer, HEADER_BYTES, Oddity, answer, quoted};
use super::options::{IcmpError, Options, io};
use super::stamped::Stamped;
use super::told::Told;
use super::{Family, filter, since_1970};
use crate::sys::{self, BATCH, Message, RecvBuffer, SocketOption};

/// The longest IPv4 header, and as much more of a packet as tells that it is longer than it should be.
const AROUND_BYTES: usize = 60 + 64;
/// What is in the error queue is the beginning of a packet, or nothing.
const QUOTED_BYTES: usize = 128;
/// So much of it is read at once.
const TOLD: usize = 16;
/// And so much before somebody looks at the clock again.
const MOST_TOLD: usize = 4096;

/// A socket for echo requests of one family and size, and for what comes back.
pub struct EchoSocket {
    fd: OwnedFd,
    family: Family,
    is_raw: bool,
    ident: u16,
    requests: Vec<Vec<u8>>,
    rooms: Vec<RecvBuffer>,
    /// For what is in the error queue.
    told_rooms: Vec<RecvBuffer>,
    /// What was told before anybody asked.
    early: Vec<Told>,
    stamped: Stamped,
    stamps_received: bool,
}

/// A packet that has come.
#[derive(Debug)]
pub struct Heard<'a> {
    /// From whom.
    pub from: IpAddr,
    /// Through how many routers it could still have gone.
    pub ttl: Option<u8>,
    /// When the kernel had it, by the clock that people have; of some only, if [`Stamps::Some`](super::Stamps::Some) are wanted.
    pub at: Option<Duration>,
    /// Whether it was too long to be read as a whole.
    pub is_cut: bool,
    /// How long it is, from the ICMP header on.
    pub bytes: usize,
    /// What it answers.
    pub answer: Result<Answer<'a>, Oddity>,
}

impl EchoSocket {
    /// Opens it in the network that this thread is in. `payload` begins with [`echo::TOKEN_BYTES`] random bytes: what comes
    /// back without them is no answer. `ident` tells our packets from those of others; a socket that is
    /// not raw has one from the kernel instead.
    ///
    /// # Errors
    /// [`IcmpError`].
    pub fn open(family: Family, ident: u16, payload: &[u8], options: &Options) -> Result<Self, IcmpError> {
        let (fd, is_raw) = opened(family)?;
        let batch = options.batch.clamp(1, BATCH);
        let bytes = AROUND_BYTES + HEADER_BYTES + payload.len();
        let has_header = is_raw && family == Family::V4;
        let room = if has_header { RecvBuffer::without_sender(bytes) } else { RecvBuffer::new(bytes) };
        let mut socket = EchoSocket {
            fd,
            family,
            is_raw,
            ident,
            requests: vec![echo::request(family, ident, 0, payload); batch],
            rooms: vec![room; batch],
            told_rooms: vec![RecvBuffer::new(QUOTED_BYTES); TOLD],
            early: Vec::new(),
            stamped: Stamped::new(options.stamps),
            stamps_received: false,
        };
        if is_raw {
            filter::attach(socket.fd.as_fd(), family, ident).map_err(io("attach a filter"))?;
        }
        options.set(socket.fd.as_fd(), family)?;
        socket
            .stamp_received(true)
            .and_then(|()| socket.count_stamps())
            .map_err(io("ask for time stamps"))?;
        // What came before the filter was there is nobody's business.
        while sys::receive_many(socket.fd.as_fd(), &mut socket.rooms, 0).is_ok() {}
        Ok(socket)
    }

    /// Has the kernel stamp what comes, or not.
    fn stamp_received(&mut self, on: bool) -> nix::Result<()> {
        if self.stamps_received != on {
            // SO_TIMESTAMPING would have a message of its own beside each packet, and a flood pays for that.
            let value = c_int::from(on).to_ne_bytes();
            sys::set_option(self.fd.as_fd(), SocketOption::TIMESTAMPNS, &value)?;
            self.stamps_received = on;
        }
        Ok(())
    }

    /// Has the kernel count those packets that it is asked to stamp, from 0 on.
    fn count_stamps(&self) -> nix::Result<()> {
        let set =
            |flags: u32| sys::set_option(self.fd.as_fd(), SocketOption::TIMESTAMPING, &flags.to_ne_bytes());
        set(0)?;
        // Of what has left they are told whether or not what comes is stamped just then.
        set(libc::SOF_TIMESTAMPING_OPT_ID
            | libc::SOF_TIMESTAMPING_OPT_TSONLY
            | libc::SOF_TIMESTAMPING_SOFTWARE)
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
        // Whatever comes of that, packets are sent.
        let _ = self.stamp_received(self.stamped.wants(0) || self.stamped.wants(count.saturating_sub(1)));
        // An error of a packet before is said once, of whatever call comes next: then the second try tells the truth.
        let sent = self.send_once(to, count).or_else(|_| {
            self.count_anew();
            self.send_once(to, count)
        });
        let went = sent.unwrap_or(0);
        (0..went).for_each(|nth| self.stamped.sent(first.wrapping_add(nth as u16)));
        if went < count {
            self.count_anew();
        }
        sent
    }

    fn send_once(&self, to: SocketAddr, count: usize) -> nix::Result<usize> {
        let messages = self.requests[..count].iter().enumerate();
        let messages = messages.map(|(nth, data)| Message { data, is_stamped: self.stamped.wants(nth) });
        sys::send_many(self.fd.as_fd(), to, messages)
    }

    /// Has the kernel count stamped packets anew: whether it has counted one that it did not send, it does not say. What it
    /// has told so far is read before, while its numbers mean these packets.
    fn count_anew(&mut self) {
        let mut early = Vec::new();
        self.told(|told| early.push(told));
        self.early = early;
        let _ = self.count_stamps();
        self.stamped.count_anew();
    }

    /// Hands over the packets that have come, as many as a batch has at most. How many.
    ///
    /// # Errors
    /// What recvmsg(2) says, other than that there is nothing.
    pub fn receive(&mut self, mut each: impl FnMut(&Heard<'_>)) -> nix::Result<usize> {
        let called = self.stamped.is_some().then(since_1970);
        let mut receive = || sys::receive_many(self.fd.as_fd(), &mut self.rooms, 0);
        let count = match receive() {
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            // What an ICMP error said is said here too, once.
            Err(_) => match receive() {
                Ok(count) => count,
                Err(errno) if errno == Errno::EAGAIN || errno == Errno::EINTR || is_said(errno) => {
                    return Ok(0);
                }
                Err(errno) => return Err(errno),
            },
        };
        for room in &self.rooms[..count] {
            let has_header = self.is_raw && self.family == Family::V4;
            let from = if has_header { echo::sender(room.data()) } else { room.from() };
            let Some(from) = from else { continue };
            let Beside { at, ttl, .. } = Beside::of(room);
            // A moment passes before the kernel stamps what comes; it then gives what has no stamp the time of our call.
            let at = at.filter(|at| called.is_none_or(|called| *at <= called));
            let answer = answer(self.family, self.is_raw, room.data()).and_then(|answer| {
                let is_ours = !self.is_raw || answer.ident == self.ident;
                if is_ours { answer.proven(&self.requests[0][HEADER_BYTES..]) } else { Err(Oddity::NoReply) }
            });
            let bytes = answer.map_or(0, |answer| HEADER_BYTES + answer.payload.len());
            each(&Heard { from, ttl, at, is_cut: room.is_cut(), bytes, answer });
        }
        Ok(count)
    }

    /// Hands over all that the kernel has to tell of packets that we sent, or the first thousands of it.
    pub fn told(&mut self, mut each: impl FnMut(Told)) {
        mem::take(&mut self.early).into_iter().for_each(&mut each);
        for _ in 0..MOST_TOLD / TOLD {
            match sys::receive_many(self.fd.as_fd(), &mut self.told_rooms, libc::MSG_ERRQUEUE) {
                Ok(count) => self.told_rooms[..count].iter().for_each(|room| each(self.read_told(room))),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn read_told(&self, room: &RecvBuffer) -> Told {
        let beside = Beside::of(room);
        let Some(error) = beside.error else { return Told::Foreign };
        if let Some((packet, stage)) = error.stamp() {
            return match (self.stamped.sequence(packet), beside.at) {
                (Some(sequence), Some(at)) => Told::Stamp { sequence, stage, at },
                _ => Told::Foreign,
            };
        }
        let Some(what) = error.complaint() else { return Told::Foreign };
        if what.by.is_none() {
            return Told::Complaint { sequence: None, to: None, what };
        }
        match quoted(self.family, room.data(), &self.requests[0][HEADER_BYTES..]) {
            Some((ident, sequence)) if !self.is_raw || ident == self.ident => {
                // recvmsg(2) gives the destination of the packet that is quoted: ip(7), IP_RECVERR.
                Told::Complaint { sequence: Some(sequence), to: room.from(), what }
            }
            _ => Told::Foreign,
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
fn is_said(errno: Errno) -> bool {
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

/// An address as a destination or source of packets; link-local ones take the index of their link.
pub(super) fn with_scope(address: IpAddr, scope: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => SocketAddr::from((address, 0)),
        IpAddr::V6(address) => std::net::SocketAddrV6::new(address, 0, 0, scope).into(),
    }
}

fn opened(family: Family) -> Result<(OwnedFd, bool), IcmpError> {
    let (domain, protocol) = match family {
        Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let open = |kind| socket(domain, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol);
    match open(SockType::Raw) {
        Ok(fd) => return Ok((fd, true)),
        Err(Errno::EPERM | Errno::EACCES) => {}
        Err(errno) => return Err(io("open a raw one")(errno)),
    }
    match open(SockType::Datagram) {
        Ok(fd) => Ok((fd, false)),
        Err(Errno::EPERM | Errno::EACCES) => Err(IcmpError::NotPermitted),
        Err(errno) => Err(io("open one for ping")(errno)),
    }
}
