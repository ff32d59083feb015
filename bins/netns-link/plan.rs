//! Decides what to do about one name, from what is there, without touching anything.

use std::collections::HashSet;
use std::fmt::Display;

use common::engine::Container;
use common::failure::Failure;
use common::find::VerifiedContainer;
use common::hint;
use common::hint::Hint;
use common::namespace::NamespaceId;
use common::netns::{LinkEntry, LinkRecord, SymlinkEnd};
use common::target::LinkName;

/// What will be done about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Bind the namespace there.
    Link,
    /// Remove what is there, which netns-link made, and bind the namespace.
    Relink,
    /// It is there already.
    Nothing,
    /// A symbolic link, which netns-link did not make, leads to it: nothing is changed.
    Symlink,
}

impl Plan {
    /// The plan for linking `namespace` at `name`, where `entry` is now, with `record`.
    ///
    /// # Errors
    /// When the name is taken: by what, and how to get it anyway.
    pub fn make(
        name: &LinkName,
        namespace: NamespaceId,
        (entry, record): (LinkEntry, Option<&LinkRecord>),
        force: bool,
    ) -> Result<Self, Failure> {
        let ours = record.is_some();
        let taken = |what: &str, hint: Option<Hint>| {
            Err(Failure::failed(common::netns::path(name).display(), what).hint(hint))
        };
        match entry {
            LinkEntry::Free => Ok(Plan::Link),
            LinkEntry::Bound(linked) if linked == namespace => Ok(Plan::Nothing),
            // Its mount is lost, or the call that made it was killed half-way.
            LinkEntry::Empty if ours => Ok(Plan::Relink),
            LinkEntry::Bound(_) if ours && force => Ok(Plan::Relink),
            LinkEntry::Bound(_) if ours => taken(
                "is another network namespace (--force replaces it, --as OTHERNAME leaves it)",
                hint!("netns-link --refresh"),
            ),
            LinkEntry::Bound(_) => taken(
                "is another network namespace",
                common::sentence!("use --as OTHERNAME: netns-link did not make {}", name),
            ),
            LinkEntry::Empty => taken(
                "is a file without a namespace, left by a link that is gone",
                hint!("netns-link --rm --force {}", name),
            ),
            LinkEntry::Symlink(SymlinkEnd::Netns(linked)) if linked == namespace => {
                Ok(if force { Plan::Relink } else { Plan::Symlink })
            }
            LinkEntry::Symlink(end) => taken(
                match end {
                    SymlinkEnd::Netns(_) => "is a symbolic link to another network namespace",
                    SymlinkEnd::Nowhere => "is a symbolic link to a file that does not exist",
                    SymlinkEnd::Other => "is a symbolic link to a file that is no network namespace",
                    SymlinkEnd::Unknown => "is a symbolic link to a file that cannot be opened",
                },
                hint!("netns-link --rm --force {}", name),
            ),
            LinkEntry::Foreign => taken("is not a namespace link", common::sentence!("use --as OTHERNAME")),
        }
    }
}

/// The name to link a container under when the user gave none: its own; in a pod, the pod's before it.
///
/// # Errors
/// A process or a namespace has no name of its own, and one made of a PID would be wrong as soon as another process has
/// that PID.
pub fn default_name(target: &impl Display, container: Option<&Container>) -> Result<LinkName, Failure> {
    let hint = || hint!("netns-link {} --as NAME", target);
    let Some(container) = container else {
        return Err(Failure::failed(target, "has no name to link it under").hint(hint()));
    };
    let name = match &container.pod {
        Some(pod) if pod.is_sandbox => pod.name.clone(),
        Some(pod) => format!("{}-{}", pod.name, container.name),
        None => container.name.clone(),
    };
    name.parse().map_err(|error| Failure::failed(format_args!("{container}: its name"), error).hint(hint()))
}

/// Of the running containers one for each network namespace, without those in the network `host` and those of ordinary
/// users, whose names would fill `/run/netns`. For a pod's namespace it is the sandbox, whichever container comes first.
pub fn one_of_each(containers: &[VerifiedContainer], host: Option<NamespaceId>) -> Vec<&VerifiedContainer> {
    let mut taken: HashSet<u64> = host.map(|host| host.inode).into_iter().collect();
    let is_meant =
        |known: &&VerifiedContainer| known.container.pid.is_some() && known.container.stranger().is_none();
    let mut running: Vec<&VerifiedContainer> = containers.iter().filter(is_meant).collect();
    running.sort_by_key(|known| !known.container.pod.as_ref().is_some_and(|pod| pod.is_sandbox));
    running.retain(|known| known.process.netns_inode.is_none_or(|netns| taken.insert(netns)));
    running
}

/// Why `what` in the network `host` is not linked: `ip netns exec NAME` and `ip -n NAME` would change the host.
pub fn refuse_host(what: &impl Display) -> Failure {
    Failure::failed(what, "is in the network of the host itself: only with --host is that linked")
        .hint(common::same_with!("--host"))
}

#[cfg(test)]
mod tests {
    use common::engine::Pod;
    use common::namespace::{Namespace, NamespaceKind};
    use jiff::Timestamp;
    use nix::unistd::Pid;

    use super::*;

    fn record() -> LinkRecord {
        let made_by = "netns-link".to_owned();
        let since = Timestamp::UNIX_EPOCH;
        LinkRecord { made_by, since, netns_inode: 1, netns_handle: None, container: None, process: None }
    }

    fn plan(
        entry: impl FnOnce(NamespaceId, NamespaceId) -> LinkEntry,
        ours: bool,
        force: bool,
    ) -> Result<Plan, Failure> {
        // Any two different identities will do.
        let [wanted, other] =
            [NamespaceKind::Net, NamespaceKind::Uts].map(|kind| Namespace::current(kind).unwrap().identity());
        let record = ours.then(record);
        Plan::make(&"web".parse().unwrap(), wanted, (entry(wanted, other), record.as_ref()), force)
    }

    fn made(entry: impl FnOnce(NamespaceId, NamespaceId) -> LinkEntry, ours: bool, force: bool) -> Plan {
        plan(entry, ours, force).unwrap()
    }

    fn refusal(plan: Result<Plan, Failure>) -> String {
        plan.unwrap_err().to_string()
    }

    #[test]
    fn a_free_name_is_linked() {
        assert_eq!(made(|_, _| LinkEntry::Free, false, false), Plan::Link);
    }

    #[test]
    fn the_same_call_again_changes_nothing() {
        assert_eq!(made(|wanted, _| LinkEntry::Bound(wanted), true, true), Plan::Nothing);
        assert_eq!(made(|wanted, _| LinkEntry::Bound(wanted), false, false), Plan::Nothing);
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let taken = |entry| refusal(plan(|_, _| entry, false, true));
        let other = refusal(plan(|_, other| LinkEntry::Bound(other), false, true));
        assert_eq!(other, "/run/netns/web: is another network namespace");
        let symlink = |end| taken(LinkEntry::Symlink(end));
        let is = "/run/netns/web: is a symbolic link to";
        assert_eq!(symlink(SymlinkEnd::Nowhere), format!("{is} a file that does not exist"));
        assert_eq!(symlink(SymlinkEnd::Other), format!("{is} a file that is no network namespace"));
        let other = plan(|_, other| LinkEntry::Symlink(SymlinkEnd::Netns(other)), false, true)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(other.to_string(), format!("{is} another network namespace"));
        assert_eq!(taken(LinkEntry::Foreign), "/run/netns/web: is not a namespace link");
        assert!(taken(LinkEntry::Empty).contains("left by a link that is gone"));
    }

    #[test]
    fn a_link_of_ours_is_replaced_only_by_force() {
        assert!(plan(|_, other| LinkEntry::Bound(other), true, false).is_err());
        assert_eq!(made(|_, other| LinkEntry::Bound(other), true, true), Plan::Relink);
    }

    #[test]
    fn a_symbolic_link_to_the_wanted_network_is_replaced_only_by_force() {
        let leads = |wanted, _| LinkEntry::Symlink(SymlinkEnd::Netns(wanted));
        assert_eq!(made(leads, false, false), Plan::Symlink);
        assert_eq!(made(leads, false, true), Plan::Relink);
    }

    #[test]
    fn what_a_killed_call_left_behind_is_completed() {
        assert_eq!(made(|_, _| LinkEntry::Empty, true, false), Plan::Relink);
    }

    fn running(name: &str, netns_inode: u64, is_sandbox: Option<bool>) -> VerifiedContainer {
        let mut known = crate::state::tests::known(Some(netns_inode));
        known.container.name = name.to_owned();
        known.container.pid = Some(Pid::this());
        known.container.pod = is_sandbox.map(|is_sandbox| {
            let (namespace, name) = ("prod".to_owned(), "web".to_owned());
            Pod { namespace, name, is_sandbox }
        });
        known
    }

    #[test]
    fn each_network_is_linked_once_a_pods_by_its_sandbox_and_the_hosts_never() {
        let host = Namespace::current(NamespaceKind::Net).unwrap().identity();
        let containers = [
            running("app", 1, Some(false)),
            running("pause", 1, Some(true)),
            running("proxy", 1, Some(false)),
            running("alone", 2, None),
            running("beside", 2, None),
            running("hosty", host.inode, None),
        ];
        let linked = one_of_each(&containers, Some(host));
        let names: Vec<&str> = linked.iter().map(|known| known.container.name.as_str()).collect();
        assert_eq!(names, ["pause", "alone"]);
    }
}
