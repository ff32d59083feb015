//! All network namespaces of the host, and which of them owns an address or the other end of a veth.
//!
//! A namespace is on the map if a process that we may look at is in it, or if its file is mounted where we can see
//! it (`/run/netns`, `/run/docker/netns`). One that only a descriptor, a socket or a single thread holds is not.
//!
//! An address is looked for everywhere, for several namespaces can own the same private one: [`Owners`] has them
//! all. Our own namespace, in which the tool runs, counts only where no other one does: `ip:172.17.0.1` is the
//! container whose inner Docker has it, although the host's docker0 has it too.

mod entries;
mod entry;
mod error;
mod matching;
mod mounts;
mod owners;
mod unseen;
mod walk;

pub use entry::MapEntry;
pub use error::MapError;
pub use owners::{OwnerNetns, Owners, owners_of_ip, owners_of_mac, owners_of_peer};
pub use unseen::Unseen;
pub use walk::{Visit, Walk, walk};
