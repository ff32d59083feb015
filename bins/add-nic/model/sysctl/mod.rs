//! Settings of a network namespace: what may be asked for, what is, and how one is changed and restored.

mod change;
mod key;
mod settings;

pub use change::{SwitchWitness, SysctlChange};
pub use key::{SysctlKey, SysctlSetting};
pub use settings::{SysctlReading, SysctlValues, is_same};
