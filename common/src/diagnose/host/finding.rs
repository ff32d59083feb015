//! A finding: what is wrong, where, and the commands that fix it.

use serde::Serialize;

use super::FindingKind;
use super::facts::{HostFacts, LinkSpot};
use crate::hint;
use crate::hint::Hint;

/// Something that is proven to be wrong, and where. Its texts hold no name that a terminal would obey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of it.
    pub what: FindingKind,
    /// The inode of the network namespace that it is about.
    pub netns_inode: u64,
    /// The interface there that it is about, as it is called.
    pub ifname: Option<String>,
    /// What is wrong, in a line that begins with where.
    pub text: String,
    /// Commands for a root shell of the host that fix it, in their order. None where no command can, or where a name cannot be
    /// pasted.
    pub fix: Vec<Hint>,
    /// What else helps, or what has to be known before.
    pub advice: Option<String>,
}

impl Finding {
    /// One without a fix.
    pub(super) fn of(what: FindingKind, netns_inode: u64, ifname: Option<String>, text: String) -> Self {
        Finding { what, netns_inode, ifname, text, fix: Vec::new(), advice: None }
    }

    /// With these commands: all of them, or none.
    pub(super) fn fixed_by(mut self, commands: impl IntoIterator<Item = Option<Hint>>) -> Self {
        self.fix = commands.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default();
        self
    }

    /// With this advice.
    pub(super) fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl HostFacts {
    /// A command in the network of that namespace: as it is in our own; nothing where no TARGET means the other.
    pub(super) fn inside(&self, inode: u64, command: Option<Hint>) -> Option<Hint> {
        if self.map.netns(inode)?.is_own {
            return command;
        }
        let target = self.of(inode)?.target.as_deref()?;
        command.and_then(|command| hint!("nsenter-rs -t {} -n {}", target, command))
    }
}

impl<'a> LinkSpot<'a> {
    /// The link's name for a command, where it is text.
    pub fn pasted(self) -> Option<&'a str> {
        self.link.link.name.to_str()
    }
}
