//! The power that a program has: capabilities, as far as no seccomp filter takes their use.

use rustix::thread::{CapabilitySet, capabilities};

/// What the program has.
#[derive(Debug, Clone, Copy)]
pub struct ProgramPower {
    pub capabilities: CapabilitySet,
    /// Whether a seccomp filter holds it.
    pub filtered: bool,
}

impl ProgramPower {
    /// What this process has, and its children with it. Where that cannot be told, it is believed to be enough.
    pub fn ours() -> Self {
        let capabilities = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.permitted);
        ProgramPower { capabilities, filtered: is_filtered() }
    }
}

/// Whether a seccomp filter holds this process, proc_pid_status(5), beside the one that keeps keys out of terminals.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let says = |name, value| {
        status.lines().any(|line| line.strip_prefix(name).is_some_and(|found| found.trim() == value))
    };
    says("Seccomp:", "2") && !says("Seccomp_filters:", "1")
}
