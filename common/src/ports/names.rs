//! What namespaces and processes are called in a list of ports: by their containers, where these are known.

use std::collections::HashMap;
use std::path::Path;

use nix::unistd::Pid;

use super::{NetnsPorts, PortsSnapshot, SocketHolder};
use crate::find::{ContainerList, ContainerMembers};
use crate::netns;

/// Names of containers, by where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortNames {
    /// What namespaces are called in a tool that has its own names for them, by inode.
    pub labels: HashMap<u64, String>,
    /// Of each network namespace the containers whose first process is in it.
    pub namespaces: HashMap<u64, Vec<String>>,
    /// Of each process that has a socket the container that it is in.
    pub processes: HashMap<Pid, String>,
}

impl PortNames {
    /// Those of the containers of `listing`, for the namespaces and processes of `snapshot`.
    pub fn of(listing: &ContainerList, snapshot: &PortsSnapshot) -> Self {
        let mut names = PortNames::default();
        for known in &listing.containers {
            let Some(netns) = known.process.netns_inode else { continue };
            let name = format!("{}{}", known.container.name, known.container.of_whom());
            let there = names.namespaces.entry(netns).or_default();
            if !there.contains(&name) {
                there.push(name);
            }
        }
        let members = ContainerMembers::new(listing);
        for holder in snapshot.holders.all() {
            let owner = holder.process().and_then(|process| members.owner_of(&process));
            if let Some(known) = owner {
                let name = format!("{}{}", known.container.name, known.container.of_whom());
                names.processes.insert(holder.pid, name);
            }
        }
        names
    }

    /// Sorts our own namespace before those with containers, and these before others.
    pub(super) fn order<'a>(&'a self, netns: &'a NetnsPorts) -> impl Ord + use<'a> {
        let containers = self.of_netns(netns.inode);
        let name = netns.names.first();
        (!netns.is_own, containers.is_empty(), containers, name.is_none(), name, netns.inode)
    }

    /// The containers of a namespace.
    pub fn of_netns(&self, inode: u64) -> &[String] {
        self.namespaces.get(&inode).map_or(&[], Vec::as_slice)
    }

    /// What a namespace is called in a line: `host`, its containers, its name under `/run/netns`, its inode.
    pub fn label(&self, netns: &NetnsPorts) -> String {
        if let Some(label) = self.labels.get(&netns.inode) {
            return label.clone();
        }
        if netns.is_own {
            return "host".to_owned();
        }
        let containers = self.of_netns(netns.inode);
        if !containers.is_empty() {
            return containers.join(",");
        }
        let by_hand = netns.names.first().and_then(|name| name.strip_prefix(netns::DIRECTORY).ok());
        match by_hand.map(Path::to_string_lossy) {
            Some(name) => format!("netns:{name}"),
            None => format!("net:[{}]", netns.inode),
        }
    }

    /// The container of a process.
    pub fn of_process(&self, holder: &SocketHolder) -> Option<&str> {
        self.processes.get(&holder.pid).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_stands_before_containers_and_these_before_others_whatever_their_inodes() {
        let netns = |inode, is_own, name: Option<&str>| NetnsPorts {
            inode,
            is_own,
            names: name.map(|name| Path::new(netns::DIRECTORY).join(name)).into_iter().collect(),
            ..NetnsPorts::default()
        };
        let names = PortNames {
            namespaces: HashMap::from([(7, vec!["web".to_owned()]), (8, vec!["db".to_owned()])]),
            ..PortNames::default()
        };
        let mut all = [
            netns(3, false, None),
            netns(4, false, None),
            netns(5, false, Some("red")),
            netns(6, false, Some("blue")),
            netns(7, false, None),
            netns(8, false, Some("zoo")),
            netns(9, true, None),
        ];
        all.sort_by(|one, other| names.order(one).cmp(&names.order(other)));
        assert_eq!(all.map(|netns| netns.inode), [9, 8, 7, 6, 5, 3, 4]);
    }
}
