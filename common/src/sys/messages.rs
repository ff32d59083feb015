//! Many datagrams in one system call, with what the kernel tells along with them.

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::Result;
use nix::errno::Errno;

/// Room for what the kernel tells along with a datagram: three time stamps, an error with its sender, and two numbers
/// take half of it.
const CONTROL_BYTES: usize = 320;
/// How many datagrams one call takes at most.
pub const BATCH: usize = 64;

/// Room for one datagram, and for what the kernel tells along with it.
#[derive(Debug, Clone)]
pub struct RecvBuffer {
    data: Box<[u8]>,
    wants_sender: bool,
    control: Control,
    from: SocketAddress,
    bytes: usize,
    control_bytes: usize,
    flags: c_int,
}

/// struct cmsghdr begins at multiples of a word.
#[derive(Debug, Clone)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// struct sockaddr_in or struct sockaddr_in6, netinet/in.h.
#[derive(Debug, Clone)]
#[repr(C, align(8))]
struct SocketAddress([u8; 32]);

fn length_of(address: SocketAddr) -> libc::socklen_t {
    let length =
        if address.is_ipv4() { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() };
    length as libc::socklen_t
}

impl RecvBuffer {
    /// Room for `bytes`; of a longer datagram the rest is cut off.
    pub fn new(bytes: usize) -> Self {
        let (control, from) = (Control([0; CONTROL_BYTES]), SocketAddress([0; 32]));
        let data = vec![0; bytes].into();
        RecvBuffer { data, wants_sender: true, control, from, bytes: 0, control_bytes: 0, flags: 0 }
    }

    /// The same for what says itself where it is from, or whose sender does not matter.
    pub fn without_sender(bytes: usize) -> Self {
        RecvBuffer { wants_sender: false, ..RecvBuffer::new(bytes) }
    }

    /// What came.
    pub fn data(&self) -> &[u8] {
        self.data.get(..self.bytes).unwrap_or_default()
    }

    /// Whether there was more than room for it.
    pub fn is_cut(&self) -> bool {
        self.flags & libc::MSG_TRUNC != 0
    }

    /// Its source; of what is in the error queue, the destination of our packet.
    pub fn from(&self) -> Option<IpAddr> {
        address_in(&self.from.0)
    }

    /// Of what a packet socket has received: the index of the link, and PACKET_* of packet(7), which says whose it is.
    pub fn from_link(&self) -> Option<(u32, u8)> {
        // struct sockaddr_ll: family, protocol, index, kind of hardware, kind of packet.
        let from = &self.from.0;
        let family = u16::from_ne_bytes([from[0], from[1]]);
        let index = u32::from_ne_bytes([from[4], from[5], from[6], from[7]]);
        (c_int::from(family) == libc::AF_PACKET).then_some((index, from[10]))
    }

    /// What the kernel tells along with it: level, type, and the value in its own layout. See cmsg(3).
    pub fn ancillary(&self) -> impl Iterator<Item = (c_int, c_int, &[u8])> {
        const HEADER: usize = size_of::<libc::cmsghdr>();
        let mut rest = self.control.0.get(..self.control_bytes).unwrap_or_default();
        std::iter::from_fn(move || {
            let length = usize::from_ne_bytes(rest.get(..size_of::<usize>())?.try_into().ok()?);
            let value = rest.get(HEADER..length)?;
            let number = |at: usize| Some(c_int::from_ne_bytes(rest.get(at..at + 4)?.try_into().ok()?));
            let found = (number(HEADER - 8)?, number(HEADER - 4)?, value);
            rest = rest.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
            Some(found)
        })
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(to: SocketAddr) -> Self {
        let mut bytes = [0; 32];
        let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        bytes[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        bytes[2..4].copy_from_slice(&to.port().to_be_bytes());
        match to {
            SocketAddr::V4(to) => bytes[4..8].copy_from_slice(&to.ip().octets()),
            SocketAddr::V6(to) => {
                bytes[8..24].copy_from_slice(&to.ip().octets());
                bytes[24..28].copy_from_slice(&to.scope_id().to_ne_bytes());
            }
        }
        SocketAddress(bytes)
    }
}

/// The address that a struct sockaddr_in or sockaddr_in6 holds, as it follows a struct sock_extended_err.
pub fn address_in(sockaddr: &[u8]) -> Option<IpAddr> {
    match c_int::from(u16::from_ne_bytes(sockaddr.get(..2)?.try_into().ok()?)) {
        libc::AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(sockaddr.get(4..8)?).ok()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(sockaddr.get(8..24)?).ok()?).into()),
        _ => None,
    }
}

/// Receives as many datagrams as have come, and as there are buffers for, without waiting. How many.
///
/// EAGAIN if none has. [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html); with MSG_ERRQUEUE it
/// reads what went wrong, and time stamps of what was sent.
pub fn receive_many(socket: BorrowedFd<'_>, buffers: &mut [RecvBuffer], flags: c_int) -> Result<usize> {
    // SAFETY: all zeroes is a value of these structs: null pointers with a length of zero.
    let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let count = buffers.len().min(BATCH);
    for ((buffer, part), header) in buffers.iter_mut().zip(&mut parts).zip(&mut headers) {
        part.iov_base = buffer.data.as_mut_ptr().cast();
        part.iov_len = buffer.data.len();
        if buffer.wants_sender {
            header.msg_hdr.msg_name = buffer.from.0.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        }
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = buffer.control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
    }
    // SAFETY: the first `count` headers point to buffers of the lengths that they say, each in a buffer of its own;
    // buffers and parts outlive the call.
    let received = unsafe {
        let flags = flags | libc::MSG_DONTWAIT;
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as _, flags as _, std::ptr::null_mut())
    };
    let received = usize::try_from(Errno::result(received)?).unwrap_or(0).min(count);
    for (buffer, header) in buffers.iter_mut().zip(&headers).take(received) {
        buffer.bytes = (header.msg_len as usize).min(buffer.data.len());
        // musl counts in 32 bits.
        let control_bytes: usize = header.msg_hdr.msg_controllen as _;
        buffer.control_bytes = control_bytes.min(CONTROL_BYTES);
        buffer.flags = header.msg_hdr.msg_flags;
    }
    Ok(received)
}

/// Sends these datagrams to `to`, or where the socket is bound to; at most [`BATCH`]. How many were: of the others the next
/// call says why not.
///
/// [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html), and not the function of that name: musl's sends
/// them one by one.
pub fn send_many<'a>(
    socket: BorrowedFd<'_>,
    to: impl Into<Option<SocketAddr>>,
    datagrams: impl IntoIterator<Item = &'a [u8]>,
) -> Result<usize> {
    let to = to.into().map(|to| (length_of(to), SocketAddress::from(to)));
    // SAFETY: all zeroes is a value of these structs: null pointers with a length of zero.
    let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut count: libc::c_uint = 0;
    for ((datagram, part), header) in datagrams.into_iter().zip(&mut parts).zip(&mut headers) {
        part.iov_base = datagram.as_ptr().cast_mut().cast();
        part.iov_len = datagram.len();
        if let Some((length, to)) = &to {
            header.msg_hdr.msg_name = to.0.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = *length;
        }
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers point to datagrams and an address of the lengths that they say, which outlive the
    // call; the kernel only reads them.
    let sent = unsafe {
        libc::syscall(libc::SYS_sendmmsg, socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT)
    };
    Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or(0))
}

/// Binds a socket of the Internet's to an address.
///
/// [bind(2)](https://man7.org/linux/man-pages/man2/bind.2.html).
pub fn bind_to(socket: BorrowedFd<'_>, address: SocketAddr) -> Result<()> {
    let (length, address) = (length_of(address), SocketAddress::from(address));
    // SAFETY: the kernel reads `length` bytes through the pointer, which are there and outlive the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), address.0.as_ptr().cast(), length) };
    Errno::result(bound).map(drop)
}

/// Connects a socket of the Internet's to an address, or begins to: EINPROGRESS.
///
/// [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
pub fn connect_to(socket: BorrowedFd<'_>, address: SocketAddr) -> Result<()> {
    let (length, address) = (length_of(address), SocketAddress::from(address));
    // SAFETY: the kernel reads `length` bytes through the pointer, which are there and outlive the call.
    let connected = unsafe { libc::connect(socket.as_raw_fd(), address.0.as_ptr().cast(), length) };
    Errno::result(connected).map(drop)
}

/// One instruction of a socket filter: operation, where to jump if it is so and if not, and its number.
pub type Instruction = (u16, u8, u8, u32);

/// From now on the kernel gives the socket only what `program` lets through; EINVAL for a program that makes no sense.
///
/// SO_ATTACH_FILTER in [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html), linux/filter.h.
pub fn attach_filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> Result<()> {
    let mut code: Vec<libc::sock_filter> = program
        .iter()
        .map(|(code, jt, jf, k)| libc::sock_filter { code: *code, jt: *jt, jf: *jf, k: *k })
        .collect();
    let len = u16::try_from(code.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    // SAFETY: the kernel reads one struct, and through it `len` instructions; all of them outlive the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    Errno::result(set).map(drop)
}
