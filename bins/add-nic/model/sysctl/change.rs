//! One setting that is changed, as a step: set, restored, and shown as the command that does the same.

use serde::{Deserialize, Serialize};

use super::key::SysctlKey;
use crate::model::netns::Netns;
use crate::model::shell::quoted;

/// One setting that is changed, and what it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlChange {
    #[serde(rename = "place")]
    pub netns: Netns,
    /// The inode number of the container's namespace, if it is a setting there: the same in another is another one.
    pub netns_inode: Option<u64>,
    pub key: SysctlKey,
    pub value: String,
    /// `None` for one that comes and goes with the NIC.
    pub before: Option<String>,
    /// Others, which the kernel changes with this one when it is restored, as they were.
    pub along: Vec<(SysctlKey, String)>,
    /// Of a switch that others on the host may need too: what there was when it was set.
    #[serde(default)]
    pub witness: Option<SwitchWitness>,
}

/// What shows whether somebody else has written a switch since, or may need it by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchWitness {
    /// The time of the switch's file, in seconds and nanoseconds. A program that opens it to write, as sysctl(8), a shell and
    /// Docker do, cuts it to nothing first, and the kernel notes when (do_truncate in fs/open.c, proc_sys_setattr). The kernel
    /// may forget it, and then has a later one.
    pub written: (i64, i64),
    /// The chains of other programs that had rules.
    pub chains: Vec<String>,
}

impl SysctlChange {
    /// The command that sets it.
    pub fn setting(&self) -> String {
        format!("sysctl -q -w {}", pair(&self.key, &self.value))
    }

    /// The command that puts it back.
    pub fn resetting(&self) -> String {
        let first = self.before.iter().map(|before| pair(&self.key, before));
        let all = first.chain(self.along.iter().map(|(key, value)| pair(key, value)));
        format!("sysctl -q -w {}", all.collect::<Vec<_>>().join(" "))
    }
}

fn pair(key: &SysctlKey, value: &str) -> String {
    format!("{}={}", quoted(&key.to_string()), quoted(value))
}
