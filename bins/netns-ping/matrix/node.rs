//! A container of the matrix: its network, and the sockets in it.

use std::collections::HashMap;
use std::net::IpAddr;

use common::each::Chosen;
use common::engine::{Container, ContainerState};
use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::netlink::{Neighbour, NetlinkError, Socket};
use common::packet::IpFamily;
use common::packet::icmp::{EchoOptions, EchoSocket, EchoSocketError, TOKEN_BYTES};
use common::target::Target;
use common::typed::with_sudo;

use super::expected::{ExpectedNetwork, FaultKind, NetworkFault};
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
    /// The containers that share it, as their engines describe them.
    pub containers: Vec<Container>,
    pub network: Network,
    /// The networks that engines say they are on.
    pub expected: Vec<ExpectedNetwork>,
    /// Whether an engine says so at all.
    pub has_word: bool,
    /// What is not as these say.
    pub faults: Vec<NetworkFault>,
    /// A socket of each family that it has addresses of.
    pub sockets: Vec<(IpFamily, EchoSocket)>,
    pub inside: TargetNetns,
    netlink: Socket,
    /// The neighbours that it knew before we asked.
    known: HashMap<(u32, IpAddr), Neighbour>,
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
        inside: TargetNetns,
        (containers, expected): (Vec<Container>, Option<Vec<ExpectedNetwork>>),
        families: Families,
    ) -> Result<Self, Failure> {
        let mut netlink = inside.open(Socket::open)?;
        let read = |netlink: &mut Socket| -> Result<_, NetlinkError> {
            let network = Network::of(netlink.links()?, netlink.addresses()?, netlink.routes()?, families);
            Ok((network, netlink.neighbours()?))
        };
        let (network, neighbours) = read(&mut netlink)?;
        let known = neighbours.into_iter().map(|known| ((known.index, known.address), known)).collect();
        let Chosen { name, also, .. } = chosen;
        let (faults, sockets) = (Vec::new(), Vec::new());
        let (has_word, expected) = (expected.is_some(), expected.unwrap_or_default());
        Ok(Node {
            name,
            also,
            containers,
            network,
            expected,
            has_word,
            faults,
            sockets,
            inside,
            netlink,
            known,
        })
    }

    /// Opens sockets for echo requests.
    pub fn open_echo(&mut self, (ident, token): (u16, [u8; TOKEN_BYTES])) -> Result<(), Failure> {
        let own = &self.network.own;
        let has = |family: &IpFamily| own.iter().any(|(own, _)| IpFamily::of(own.address()) == *family);
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..TOKEN_BYTES].copy_from_slice(&token);
        for family in [IpFamily::V4, IpFamily::V6].into_iter().filter(has) {
            let options = EchoOptions { batch: 8, ..EchoOptions::default() };
            let opened =
                self.inside.open(|| Ok::<_, Failure>(EchoSocket::open(family, ident, &payload, &options)))?;
            self.sockets.push((family, opened.map_err(|error| not_opened(&self.inside, &error))?));
        }
        Ok(())
    }

    /// What is wrong with this address on that network.
    pub fn fault_on(&self, network: &(String, String), address: IpAddr) -> Option<&NetworkFault> {
        self.faults.iter().find(|fault| {
            fault.key == *network
                && fault.kind != FaultKind::NoDefaultRoute
                && fault.address.is_none_or(|of| of == address)
        })
    }

    /// Has its kernel forget a neighbour that it has learned of by our asking.
    ///
    /// The host has one table of neighbours for all containers together, and refuses new ones when it is full:
    /// at 1,024 by default (net.ipv4.neigh.default.gc_thresh3). Fifty containers that all reach each other
    /// have 2,450; nothing that looks for faults may bring those about.
    pub fn forget(&mut self, index: u32, address: IpAddr) {
        if !self.known.contains_key(&(index, address)) {
            // Without the right to, or if it is gone already, it stays as it is.
            let _ = self.netlink.delete_neighbour(index, address);
        }
    }

    /// What its kernel knew of this neighbour before we asked.
    pub fn known(&self, index: u32, address: IpAddr) -> Option<Neighbour> {
        self.known.get(&(index, address)).copied()
    }

    /// The names of those that are frozen, of the containers that share it.
    pub fn frozen(&self) -> Vec<&str> {
        let paused = self.containers.iter().filter(|one| one.state == ContainerState::Paused);
        paused.map(|one| one.name.as_str()).collect()
    }

    /// Whether its process has ended since it was found.
    pub fn has_ended(&self) -> bool {
        self.inside.process.as_ref().is_some_and(|process| !process.is_alive())
    }

    /// How it is shown: `web`, and `web +2` if two others share its network.
    pub fn label(&self) -> String {
        if self.also.is_empty() { self.name.clone() } else { format!("{} +{}", self.name, self.also.len()) }
    }
}

/// As long as ping(8)'s, for what is filtered by length.
pub const PAYLOAD_BYTES: usize = 56;

fn not_opened(inside: &TargetNetns, error: &EchoSocketError) -> Failure {
    let failure = Failure::failed(&inside.name, error);
    if matches!(error, EchoSocketError::NotPermitted) { failure.hint(with_sudo()) } else { failure }
}
