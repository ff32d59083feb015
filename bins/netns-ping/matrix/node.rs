//! A container of the matrix: its network, and the sockets in it.

use std::collections::HashSet;
use std::net::IpAddr;

use common::each::Chosen;
use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::netlink::{NetlinkError, Socket};
use common::packet::IpFamily;
use common::packet::icmp::{EchoOptions, EchoSocket, EchoSocketError, TOKEN_BYTES};
use common::target::Target;

use super::network::Network;
use crate::network::netns::TargetNetns;
use crate::request::Families;

/// One network, however many containers share it.
#[derive(Debug)]
pub struct Node {
    /// What the first of them is called.
    pub name: String,
    /// What the others are.
    pub also: Vec<String>,
    pub network: Network,
    /// A socket of each family that it has addresses of.
    pub sockets: Vec<(IpFamily, EchoSocket)>,
    netlink: Socket,
    /// The neighbours that it knew before we asked.
    known: HashSet<(u32, IpAddr)>,
}

/// Holds the network of a container.
pub fn hold(chosen: &Chosen) -> Result<TargetNetns, Failure> {
    let process = chosen.known.hold()?;
    let netns = process.namespace(NamespaceKind::Net)?;
    let pid = process.pid().as_raw().unsigned_abs();
    // For hints; an engine can give a container a name that is none, or no name.
    let target = chosen.known.container.target().parse().unwrap_or(Target::Process { pid, inode: None });
    Ok(TargetNetns::holding(chosen.name.clone(), target, process, netns))
}

impl Node {
    /// Opens all that is needed in the network of `chosen`, for the wanted families.
    pub fn open(
        chosen: Chosen,
        inside: &TargetNetns,
        (ident, token): (u16, [u8; TOKEN_BYTES]),
        families: Families,
    ) -> Result<Self, Failure> {
        let mut netlink = inside.open(Socket::open)?;
        let read = |netlink: &mut Socket| -> Result<_, NetlinkError> {
            let network = Network::of(&netlink.links()?, &netlink.addresses()?, &netlink.routes()?);
            Ok((network, netlink.neighbours()?))
        };
        let (mut network, neighbours) = read(&mut netlink)?;
        network.keep(families);
        let known = neighbours.into_iter().map(|known| (known.index, known.address)).collect();
        let has =
            |family: &IpFamily| network.own.iter().any(|(own, _)| IpFamily::of(own.address()) == *family);
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..TOKEN_BYTES].copy_from_slice(&token);
        let mut sockets = Vec::new();
        for family in [IpFamily::V4, IpFamily::V6].into_iter().filter(has) {
            let options = EchoOptions { batch: 8, ..EchoOptions::default() };
            let opened =
                inside.open(|| Ok::<_, Failure>(EchoSocket::open(family, ident, &payload, &options)))?;
            sockets.push((family, opened.map_err(|error| not_opened(inside, &error))?));
        }
        let Chosen { name, also, .. } = chosen;
        Ok(Node { name, also, network, sockets, netlink, known })
    }

    /// Has its kernel forget a neighbour that it has learned of by our asking.
    ///
    /// The host has one table of neighbours for all containers together, and refuses new ones when it is full:
    /// at 1,024 by default (net.ipv4.neigh.default.gc_thresh3). Fifty containers that all reach each other
    /// have 2,450; nothing that looks for faults may bring those about.
    pub fn forget(&mut self, index: u32, address: IpAddr) {
        if !self.known.contains(&(index, address)) {
            // Without the right to, or if it is gone already, it stays as it is.
            let _ = self.netlink.delete_neighbour(index, address);
        }
    }

    /// How it is shown: `web`, and `web +2` if two others share its network.
    pub fn label(&self) -> String {
        if self.also.is_empty() { self.name.clone() } else { format!("{} +{}", self.name, self.also.len()) }
    }
}

/// As long as ping(8)'s, for what is filtered by length.
const PAYLOAD_BYTES: usize = 56;

fn not_opened(inside: &TargetNetns, error: &EchoSocketError) -> Failure {
    let failure = Failure::failed(&inside.name, error);
    if matches!(error, EchoSocketError::NotPermitted) { failure.hint("run it as root") } else { failure }
}
