//! A process that no engine here knows, and what is known of it all the same: "it is in no container" is said only of one that
//! has nothing of its own.

use std::fmt;

use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use serde::Serialize;

use super::cgroups;
use crate::namespace::{self, NamespaceError, NamespaceKind};
use crate::process::{Process, ProcessError};

/// A process that may be in a container, of which no engine here knows anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnplacedProcess {
    /// Its PID.
    pub pid: i32,
    /// The container's ID, 64 digits, that its control group is named after. Whoever may make control groups gives
    /// them any name.
    pub container_id: Option<String>,
    /// What it does not share with the host's first process: `pid`, `net`, `user`, as files below `/proc/PID/ns`
    /// are called, and `root`, its root directory.
    pub differs: Vec<&'static str>,
    /// Whether all of these could be looked at.
    pub was_looked_at: bool,
}

impl UnplacedProcess {
    /// What is known of `process`; `None` if it has nothing that the host's first process has not, so that it is in no
    /// container.
    pub(super) fn of(process: &Process) -> Result<Option<Self>, ProcessError> {
        let first = Process::open(Pid::from_raw(1)).ok();
        let mut unplaced = UnplacedProcess {
            pid: process.pid().as_raw(),
            container_id: cgroups::foreign_ids(process)?.into_iter().next(),
            differs: Vec::new(),
            was_looked_at: true,
        };
        for (kind, word) in
            [(NamespaceKind::Pid, "pid"), (NamespaceKind::Net, "net"), (NamespaceKind::User, "user")]
        {
            let hosts = match first.as_ref().and_then(|first| first.namespace_identity(kind).ok()) {
                Some(hosts) => Some(hosts),
                // An ordinary user cannot look at the host's first process.
                None => namespace::own_identity(kind).ok(),
            };
            let theirs = match process.namespace_identity(kind) {
                Err(NamespaceError::Gone { .. }) => return Err(ProcessError::Gone(process.pid())),
                theirs => theirs.ok(),
            };
            unplaced.compare(word, theirs, hosts);
        }
        let hosts = first.as_ref().and_then(root_of).or_else(|| root_of(&Process::open(Pid::this()).ok()?));
        unplaced.compare("root", root_of(process), hosts);
        let is_plain = unplaced.was_looked_at && unplaced.differs.is_empty();
        Ok((!is_plain || unplaced.container_id.is_some()).then_some(unplaced))
    }

    fn compare<T: PartialEq>(&mut self, what: &'static str, theirs: Option<T>, hosts: Option<T>) {
        match (theirs, hosts) {
            (Some(theirs), Some(hosts)) if theirs == hosts => {}
            (Some(_), Some(_)) => self.differs.push(what),
            _ => self.was_looked_at = false,
        }
    }
}

/// Device and inode of its root directory: mounts of one file system have one.
fn root_of(process: &Process) -> Option<(u64, u64)> {
    let root = process.open_file("root", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).ok()?;
    let stat = fstat(root).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// As a sentence has them.
fn in_words(differs: &[&str]) -> String {
    let namespaces: Vec<String> = differs
        .iter()
        .filter(|word| **word != "root")
        .map(|word| if *word == "pid" { "PID".to_owned() } else { (*word).replace("net", "network") })
        .collect();
    let noun = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
    let joined = match namespaces.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        others => others.concat(),
    };
    match (namespaces.is_empty(), differs.contains(&"root")) {
        (false, false) if namespaces.len() == 1 => format!("its {joined} {noun} differs from the host's"),
        (false, false) => format!("its {joined} {noun} differ from the host's"),
        (false, true) => format!("its root directory and its {joined} {noun} differ from the host's"),
        (true, _) => "its root directory differs from the host's".to_owned(),
    }
}

impl UnplacedProcess {
    /// As a sentence about those to whom it is unknown: `no engine here`.
    pub(super) fn described(&self, unknown_to: &str) -> String {
        let mut said = match &self.container_id {
            Some(id) => {
                let (pid, id) = (self.pid, id.get(..12).unwrap_or(id));
                format!(
                    "PID {pid}: is in a control group named after container {id}, which {unknown_to} knows"
                )
            }
            None => format!("PID {}: {unknown_to} knows a container that it is in", self.pid),
        };
        let but = if self.container_id.is_some() { "; " } else { ", but " };
        match (self.differs.is_empty(), self.was_looked_at) {
            (false, _) => said += &format!("{but}{}", in_words(&self.differs)),
            (true, false) => {
                said += &format!("{but}its namespaces or its root directory cannot be looked at")
            }
            (true, true) => {}
        }
        said
    }
}

impl fmt::Display for UnplacedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described("no engine here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: Option<&str>, differs: &[&'static str], was_looked_at: bool) -> String {
        let container_id = id.map(|id| id.repeat(16));
        UnplacedProcess { pid: 7, container_id, differs: differs.to_vec(), was_looked_at }.to_string()
    }

    #[test]
    fn what_is_known_is_said() {
        assert_eq!(
            said(Some("3f2a"), &["pid", "net"], true),
            "PID 7: is in a control group named after container 3f2a3f2a3f2a, which no engine here knows; \
             its PID and network namespaces differ from the host's"
        );
        assert_eq!(
            said(Some("3f2a"), &[], true),
            "PID 7: is in a control group named after container 3f2a3f2a3f2a, which no engine here knows"
        );
        assert_eq!(
            said(None, &["net"], true),
            "PID 7: no engine here knows a container that it is in, but its network namespace differs from the host's"
        );
        assert!(
            said(None, &["user", "root"], false)
                .ends_with("its root directory and its user namespace differ from the host's")
        );
        assert!(said(None, &["root"], true).ends_with("its root directory differs from the host's"));
        assert!(said(None, &[], false).ends_with("cannot be looked at"));
    }
}
