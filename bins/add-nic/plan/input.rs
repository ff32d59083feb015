//! What a plan is made from: what is wanted, the current state, and names and MAC addresses for new links.

use common::failure::Failure;
use common::target::{IfName, Mac};

use crate::model::netns::Netns;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::snapshot::Snapshot;
use crate::model::wanted::{Wanted, WantedEnd};
use crate::plan::names;

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    pub wanted: &'a Wanted,
    pub snapshot: &'a Snapshot,
    /// All NICs of ours that there are.
    pub records: &'a [NicRecord],
    pub inside: &'a ContainerNetns,
    /// The other container, where there is one.
    pub peer: Option<&'a ContainerNetns>,
    pub random: RandomBytes,
    /// So many free names are left to NICs of the same container that come first and are not there yet.
    pub names_before: usize,
}

/// Unpredictable bytes, for addresses and names of a new NIC.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomBytes {
    /// For its link-layer address.
    pub nic: [u8; 6],
    /// For that of its other end.
    pub port: [u8; 6],
    /// For that of a bridge which is made for it.
    pub bridge: [u8; 6],
    /// For the name of its record.
    pub id: [u8; 6],
}

/// How interfaces are called, if nothing else is said.
const ETH: &str = "eth";

impl PlanInput<'_> {
    /// The container's name, for messages.
    pub fn container_name(&self) -> &str {
        &self.inside.name
    }

    /// The name of the NIC's record.
    pub fn id(&self) -> String {
        self.random.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The name of that namespace, for messages.
    pub fn name_of(&self, netns: Netns) -> &str {
        match netns {
            Netns::Host => "the host",
            Netns::Container => self.container_name(),
            Netns::Peer => self.peer.map_or("the other container", |peer| &peer.name),
        }
    }

    /// The namespace of the other end.
    pub fn other_netns(&self) -> Netns {
        match self.wanted.other_end {
            WantedEnd::Peer(_) => Netns::Peer,
            WantedEnd::Host | WantedEnd::Bridge(_) | WantedEnd::On(_) | WantedEnd::Phys(_) => Netns::Host,
        }
    }

    /// The option for the addresses of the other end.
    pub fn option_of_addresses(&self) -> &'static str {
        if self.other_netns() == Netns::Peer { "--peer-addr" } else { "--host-addr" }
    }

    /// The last of its words: of `pod:default/shop/frontend` it is `frontend`, of `/run/netns/blue` `blue`.
    fn stem(&self) -> String {
        let last = self.container_name().rsplit(['/', ':']).next().unwrap_or_default();
        let is_number = last.chars().all(|c| c.is_ascii_digit());
        if is_number { format!("pid{last}") } else { last.to_owned() }
    }

    /// The NIC's. Without an end on the host it is what tells the NIC from others of its container.
    pub(super) fn nic_mac(&self) -> Result<Mac, Failure> {
        let Some(mac) = self.wanted.mac else { return Ok(Mac::local(self.random.nic)) };
        let links = &self.snapshot.inside.links;
        match links.iter().find(|link| link.mac == Some(mac)) {
            Some(link) if matches!(self.wanted.other_end, WantedEnd::Peer(_) | WantedEnd::On(_)) => {
                Err(Failure::failed(
                    mac,
                    format_args!(
                        "already the MAC address of {} in {}",
                        link.name.to_string_lossy(),
                        self.container_name()
                    ),
                ))
            }
            _ => Ok(mac),
        }
    }

    /// The other end's, where that is another container's.
    pub(super) fn peer_mac(&self) -> Mac {
        Mac::local(self.random.port)
    }

    pub(super) fn bridge_mac(&self) -> Mac {
        Mac::local(self.random.bridge)
    }

    /// Higher than others: a bridge whose address nobody has set takes the lowest of its ports', and when that changes,
    /// neighbours that cached the previous one do not reach the host for a while. Where it is the lowest even so, the plan has
    /// a [`PinMac`](crate::model::change::PlanStep::PinMac).
    pub(super) fn port_mac(&self) -> Mac {
        let [_, b, c, d, e, f] = self.random.port;
        Mac([0xfe, b, c, d, e, f])
    }

    pub(super) fn name(&self) -> Result<IfName, Failure> {
        self.free_name(Netns::Container, self.wanted.name.as_ref())
    }

    /// That name, or the next free one.
    fn free_name(&self, netns: Netns, wanted: Option<&IfName>) -> Result<IfName, Failure> {
        let (side, owner) = (self.snapshot.side(netns), self.name_of(netns));
        match wanted {
            Some(name) if side.link(name.as_str()).is_some() => {
                let is_ours = |record: &&NicRecord| {
                    netns == Netns::Container
                        && record.inside.is_same_as(self.inside)
                        && record.plan.nic.name == *name
                };
                let ours = self.records.iter().find(is_ours).and_then(|_| common::same_with!("--replace"));
                Err(Failure::failed(name, format_args!("name already in use in {owner}")).hint(ours))
            }
            Some(name) => Ok(name.clone()),
            None => {
                let prefix = self.wanted.name_prefix.as_ref().map_or(ETH, IfName::as_str);
                names::next_free(prefix, self.names_left_in(netns), |name| side.link(name).is_some())
                    .ok_or_else(|| {
                        Failure::failed(owner, format_args!("no free name from {prefix}0 to {prefix}9999"))
                    })
            }
        }
    }

    /// Only those of the NIC's container are in an order.
    fn names_left_in(&self, netns: Netns) -> usize {
        if netns == Netns::Container { self.names_before } else { 0 }
    }

    /// The name of the other end.
    pub(super) fn other_name(&self) -> Result<IfName, Failure> {
        match self.other_netns() {
            Netns::Host => self.host_name(),
            netns => self.free_name(netns, self.wanted.other_name.as_ref()),
        }
    }

    fn host_name(&self) -> Result<IfName, Failure> {
        let host = &self.snapshot.host;
        let inside_name = self.name()?;
        let is_taken = |name: &str| {
            // With both ends in one namespace the other end's name is not free either.
            host.link(name).is_some() || (self.snapshot.is_one && name == inside_name.as_str())
        };
        let Some(name) = &self.wanted.other_name else {
            let free = names::of_host_end(&self.stem(), &inside_name, is_taken);
            return free.ok_or_else(|| {
                Failure::failed(self.container_name(), "no free name for the host's end")
                    .hint(common::sentence!("give --host-name IF too"))
            });
        };
        match is_taken(name.as_str()) {
            true => Err(Failure::failed(name, "name already in use on the host")),
            false => Ok(name.clone()),
        }
    }
}
