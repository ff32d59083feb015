//! A port, probed as programs use it: by connecting to it (TCP), or with a datagram (UDP). Each probe has a socket of its own,
//! and so a port of its own: whatever comes there is about it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::ancillary::{Ancillary, STAMPS};
use super::icmp::IcmpError;
use super::icmp::options::{PathMtu, with_scope};
use super::{IpFamily, TxStage};
use crate::sys::{self, RecvBuffer, SocketOption};
use crate::target::{IfName, Transport};

/// A longer answer is cut off.
const ANSWER_BYTES: usize = 2048;
/// linux/tcp.h, struct tcp_info: tcpi_rtt and tcpi_total_retrans, in bytes.
const RTT_AT: usize = 68;
const RETRANSMITTED_AT: usize = 100;
/// linux/tcp.h: TCP_REPAIR_ON, TCP_REPAIR_OFF, TCP_SEND_QUEUE.
const REPAIR_ON: i32 = 1;
const REPAIR_OFF: i32 = 0;
const SEND_QUEUE: i32 = 2;

/// From where a port is probed, and how.
#[derive(Debug, Clone, Default)]
pub struct PortOptions {
    /// The link that packets leave through.
    pub link: Option<IfName>,
    /// The address that they come from, and of a link-local one the index of its link.
    pub source: Option<(IpAddr, u32)>,
    /// TCP: the sequence number that the SYN gets, instead of a random one of the kernel's. It takes CAP_NET_ADMIN over the
    /// user namespace of the network, and is not 0.
    pub sequence: Option<u32>,
    /// What is done with datagrams that are larger than the path's MTU; if `None`, what the system does.
    pub path_mtu: Option<PathMtu>,
}

/// A probe that is under way.
pub struct PortSocket {
    fd: OwnedFd,
    transport: Transport,
}

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortAnswer {
    /// TCP: connected. How long the kernel measured, from the SYN to the answer; `None` where a SYN was sent again.
    Connected {
        /// By the kernel's clock.
        round_trip: Option<Duration>,
        /// How often the SYN was sent again.
        retransmitted: u32,
    },
    /// UDP: a datagram came from there.
    Datagram {
        /// What is in it.
        data: Vec<u8>,
        /// When it came, by CLOCK_REALTIME.
        at: Option<Duration>,
        /// How far our own was, and when.
        sent: Vec<(TxStage, Duration)>,
    },
    /// TCP: a reset came, in the name of the destination.
    Reset,
    /// An ICMP error, or one of our own kernel's.
    Error(IcmpError),
    /// The kernel gives it up, and does not say who is to blame.
    Failed(Errno),
}

impl PortSocket {
    /// Opens a socket in the network that this thread is in, and begins to connect it, or sends `payload` in a datagram.
    ///
    /// # Errors
    /// What socket(2), bind(2), connect(2) and send(2) say: EMFILE, ENETUNREACH, EPERM of a rule of the output hook.
    pub fn open(
        transport: Transport,
        to: SocketAddr,
        options: &PortOptions,
        payload: &[u8],
    ) -> nix::Result<Self> {
        let socket = PortSocket::idle(transport, IpFamily::of(to.ip()), options)?;
        socket.begin(to, payload)?;
        Ok(socket)
    }

    /// Opens a socket in the network that this thread is in, which sends nothing yet.
    ///
    /// # Errors
    /// What socket(2), setsockopt(2) and bind(2) say.
    pub fn idle(transport: Transport, family: IpFamily, options: &PortOptions) -> nix::Result<Self> {
        let is_v4 = family == IpFamily::V4;
        let domain = if is_v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let kind = match transport {
            Transport::Tcp => SockType::Stream,
            Transport::Udp => SockType::Datagram,
        };
        let fd = socket(domain, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
        let set = |option, value: &[u8]| sys::set_option(fd.as_fd(), option, value);
        // Errors are queued with who sent them; of TCP since Linux 5.8.
        let errors = if is_v4 { SocketOption::IP_RECVERR } else { SocketOption::IPV6_RECVERR };
        set(errors, &1_u32.to_ne_bytes())?;
        if let Some(link) = &options.link {
            set(SocketOption::BINDTODEVICE, link.as_str().as_bytes())?;
        }
        if let Some((address, scope)) = options.source {
            sys::bind_to(fd.as_fd(), with_scope(address, scope))?;
        }
        if let Some(how) = options.path_mtu {
            let option = if is_v4 { SocketOption::IP_MTU_DISCOVER } else { SocketOption::IPV6_MTU_DISCOVER };
            set(option, &(how as i32).to_ne_bytes())?;
        }
        match transport {
            // struct linger: on, and zero seconds. Closed so, it sends a reset, and leaves nothing behind in TIME-WAIT.
            Transport::Tcp => set(SocketOption::LINGER, &[1_u32.to_ne_bytes(), [0; 4]].concat())?,
            Transport::Udp => {
                let _ = set(SocketOption::TIMESTAMPING, &STAMPS.to_ne_bytes());
            }
        }
        if let Some(sequence) = options.sequence {
            // What is set while a socket is repaired stays (tcp_v4_connect in net/ipv4/tcp_ipv4.c): tcp(7) has no word of it.
            set(SocketOption::TCP_REPAIR, &REPAIR_ON.to_ne_bytes())?;
            set(SocketOption::TCP_REPAIR_QUEUE, &SEND_QUEUE.to_ne_bytes())?;
            set(SocketOption::TCP_QUEUE_SEQ, &sequence.to_ne_bytes())?;
            set(SocketOption::TCP_REPAIR, &REPAIR_OFF.to_ne_bytes())?;
        }
        Ok(PortSocket { fd, transport })
    }

    /// Begins to connect it, or sends `payload` in a datagram.
    ///
    /// # Errors
    /// What connect(2) and send(2) say.
    pub fn begin(&self, to: SocketAddr, payload: &[u8]) -> nix::Result<()> {
        match sys::connect_to(self.fd.as_fd(), to) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        if self.transport == Transport::Udp {
            sys::send_many(self.fd.as_fd(), None, [payload])?;
        }
        Ok(())
    }

    /// The address and the port that it has here.
    pub fn source(&self) -> Option<SocketAddr> {
        // Any socket of the Internet's can be asked so: getsockname(2).
        UdpSocket::from(self.fd.try_clone().ok()?).local_addr().ok()
    }

    /// What has become of it; `None` while nothing has.
    pub fn answer(&self) -> Option<PortAnswer> {
        match self.transport {
            Transport::Tcp => self.connected(),
            Transport::Udp => self.datagram(),
        }
    }

    fn connected(&self) -> Option<PortAnswer> {
        let mut error = [0; 4];
        let read = sys::option(self.fd.as_fd(), SocketOption::ERROR, &mut error);
        let errno = i32::from_ne_bytes(error);
        if read.is_err() || errno != 0 {
            let errno = if errno == 0 { Errno::EIO } else { Errno::from_raw(errno) };
            return Some(self.failed(errno));
        }
        let mut info = [0; 256];
        let filled = sys::option(self.fd.as_fd(), SocketOption::TCP_INFO, &mut info).ok()?;
        let number = |at: usize| {
            let bytes = info.get(at..at + 4).filter(|_| at + 4 <= filled)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        // linux/tcp_states.h: TCP_SYN_SENT, TCP_SYN_RECV. Every other state comes after those.
        if matches!(info[0], 2 | 3) {
            return None;
        }
        let retransmitted = number(RETRANSMITTED_AT).unwrap_or(0);
        let round_trip = number(RTT_AT).filter(|micros| *micros > 0 && retransmitted == 0);
        let round_trip = round_trip.map(|micros| Duration::from_micros(micros.into()));
        Some(PortAnswer::Connected { round_trip, retransmitted })
    }

    fn datagram(&self) -> Option<PortAnswer> {
        let mut buffers = [RecvBuffer::new(ANSWER_BYTES)];
        match sys::receive_many(self.fd.as_fd(), &mut buffers, 0) {
            Ok(_) => {
                let [buffer] = &buffers;
                let (data, at) = (buffer.data().to_vec(), Ancillary::of(buffer).at);
                Some(PortAnswer::Datagram { data, at, sent: self.errors().1 })
            }
            Err(Errno::EAGAIN | Errno::EINTR) => match self.errors() {
                (Some(error), _) => Some(PortAnswer::Error(error)),
                _ => None,
            },
            Err(errno) => Some(self.failed(errno)),
        }
    }

    /// A reset leaves no trace but the errno; an ICMP error is queued.
    fn failed(&self, errno: Errno) -> PortAnswer {
        match (self.errors().0, errno) {
            (Some(error), _) => PortAnswer::Error(error),
            (None, Errno::ECONNREFUSED | Errno::ECONNRESET) if self.transport == Transport::Tcp => {
                PortAnswer::Reset
            }
            (None, errno) => PortAnswer::Failed(errno),
        }
    }

    /// What is in the queue of errors: the first error, and time stamps.
    fn errors(&self) -> (Option<IcmpError>, Vec<(TxStage, Duration)>) {
        let (mut first, mut sent) = (None, Vec::new());
        let mut buffers = [RecvBuffer::new(ANSWER_BYTES)];
        while let Ok(1..) = sys::receive_many(self.fd.as_fd(), &mut buffers, libc::MSG_ERRQUEUE) {
            let Ancillary { at, error, .. } = Ancillary::of(&buffers[0]);
            let stage = error.and_then(|error| error.stamp()).map(|(_, stage)| stage);
            sent.extend(stage.zip(at));
            first = first.or_else(|| error.and_then(|error| error.icmp_error()));
        }
        (first, sent)
    }
}

impl AsFd for PortSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for PortSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortSocket({}, {:?})", self.transport, self.fd)
    }
}
