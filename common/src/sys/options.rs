//! Options of sockets that nix has not.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::Result;
use nix::errno::Errno;

/// linux/icmp.h and linux/icmpv6.h: ICMP_FILTER and ICMPV6_FILTER.
const FILTER: c_int = 1;
/// linux/if_packet.h.
const PACKET_STATISTICS: c_int = 6;
/// asm-generic/socket.h.
const SO_MEMINFO: c_int = 55;
/// The same, Linux 5.14.
const SO_NETNS_COOKIE: c_int = 71;
/// linux/netfilter_ipv4/ip_tables.h, and ip6_tables.h: what is asked for stands in the buffer before the call.
const XT_SO_GET_INFO: c_int = 64;
const XT_SO_GET_ENTRIES: c_int = 65;
/// asm-generic/socket.h, Linux 6.5.
const SO_PEERPIDFD: c_int = 77;

/// An option whose value is numbers or text. Some options hold a pointer, through which the kernel would read or write
/// whatever it leads to: of those there is none here, and no way to make one elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOption(c_int, c_int);

#[expect(
    missing_docs,
    reason = "these are the kernel's names: socket(7), ip(7), ipv6(7), packet(7), raw(7), icmp(7)"
)]
impl SocketOption {
    pub const TIMESTAMPING: Self = SocketOption(libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
    pub const RCVBUF: Self = SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUF);
    pub const RCVBUFFORCE: Self = SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    pub const MARK: Self = SocketOption(libc::SOL_SOCKET, libc::SO_MARK);
    pub const DONTROUTE: Self = SocketOption(libc::SOL_SOCKET, libc::SO_DONTROUTE);
    pub const BROADCAST: Self = SocketOption(libc::SOL_SOCKET, libc::SO_BROADCAST);
    pub const BINDTODEVICE: Self = SocketOption(libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    pub const LINGER: Self = SocketOption(libc::SOL_SOCKET, libc::SO_LINGER);
    pub const ERROR: Self = SocketOption(libc::SOL_SOCKET, libc::SO_ERROR);
    pub const TCP_REPAIR: Self = SocketOption(libc::IPPROTO_TCP, libc::TCP_REPAIR);
    pub const TCP_REPAIR_QUEUE: Self = SocketOption(libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE);
    pub const TCP_QUEUE_SEQ: Self = SocketOption(libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ);
    pub const TCP_INFO: Self = SocketOption(libc::IPPROTO_TCP, libc::TCP_INFO);
    pub const MEMINFO: Self = SocketOption(libc::SOL_SOCKET, SO_MEMINFO);
    pub const NETNS_COOKIE: Self = SocketOption(libc::SOL_SOCKET, SO_NETNS_COOKIE);
    pub const PACKET_STATISTICS: Self = SocketOption(libc::SOL_PACKET, PACKET_STATISTICS);
    pub const ICMP_FILTER: Self = SocketOption(libc::SOL_RAW, FILTER);
    pub const ICMP6_FILTER: Self = SocketOption(libc::IPPROTO_ICMPV6, FILTER);
    pub const IP_RECVERR: Self = SocketOption(libc::IPPROTO_IP, libc::IP_RECVERR);
    pub const IP_RECVTTL: Self = SocketOption(libc::IPPROTO_IP, libc::IP_RECVTTL);
    pub const IP_TOS: Self = SocketOption(libc::IPPROTO_IP, libc::IP_TOS);
    pub const IPV6_TCLASS: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
    pub const IP_TTL: Self = SocketOption(libc::IPPROTO_IP, libc::IP_TTL);
    pub const IP_MULTICAST_TTL: Self = SocketOption(libc::IPPROTO_IP, libc::IP_MULTICAST_TTL);
    pub const IP_MTU_DISCOVER: Self = SocketOption(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    pub const IPV6_RECVERR: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
    pub const IPV6_RECVHOPLIMIT: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
    pub const IPV6_UNICAST_HOPS: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS);
    pub const IPV6_MULTICAST_HOPS: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS);
    pub const IPT_SO_GET_INFO: Self = SocketOption(libc::IPPROTO_IP, XT_SO_GET_INFO);
    pub const IPT_SO_GET_ENTRIES: Self = SocketOption(libc::IPPROTO_IP, XT_SO_GET_ENTRIES);
    pub const IP6T_SO_GET_INFO: Self = SocketOption(libc::IPPROTO_IPV6, XT_SO_GET_INFO);
    pub const IP6T_SO_GET_ENTRIES: Self = SocketOption(libc::IPPROTO_IPV6, XT_SO_GET_ENTRIES);
    pub const IPV6_MTU_DISCOVER: Self = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
}

/// Sets an option of a socket to a value in the kernel's own layout.
///
/// [setsockopt(2)](https://man7.org/linux/man-pages/man2/setsockopt.2.html).
pub fn set_option(socket: BorrowedFd<'_>, option: SocketOption, value: &[u8]) -> Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes through the pointer, which outlives the call.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), option.0, option.1, value.as_ptr().cast(), length) };
    Errno::result(set).map(drop)
}

/// Reads an option of a socket, in the kernel's own layout. How many bytes of `value` it has filled.
///
/// [getsockopt(2)](https://man7.org/linux/man-pages/man2/getsockopt.2.html).
pub fn option(socket: BorrowedFd<'_>, option: SocketOption, value: &mut [u8]) -> Result<usize> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes at most `length` bytes through the first pointer, and one number through the second;
    // both outlive the call.
    let got = unsafe {
        let value = value.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), option.0, option.1, value, &raw mut length)
    };
    Errno::result(got).map(|_| length as usize)
}

/// The number of the network namespace that a socket belongs to, which no later one will have; `None` below Linux 5.14.
///
/// SO_NETNS_COOKIE, [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
pub fn netns_cookie(socket: BorrowedFd<'_>) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = option(socket, SocketOption::NETNS_COOKIE, &mut bytes);
    read.ok().filter(|length| *length == bytes.len()).map(|_| u64::from_ne_bytes(bytes))
}

/// A pidfd of the process that called listen(2) for the socket which `socket` is connected to; close-on-exec.
///
/// SO_PEERPIDFD, Linux 6.5, [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html); ENOPROTOOPT before.
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut pidfd: RawFd = -1;
    let mut length = size_of::<RawFd>() as libc::socklen_t;
    // SAFETY: the kernel writes one number through each pointer, both of which outlive the call.
    let got = unsafe {
        let value = (&raw mut pidfd).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, value, &raw mut length)
    };
    Errno::result(got)?;
    // SAFETY: the kernel made this descriptor for us in that call, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}
