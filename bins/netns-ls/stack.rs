//! The rest of a namespace's stack, read where it is wanted: routes, rules, neighbours, forwarding tables, packet filters.

use std::rc::Rc;

use common::failure::Failure;
use common::map::{
    AttachedProgram, MapEntry, MappedNetns, NetnsDetails, WantedDetails, cgroup_programs, details,
};
use common::namespace::{NamespaceKind, own_identity};
use common::ports::SocketHolders;

/// A namespace with what was wanted of it.
#[derive(Debug)]
pub struct NetnsStack<'a> {
    pub netns: &'a MappedNetns,
    pub details: NetnsDetails,
    /// Which processes have its sockets, where these are wanted.
    pub holders: Rc<SocketHolders>,
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
        Ok(Some(NetnsStack {
            netns,
            details: details(&namespace, wanted)?,
            holders: Rc::default(),
            of_groups,
        }))
    }

    /// A namespace of which this was read, and nothing else.
    #[cfg(test)]
    pub fn of_details(netns: &'a MappedNetns, details: NetnsDetails) -> Self {
        NetnsStack { netns, details, holders: Rc::default(), of_groups: Vec::new() }
    }

    /// Looks for the processes that have the sockets of these namespaces: once for all of them.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn look_for_holders(stacks: &mut [Self]) -> Result<(), Failure> {
        let sockets = stacks.iter().flat_map(|stack| stack.details.sockets.iter().flatten());
        let inodes = sockets.map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
        let holders = Rc::new(SocketHolders::look(&inodes)?);
        stacks.iter_mut().for_each(|stack| stack.holders = Rc::clone(&holders));
        Ok(())
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

/// That so many processes hide which sockets they have.
pub fn hidden_sockets(count: usize) -> String {
    format!("which sockets they have, {count} processes do not show (CAP_SYS_PTRACE is missing)")
}
