//! The socket: it asks, and reads the answer to its end, in one piece and from the kernel only.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvmsg, send, socket,
};

use super::NetlinkError;
use super::wire::{self, HEADER_BYTES, MalformedMessage, NetlinkMessage, NetlinkRequest};
use crate::sys;

/// linux/netlink.h
pub(super) mod flag {
    pub(in crate::netlink) const REQUEST: u16 = 0x1;
    pub(super) const ACKNOWLEDGE: u16 = 0x4;
    pub(super) const DUMP_INTERRUPTED: u16 = 0x10;
    pub(super) const DUMP: u16 = 0x300;
    pub(super) const CAPPED: u16 = 0x100;
    pub(super) const REASON_FOLLOWS: u16 = 0x200;
    // Of orders that make something.
    pub(in crate::netlink) const EXCLUSIVE: u16 = 0x200;
    pub(in crate::netlink) const CREATE: u16 = 0x400;
}

/// linux/netlink.h
mod kind {
    pub(super) const NOTHING: u16 = 1;
    pub(super) const ERROR: u16 = 2;
    pub(super) const DONE: u16 = 3;
}

/// The kernel fills buffers of up to 32 KiB, and does so only for those who offer them (af_netlink.c,
/// netlink_dump). Where one entry is larger, as a NIC with hundreds of virtual functions is, ours grows.
const BUFFER_BYTES: usize = 32 << 10;

thread_local! {
    /// The buffers of sockets that are closed: a walk through thousands of namespaces opens one in each.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A host with containers starting and ending changes its tables all the time, yet not ten times in a row
/// within the tens of microseconds that a dump takes.
const TRIES: u32 = 10;

/// A container can fill its tables; no real one has as many entries.
const MOST_ENTRIES: usize = 1 << 20;

/// The kernel answers before send(2) returns, so after this time no answer will come.
const TIMEOUT_MS: u16 = 5000;

/// A routing netlink socket. It asks the network namespace that the thread was in when it was opened, wherever
/// the thread is later: the two belong together for the socket's life.
///
/// ```no_run
/// use common::netlink::Socket;
///
/// let mut socket = Socket::open()?;
/// for link in socket.links()?.iter().filter(|link| link.is_veth()) {
///     let state = if link.is_set_up() { "up" } else { "down" };
///     println!("{}: {:?} is {state}, its other end is {:?}", link.index, link.name, link.other_end());
/// }
/// # Ok::<(), common::netlink::NetlinkError>(())
/// ```
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// Whether what was read is all of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DumpState {
    Whole,
    Torn,
}

impl Socket {
    /// Opens one in the network namespace that this thread is in; [`Home::inside`](crate::netns::Home::inside) is how to open it in
    /// another one.
    ///
    /// # Errors
    /// `Socket`, with what socket(2) says.
    pub fn open() -> Result<Self, NetlinkError> {
        Socket::speaking(SockProtocol::NetlinkRoute)
    }

    /// Opens one to another part of the kernel than its routing.
    pub(super) fn speaking(protocol: SockProtocol) -> Result<Self, NetlinkError> {
        let failed = |action| move |errno: Errno| NetlinkError::Socket { action, source: errno.into() };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .map_err(failed("open a socket"))?;
        // Each makes errors clearer, or finds mistakes of ours; older kernels go without: extended
        // acknowledgements and errors without our request behind them since 4.12 and 4.3, strict checks since 4.20.
        // Other parts of the kernel have no reasons to give, and a walk through all namespaces opens two sockets in each.
        let options = [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK];
        for option in options.into_iter().filter(|_| protocol == SockProtocol::NetlinkRoute) {
            match sys::netlink_switch_on(fd.as_fd(), option) {
                Ok(()) | Err(Errno::ENOPROTOOPT) => {}
                Err(errno) => return Err(failed("set an option")(errno)),
            }
        }
        Ok(Socket::of(fd))
    }

    /// Opens one to IPsec.
    pub(super) fn to_ipsec() -> Result<Self, NetlinkError> {
        let failed = |errno: Errno| NetlinkError::Socket { action: "open a socket", source: errno.into() };
        Ok(Socket::of(sys::netlink_socket(libc::NETLINK_XFRM).map_err(failed)?))
    }

    fn of(fd: OwnedFd) -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        Socket { fd, buffer: spare.unwrap_or_else(|| vec![0; BUFFER_BYTES]), sequence: 0 }
    }

    /// The number of the network namespace that it belongs to, which no later one will have: SO_NETNS_COOKIE in socket(7). `None`
    /// below Linux 5.14.
    pub fn netns_cookie(&self) -> Option<u64> {
        sys::netns_cookie(self.fd.as_fd())
    }

    /// Asks for a whole table; `read` makes an entry of each message. If the table changed meanwhile it is asked
    /// for again.
    pub(super) fn dump<T>(
        &mut self,
        request: impl Fn(u16) -> NetlinkRequest,
        read: impl Fn(&[u8]) -> Result<T, MalformedMessage>,
    ) -> Result<Vec<T>, NetlinkError> {
        let request = request(flag::REQUEST | flag::DUMP);
        for _ in 0..TRIES {
            let mut entries = Vec::new();
            let snapshot = self.ask(&request, |message| {
                if entries.len() >= MOST_ENTRIES {
                    return Err(NetlinkError::TooMany { request: request.name, most: MOST_ENTRIES });
                }
                entries.push(read(message.payload).map_err(|source| senseless(&request, source))?);
                Ok(AnswerProgress::MoreComes)
            })?;
            if snapshot == DumpState::Whole {
                return Ok(entries);
            }
        }
        Err(NetlinkError::Unsteady { request: request.name })
    }

    /// Asks what has one message as its answer.
    pub(super) fn one<T>(
        &mut self,
        request: impl Fn(u16) -> NetlinkRequest,
        read: impl Fn(&[u8]) -> Result<T, MalformedMessage>,
    ) -> Result<T, NetlinkError> {
        let request = request(flag::REQUEST);
        let mut answer = None;
        for _ in 0..TRIES {
            let snapshot = self.ask(&request, |message| {
                answer = Some(read(message.payload).map_err(|source| senseless(&request, source))?);
                Ok(AnswerProgress::ThatWasAll)
            })?;
            if snapshot == DumpState::Whole {
                break;
            }
        }
        answer.ok_or_else(|| senseless(&request, MalformedMessage::Missing("answer")))
    }

    /// Orders a change, and waits until it is made.
    pub(super) fn change(&mut self, order: impl FnOnce(u16) -> NetlinkRequest) -> Result<(), NetlinkError> {
        let order = order(flag::REQUEST | flag::ACKNOWLEDGE);
        self.ask(&order, |_| Ok(AnswerProgress::MoreComes)).map(drop)
    }

    /// Orders several changes of which all are made or none: the last one is to be acknowledged.
    pub(super) fn change_together(&mut self, orders: &[NetlinkRequest]) -> Result<(), NetlinkError> {
        let Some(last) = orders.last() else { return Ok(()) };
        self.sequence = self.sequence.wrapping_add(1);
        let bytes: Vec<u8> = orders.iter().flat_map(|order| order.numbered(self.sequence)).collect();
        self.send(&bytes)?;
        self.read_answer(last, |_| Ok(AnswerProgress::MoreComes)).map(drop)
    }

    fn ask(
        &mut self,
        request: &NetlinkRequest,
        each: impl FnMut(NetlinkMessage<'_>) -> Result<AnswerProgress, NetlinkError>,
    ) -> Result<DumpState, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&request.numbered(self.sequence))?;
        self.read_answer(request, each)
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetlinkError> {
        again(|| send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()))
            .map(drop)
            .map_err(|errno| NetlinkError::Socket { action: "ask the kernel", source: errno.into() })
    }

    fn read_answer(
        &mut self,
        request: &NetlinkRequest,
        mut each: impl FnMut(NetlinkMessage<'_>) -> Result<AnswerProgress, NetlinkError>,
    ) -> Result<DumpState, NetlinkError> {
        let mut snapshot = DumpState::Whole;
        loop {
            let Some(length) = self.receive()? else {
                snapshot = DumpState::Torn;
                // Of a table the rest comes all the same.
                if request.is_dump() {
                    continue;
                }
                return Ok(snapshot);
            };
            for message in wire::messages(&self.buffer[..length]) {
                let message = message.map_err(|source| senseless(request, source))?;
                // The end of an answer that we gave up on, for it made no sense.
                if message.sequence != self.sequence {
                    continue;
                }
                if message.flags & flag::DUMP_INTERRUPTED != 0 {
                    snapshot = DumpState::Torn;
                }
                let progress = match message.kind {
                    kind::NOTHING => AnswerProgress::MoreComes,
                    kind::ERROR | kind::DONE => {
                        verdict(request, &message)?;
                        AnswerProgress::ThatWasAll
                    }
                    _ => each(message)?,
                };
                if let AnswerProgress::ThatWasAll = progress {
                    return Ok(snapshot);
                }
            }
        }
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// EAGAIN when none has come in time.
    fn wait(&self) -> nix::Result<()> {
        let mut wanted = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match again(|| poll(&mut wanted, TIMEOUT_MS))? {
            0 => Err(Errno::EAGAIN),
            _ => Ok(()),
        }
    }

    /// The next datagram of the kernel's, whole, into the buffer. `None` if it did not fit: the next one of its length does.
    fn receive(&mut self) -> Result<Option<usize>, NetlinkError> {
        let failed =
            |errno: Errno| NetlinkError::Socket { action: "read the kernel's answer", source: errno.into() };
        loop {
            let mut parts = [io::IoSliceMut::new(&mut self.buffer)];
            let fd = self.fd.as_raw_fd();
            let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
            let received = again(|| {
                recvmsg::<NetlinkAddr>(fd, &mut parts, None, flags)
                    .map(|m| (m.bytes, m.address.map(|from| from.pid())))
            });
            let received = match received {
                // Not seen yet, and no call at all where it is not.
                Err(Errno::EAGAIN) => {
                    self.wait().map_err(failed)?;
                    continue;
                }
                received => received.map_err(failed)?,
            };
            // Root of a container can send us datagrams too, if the socket is in that container's namespace.
            let (length, Some(0)) = received else { continue };
            if length > self.buffer.len() {
                self.buffer.resize(length, 0);
                return Ok(None);
            }
            return Ok(Some(length));
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // Few are open at one time.
        let keep = |spare: &RefCell<Vec<Vec<u8>>>| {
            let mut spare = spare.borrow_mut();
            if spare.len() < 4 {
                spare.push(buffer);
            }
        };
        // The thread may be about to end.
        let _ = SPARE.try_with(keep);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerProgress {
    MoreComes,
    ThatWasAll,
}

/// The end of an answer: success, or the kernel's error with its reason.
fn verdict(request: &NetlinkRequest, message: &NetlinkMessage<'_>) -> Result<(), NetlinkError> {
    let Some(errno) = wire::errno(message.payload).map_err(|source| senseless(request, source))? else {
        return Ok(());
    };
    let told = message.flags & flag::REASON_FOLLOWS != 0;
    let reason_at = match message.kind {
        kind::DONE => 4,
        _ if message.flags & flag::CAPPED != 0 => 4 + HEADER_BYTES,
        // The whole request stands before the reason.
        _ => 4 + wire::u32_at(message.payload, 4).map_or(HEADER_BYTES, |length| length as usize),
    };
    let why = message.payload.get(reason_at..).filter(|_| told).and_then(wire::reason);
    Err(NetlinkError::Refused { request: request.name, errno, why })
}

fn senseless(request: &NetlinkRequest, source: MalformedMessage) -> NetlinkError {
    NetlinkError::Malformed { request: request.name, source }
}

fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
