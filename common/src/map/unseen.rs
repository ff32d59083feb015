//! The namespaces that could not be read: if there are any, "no owner" and "only this owner" are not certain.

use std::fmt;

use super::MapEntry;
use crate::namespace::{Namespace, NamespaceError};

/// What a walk through all namespaces had to leave out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnseenNamespaces {
    /// Processes whose namespace is hidden from us.
    pub processes: usize,
    /// Namespaces whose file we may not open.
    pub not_opened: usize,
    /// Namespaces that we may not enter.
    pub not_entered: usize,
    /// Namespaces that we entered and could not read: which, and why.
    pub not_read: Vec<(String, String)>,
}

impl UnseenNamespaces {
    /// Opens a namespace, or leaves it out; nothing is left out of one that has vanished.
    pub(super) fn opened(&mut self, entry: &MapEntry) -> Option<Namespace> {
        match entry.open() {
            Ok(namespace) => return namespace,
            Err(NamespaceError::NotPermitted { .. }) => self.not_opened += 1,
            Err(error) => self.not_read(entry, error),
        }
        None
    }

    /// Leaves out a namespace that could not be read, or a part of what is in it.
    pub(crate) fn not_read(&mut self, entry: &MapEntry, why: impl fmt::Display) {
        self.not_read.push((entry.to_string(), why.to_string()));
    }

    /// Leaves out what a second look at a namespace that had been read would have told. Once: one reason is enough.
    pub(super) fn not_read_again(&mut self, inode: u64, why: impl fmt::Display) {
        self.add_new(vec![(format!("net:[{inode}]"), why.to_string())]);
    }

    /// Leaves out what could not be read, where nothing is left out of it yet.
    pub(super) fn add_new(&mut self, not_read: Vec<(String, String)>) {
        for (which, why) in not_read {
            if !self.not_read.iter().any(|(known, _)| *known == which) {
                self.not_read.push((which, why));
            }
        }
    }

    /// Leaves out what `other` left out, too.
    pub(super) fn add(&mut self, other: UnseenNamespaces) {
        self.processes = self.processes.max(other.processes);
        self.not_opened = self.not_opened.max(other.not_opened);
        self.not_entered = self.not_entered.max(other.not_entered);
        self.not_read.extend(other.not_read);
    }

    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        *self == UnseenNamespaces::default()
    }

    /// Whether root would see what is missing.
    pub fn is_about_permission(&self) -> bool {
        self.processes + self.not_opened + self.not_entered > 0
    }
}

impl fmt::Display for UnseenNamespaces {
    /// What was left out, with the capability that is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize, one: &str, more: &str| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {more}"),
        };
        let mut parts = Vec::new();
        if self.processes > 0 {
            let processes = count(self.processes, "process", "processes");
            parts.push(format!("{processes} (CAP_SYS_PTRACE over their user namespaces is missing)"));
        }
        let closed = self.not_opened + self.not_entered;
        if closed > 0 {
            let namespaces = count(closed, "network namespace", "network namespaces");
            parts.push(format!("{namespaces} (CAP_SYS_ADMIN over the owning user namespaces is missing)"));
        }
        parts.extend(self.not_read.iter().map(|(which, why)| format!("{which} ({why})")));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_with_the_capability_that_it_takes() {
        assert!(UnseenNamespaces::default().is_empty());
        let unseen = UnseenNamespaces { processes: 2, not_entered: 1, ..UnseenNamespaces::default() };
        assert_eq!(
            unseen.to_string(),
            "2 processes (CAP_SYS_PTRACE over their user namespaces is missing), \
             1 network namespace (CAP_SYS_ADMIN over the owning user namespaces is missing)"
        );
        let hostile = UnseenNamespaces {
            not_read: vec![("net:[7]".into(), "links: odd".into())],
            ..UnseenNamespaces::default()
        };
        assert_eq!(hostile.to_string(), "net:[7] (links: odd)");
        assert!(!hostile.is_about_permission() && !hostile.is_empty());
    }
}
