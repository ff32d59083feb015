//! Settings of a network namespace: what may be asked for, what is, and how one is changed and put back.

mod change;
mod key;
mod settings;

pub use change::Sysctl;
pub use key::{Key, Setting};
pub use settings::{Reading, Settings, is_same};
