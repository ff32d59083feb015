//! Settings of a network namespace: what may be asked for, what is, and how one is changed and put back.

mod change;
mod file;
mod forwarding;
mod key;
mod plan;

pub use change::Sysctl;
pub use file::{Reading, Settings, is_same, write};
pub use forwarding::needed as needed_with;
pub use key::{Key, Setting};
pub use plan::{asked_for, changed, needed, of_new_link};
