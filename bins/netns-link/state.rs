//! The state of a link: judged from what is at its name, its record, and what runs now. Pure.

use std::fmt;

use common::find::VerifiedContainer;
use common::namespace::NamespaceId;
use common::netns::{LinkEntry, LinkRecord, SymlinkEnd};
use serde::Serialize;

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Its container, or its process, runs in the namespace.
    Live,
    /// A namespace without a container or process, as `ip netns add` and `--new` make them, or a symbolic link to one.
    Named,
    /// Its container runs in another namespace now.
    Restarted,
    /// Its container or process is gone; only the link keeps the namespace.
    Pinned,
    /// A link without a namespace: its mount is lost, or a symbolic link leads nowhere.
    Dangling,
    /// Neither a namespace nor what is left of a link that we made.
    NotANamespace,
}

impl LinkState {
    /// Whether the link is as it should be.
    pub fn is_good(self) -> bool {
        matches!(self, LinkState::Live | LinkState::Named)
    }

    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Live => "live",
            LinkState::Named => "named",
            LinkState::Restarted => "restarted",
            LinkState::Pinned => "pinned",
            LinkState::Dangling => "dangling",
            LinkState::NotANamespace => "not-a-namespace",
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the host knows now of the container and the process that a record names.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnerStatus<'a> {
    /// The container of that ID or, when that is gone, the one that has its name now.
    pub container: Option<&'a VerifiedContainer>,
    /// The network namespace of the process that the record names, while that lives.
    pub process: Option<NamespaceId>,
}

/// The state of the link that is `entry`, with `record`, while `owner` is known.
pub fn judge(entry: LinkEntry, record: Option<&LinkRecord>, owner: OwnerStatus<'_>) -> LinkState {
    let bound = match entry {
        LinkEntry::Bound(identity) => identity,
        LinkEntry::Symlink(SymlinkEnd::Nowhere) => return LinkState::Dangling,
        LinkEntry::Symlink(SymlinkEnd::Other) => return LinkState::NotANamespace,
        // One that could not be looked at is not accused.
        LinkEntry::Symlink(SymlinkEnd::Netns(_) | SymlinkEnd::Unknown) => return LinkState::Named,
        LinkEntry::Empty if record.is_some() => return LinkState::Dangling,
        LinkEntry::Empty | LinkEntry::Foreign | LinkEntry::Free => return LinkState::NotANamespace,
    };
    let Some(record) = record else { return LinkState::Named };
    // The process is asked first: that needs no engine, which may be hung just now.
    if owner.process == Some(bound) {
        return LinkState::Live;
    }
    match (owner.container.and_then(|known| known.process.netns_inode), &record.container, record.process) {
        (Some(now), _, _) if now == bound.inode => LinkState::Live,
        (Some(_), _, _) => LinkState::Restarted,
        (None, None, None) => LinkState::Named,
        (None, _, _) => LinkState::Pinned,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use common::engine::{Container, EngineName};
    use common::find::ProcessInodes;
    use common::namespace::{Namespace, NamespaceKind};
    use common::netns;

    use super::*;

    fn identity(kind: NamespaceKind) -> NamespaceId {
        Namespace::current(kind).unwrap().identity()
    }

    fn record(container: bool) -> LinkRecord {
        let owner = || netns::RecordedContainer {
            engine: EngineName::Docker,
            id: "3f".repeat(32),
            name: "web".to_owned(),
            user: None,
        };
        LinkRecord {
            made_by: "netns-link".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            netns_inode: 1,
            netns_handle: None,
            container: container.then(owner),
            process: container.then_some(netns::RecordedProcess { pid: 7, start_time_ticks: 1 }),
        }
    }

    /// A container, for tests to change.
    pub(crate) fn known(netns_inode: Option<u64>) -> VerifiedContainer {
        let container = Container {
            name: "web".to_owned(),
            state: common::engine::ContainerState::Running,
            ..Container::unknown(EngineName::Docker, &"3f".repeat(32), nix::unistd::Uid::from_raw(0))
        };
        VerifiedContainer { container, process: ProcessInodes { pidfd_inode: None, netns_inode } }
    }

    fn bound(owner: OwnerStatus<'_>) -> LinkState {
        judge(LinkEntry::Bound(identity(NamespaceKind::Net)), Some(&record(true)), owner)
    }

    #[test]
    fn a_link_whose_process_is_in_its_namespace_is_live_whatever_engines_say() {
        let owner = OwnerStatus { process: Some(identity(NamespaceKind::Net)), container: None };
        assert_eq!(bound(owner), LinkState::Live);
    }

    #[test]
    fn a_container_in_the_namespace_makes_it_live_and_one_in_another_restarted() {
        let (same, other, stopped) =
            (known(Some(identity(NamespaceKind::Net).inode)), known(Some(1)), known(None));
        assert_eq!(bound(OwnerStatus { container: Some(&same), process: None }), LinkState::Live);
        assert_eq!(bound(OwnerStatus { container: Some(&other), process: None }), LinkState::Restarted);
        assert_eq!(bound(OwnerStatus { container: Some(&stopped), process: None }), LinkState::Pinned);
    }

    #[test]
    fn a_link_whose_container_is_gone_is_pinned() {
        assert_eq!(bound(OwnerStatus::default()), LinkState::Pinned);
    }

    #[test]
    fn a_namespace_without_a_container_is_named() {
        let entry = LinkEntry::Bound(identity(NamespaceKind::Net));
        assert_eq!(judge(entry, Some(&record(false)), OwnerStatus::default()), LinkState::Named);
        assert_eq!(judge(entry, None, OwnerStatus::default()), LinkState::Named);
    }

    #[test]
    fn a_file_without_a_namespace_is_dangling_if_it_was_ours() {
        assert_eq!(judge(LinkEntry::Empty, Some(&record(true)), OwnerStatus::default()), LinkState::Dangling);
        assert_eq!(judge(LinkEntry::Empty, None, OwnerStatus::default()), LinkState::NotANamespace);
        let symlink = |end| judge(LinkEntry::Symlink(end), None, OwnerStatus::default());
        assert_eq!(symlink(SymlinkEnd::Nowhere), LinkState::Dangling);
        assert_eq!(symlink(SymlinkEnd::Other), LinkState::NotANamespace);
        assert_eq!(symlink(SymlinkEnd::Netns(identity(NamespaceKind::Net))), LinkState::Named);
        assert_eq!(judge(LinkEntry::Foreign, None, OwnerStatus::default()), LinkState::NotANamespace);
    }
}
