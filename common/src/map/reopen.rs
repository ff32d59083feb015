//! A namespace of the map, opened again.

use super::{MapEntry, MappedNetns};
use crate::namespace::{Namespace, NamespaceError, NamespaceKind};

impl MappedNetns {
    /// Opens it, as [`MapEntry::open`] does.
    ///
    /// # Errors
    /// As there.
    pub fn open(&self) -> Result<Option<Namespace>, NamespaceError> {
        let own = Namespace::current(NamespaceKind::Net)?;
        if self.inode == own.identity().inode {
            return Ok(Some(own));
        }
        let entry = MapEntry {
            identity: own.identity().with_inode(self.inode),
            pids: self.processes.clone(),
            names: self.names.clone(),
            holders: self.held_by.clone(),
            handle: None,
        };
        entry.open()
    }
}
