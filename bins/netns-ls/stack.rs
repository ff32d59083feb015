//! The rest of a namespace's stack, read where it is wanted: routes, rules, neighbours, forwarding tables, packet filters.

use common::failure::Failure;
use common::map::{
    AttachedProgram, MapEntry, MappedNetns, NetnsDetails, WantedDetails, cgroup_programs, details,
};
use common::namespace::{NamespaceKind, own_identity};

/// A namespace with what was wanted of it.
#[derive(Debug)]
pub struct NetnsStack<'a> {
    pub netns: &'a MappedNetns,
    pub details: NetnsDetails,
    /// The BPF programs of its processes' control groups, where programs are wanted.
    pub of_groups: Vec<AttachedProgram>,
}

impl<'a> NetnsStack<'a> {
    /// Reads what is wanted; nothing of a namespace that has ended since it was mapped.
    ///
    /// # Errors
    /// When it cannot be entered.
    pub fn read(netns: &'a MappedNetns, wanted: WantedDetails) -> Result<Option<Self>, Failure> {
        let entry = MapEntry {
            identity: own_identity(NamespaceKind::Net)?.with_inode(netns.inode),
            pids: netns.processes.clone(),
            names: netns.names.clone(),
            holders: netns.held_by.clone(),
            handle: None,
        };
        let Some(namespace) = entry.open()? else { return Ok(None) };
        // Those of the host's own processes are the whole machine's.
        let are_wanted = wanted.programs && !netns.is_own;
        let of_groups = if are_wanted { cgroup_programs(&netns.processes) } else { Vec::new() };
        Ok(Some(NetnsStack { netns, details: details(&namespace, wanted)?, of_groups }))
    }

    /// The name of the link with that index, or the index.
    pub fn ifname(&self, index: u32) -> String {
        match self.netns.link(index) {
            Some(link) => link.link.name.to_string_lossy().into_owned(),
            None => format!("index {index}"),
        }
    }
}

/// Whether anything is wanted.
pub fn is_any(wanted: WantedDetails) -> bool {
    wanted != WantedDetails::default()
}
