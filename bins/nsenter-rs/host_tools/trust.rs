//! How far the target is trusted with the host.

use crate::wanted::Wanted;

/// How far the target is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As the host itself.
    All,
    /// Its programs may be run beside those of the host, and are held as those are.
    Programs,
    Nothing,
}

impl Trust {
    /// What the options say.
    pub fn of(wanted: &Wanted) -> Self {
        match (wanted.trust_target, wanted.exec_target) {
            (true, _) => Trust::All,
            (false, true) => Trust::Programs,
            (false, false) => Trust::Nothing,
        }
    }
}
