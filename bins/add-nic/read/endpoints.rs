//! The networks that a NIC connects, while it is added.

use common::failure::Failure;
use common::target::Target;

use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::request::SearchOptions;
use crate::model::shell::NetnsFiles;
use crate::model::snapshot::Snapshot;
use crate::model::wanted::Wanted;
use crate::plan::input::{PlanInput, RandomBytes};
use crate::read::container::{PinnedNetns, pin};
use crate::read::sockets::Sockets;

/// The networks that are connected.
#[derive(Debug)]
pub struct Endpoints {
    pub inside: ContainerNetns,
    pub peer: Option<ContainerNetns>,
}

impl Endpoints {
    /// The container's, and that of the other one if there is one; held, and a socket in each.
    pub fn open(
        PinnedNetns { netns, inside }: PinnedNetns,
        wanted: &Wanted,
        search: &SearchOptions,
    ) -> Result<(Self, Sockets), Failure> {
        let other = wanted.other_end.peer().map(|peer| pin_peer(&peer, &inside, search)).transpose()?;
        let (peer_netns, peer) = other.map(|PinnedNetns { netns, inside }| (netns, inside)).unzip();
        Ok((Endpoints { inside, peer }, Sockets::open(Some(netns), peer_netns)?))
    }

    /// Whether `record` is of the NIC that is wanted between them.
    pub fn have(&self, record: &NicRecord, wanted: &Wanted) -> bool {
        record.is_between(&self.inside, self.peer.as_ref()) && record.wanted == *wanted
    }

    /// What the same call made before.
    pub fn same<'a>(
        &self,
        records: &'a [NicRecord],
        wanted: &Wanted,
    ) -> impl Iterator<Item = &'a NicRecord> + Clone {
        records.iter().filter(|record| self.have(record, wanted))
    }

    /// What a plan is made from.
    pub fn plan_input<'a>(
        &'a self,
        wanted: &'a Wanted,
        snapshot: &'a Snapshot,
        records: &'a [NicRecord],
        random: RandomBytes,
    ) -> PlanInput<'a> {
        PlanInput {
            wanted,
            snapshot,
            records,
            inside: &self.inside,
            peer: self.peer.as_ref(),
            random,
            names_before: 0,
        }
    }

    /// Files of them, for commands.
    pub fn files(&self) -> NetnsFiles<'_> {
        self.inside.files(self.peer.as_ref())
    }
}

/// The other container, which must be in another network.
fn pin_peer(peer: &Target, inside: &ContainerNetns, search: &SearchOptions) -> Result<PinnedNetns, Failure> {
    let pinned = pin(peer, search)?;
    if pinned.inside.is_same_as(inside) {
        return Err(Failure::failed(
            format_args!("--peer {peer}"),
            format_args!("in the same network namespace as {}", inside.name),
        ));
    }
    Ok(pinned)
}
