//! A name server of the container's: the socket to it, and what of it is said where it has no answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use simple_dns::TYPE;

use super::Families;
use super::dns_error::NoAnswer;
use super::dns_message::{DnsAnswer, number, question, read};
use super::tcp;

const PORT: u16 = 53;

/// A name server that questions are put to, through a socket in the container's network.
#[derive(Debug)]
pub struct DnsServer {
    pub address: IpAddr,
    to: SocketAddr,
    pub socket: UdpSocket,
}

/// A server, or why it cannot even be asked.
pub type ReachedServer = Result<DnsServer, (IpAddr, io::Error)>;

impl DnsServer {
    /// Opens the socket in the network that this thread is in; `scope` is the index of a link-local server's link.
    pub fn connect(address: IpAddr, scope: u32) -> io::Result<Self> {
        let (from, to): (IpAddr, SocketAddr) = match address {
            IpAddr::V4(address) => (Ipv4Addr::UNSPECIFIED.into(), (address, PORT).into()),
            IpAddr::V6(address) => {
                let to = std::net::SocketAddrV6::new(address, PORT, 0, scope);
                (Ipv6Addr::UNSPECIFIED.into(), to.into())
            }
        };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(to)?;
        Ok(DnsServer { address, to, socket })
    }

    /// The same question by TCP, where the answer may be as long as it likes.
    pub fn ask_by_tcp(&self, name: &str, kind: TYPE, until: Instant) -> Result<DnsAnswer, NoAnswer> {
        let id = number();
        let question = question(id, name, kind).ok_or(NoAnswer::Name)?;
        let bytes = tcp::exchange(self.to, &question, until)?;
        match read(&bytes, name, &[(id, kind)]) {
            None | Some((_, Ok(DnsAnswer::Cut))) => Err(NoAnswer::Unrelated),
            Some((_, said)) => said,
        }
    }
}

/// Of each server, before it was asked.
pub fn not_asked(servers: &[ReachedServer]) -> Vec<(IpAddr, NoAnswer)> {
    let address = |server: &ReachedServer| match server {
        Ok(server) => server.address,
        Err((address, _)) => *address,
    };
    servers.iter().map(|server| (address(server), NoAnswer::NotAsked)).collect()
}

/// What is asked for, of these families.
pub fn kinds(families: Families) -> impl Iterator<Item = TYPE> {
    let wanted = [(TYPE::A, families.v4), (TYPE::AAAA, families.v6)];
    wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind)
}

/// The same error, to be told of another name too.
pub fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
