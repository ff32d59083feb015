//! Sends the probe: one packet that nothing else looks like, from inside the container's network, and waits for what answers it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use common::packet::icmp::{
    EchoOptions, EchoSocket, EchoSocketError, IcmpError, PathMtu, TOKEN_BYTES, TxEvent,
};
use common::packet::port::{PortAnswer, PortOptions, PortSocket};
use common::packet::{IpFamily, random};
use common::target::Transport;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use crate::model::{ProbeProtocol, ProbeSignature, SignedContent, TraceProbe};

/// An echo request's own header, and that of UDP.
const HEADER_BYTES: u16 = 8;

/// Why there is no socket for the probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Of an echo request.
    #[error(transparent)]
    Echo(#[from] EchoSocketError),
    /// Of a port.
    #[error("socket: {}", .0.desc())]
    Port(Errno),
}

/// A socket that is ready to send the probe, in the network that it was opened in.
#[derive(Debug)]
pub struct ReadyProbe {
    socket: ProbeSocket,
    to: SocketAddr,
    payload: Vec<u8>,
    signature: ProbeSignature,
}

#[derive(Debug)]
enum ProbeSocket {
    Echo(Box<EchoSocket>),
    Port(PortSocket),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// An echo reply, a datagram, or the connection: from there.
    Reply(IpAddr),
    /// TCP: a reset, in the name of the destination.
    Reset,
    /// An ICMP error that quotes the probe, or one of the sender's own kernel.
    Error(IcmpError),
    /// The sender's own kernel gives it up.
    Failed(Errno),
}

impl ReadyProbe {
    /// Opens it in the network that this thread is in.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn open(probe: &TraceProbe) -> Result<Self, ProbeError> {
        let family = IpFamily::of(probe.destination);
        let scope = probe.scope.unwrap_or(0);
        let token: [u8; TOKEN_BYTES] = random().map_err(ProbeError::Port)?;
        let numbers: [u8; 4] = random().map_err(ProbeError::Port)?;
        let payload = payload(probe, token);
        let path_mtu =
            probe.dont_fragment.then_some(if probe.ignores_known_mtu { PathMtu::Probe } else { PathMtu::Do });
        let source = probe.is_bound.then_some((probe.source, scope));
        let [a, b, c, d] = numbers;
        let (socket, content) = match probe.protocol {
            ProbeProtocol::Echo => {
                let (ident, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                let options = EchoOptions { path_mtu, source, batch: 1, ..EchoOptions::default() };
                let socket = EchoSocket::open(family, ident, &payload, &options)?;
                (ProbeSocket::Echo(Box::new(socket)), SignedContent::Echo { ident, sequence, token })
            }
            ProbeProtocol::Tcp(_) => {
                let sequence = u32::from_be_bytes(numbers) | 1;
                let options =
                    PortOptions { source, sequence: Some(sequence), path_mtu, ..PortOptions::default() };
                let socket = PortSocket::idle(Transport::Tcp, family, &options).map_err(ProbeError::Port)?;
                (ProbeSocket::Port(socket), SignedContent::Syn { sequence })
            }
            ProbeProtocol::Udp(_) => {
                // Bound, it has its port from now on.
                let source = source.unwrap_or((unspecified(family), 0));
                let options = PortOptions { source: Some(source), path_mtu, ..PortOptions::default() };
                let socket = PortSocket::idle(Transport::Udp, family, &options).map_err(ProbeError::Port)?;
                let source_port = socket.source().map_or(0, |source| source.port());
                (ProbeSocket::Port(socket), SignedContent::Datagram { source_port, token })
            }
        };
        let to = address(probe.destination, probe.protocol.port().unwrap_or(0), scope);
        let signature =
            ProbeSignature { destination: probe.destination, packet_bytes: probe.packet_bytes, content };
        Ok(ReadyProbe { socket, to, payload, signature })
    }

    /// What it will look like.
    pub fn signature(&self) -> &ProbeSignature {
        &self.signature
    }

    /// Sends it. When, by CLOCK_MONOTONIC.
    ///
    /// # Errors
    /// What the sender's own kernel says: no route, a rule of its output hook, larger than the link's MTU.
    pub fn send(&mut self) -> nix::Result<Duration> {
        let at = monotonic_now();
        match (&mut self.socket, self.signature.content) {
            (ProbeSocket::Echo(socket), SignedContent::Echo { sequence, .. }) => {
                socket.send(self.to, sequence, 1)?;
            }
            (ProbeSocket::Port(socket), _) => socket.begin(self.to, &self.payload)?,
            (ProbeSocket::Echo(_), _) => return Err(Errno::EINVAL),
        }
        Ok(at)
    }

    /// What has come of it; nothing yet where nothing has.
    pub fn answer(&mut self) -> Option<ProbeAnswer> {
        match &mut self.socket {
            ProbeSocket::Echo(socket) => echo_answer(socket, self.signature.content),
            ProbeSocket::Port(socket) => socket.answer().map(|answer| match answer {
                PortAnswer::Connected { .. } | PortAnswer::Datagram { .. } => {
                    ProbeAnswer::Reply(self.to.ip())
                }
                PortAnswer::Reset => ProbeAnswer::Reset,
                PortAnswer::Error(error) => ProbeAnswer::Error(error),
                PortAnswer::Failed(errno) => ProbeAnswer::Failed(errno),
            }),
        }
    }

    /// Whether the socket is to be waited for as one that connects.
    pub fn is_connecting(&self) -> bool {
        matches!((&self.socket, self.signature.content), (ProbeSocket::Port(_), SignedContent::Syn { .. }))
    }
}

impl AsFd for ReadyProbe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ProbeSocket::Echo(socket) => socket.as_fd(),
            ProbeSocket::Port(socket) => socket.as_fd(),
        }
    }
}

/// The reply with our token, or the first error about it. A reply outweighs an error.
fn echo_answer(socket: &mut EchoSocket, content: SignedContent) -> Option<ProbeAnswer> {
    let mut reply = None;
    let received = socket.receive(|echo| {
        let is_ours =
            |answered: u16| matches!(content, SignedContent::Echo { sequence, .. } if sequence == answered);
        if echo.answer.is_ok_and(|answer| is_ours(answer.sequence)) {
            reply = Some(ProbeAnswer::Reply(echo.from));
        }
    });
    if let Err(errno) = received {
        return Some(ProbeAnswer::Failed(errno));
    }
    let mut error = None;
    socket.events(|event| {
        if let TxEvent::Error { error: told, .. } = event {
            error = error.or(Some(ProbeAnswer::Error(told)));
        }
    });
    reply.or(error)
}

/// The token, and zeroes up to the size of the packet.
fn payload(probe: &TraceProbe, token: [u8; TOKEN_BYTES]) -> Vec<u8> {
    let headers = HEADER_BYTES + if probe.destination.is_ipv4() { 20 } else { 40 };
    let mut payload = token.to_vec();
    payload.resize(usize::from(probe.packet_bytes.saturating_sub(headers)).max(TOKEN_BYTES), 0);
    payload
}

fn unspecified(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn address(to: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match to {
        IpAddr::V4(to) => (to, port).into(),
        IpAddr::V6(to) => SocketAddrV6::new(to, port, 0, scope).into(),
    }
}

/// The time by the clock of the events.
pub fn monotonic_now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
