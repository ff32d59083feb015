//! All network namespaces of the host, and which of them owns an address or the other end of a veth.
//!
//! A look-up by address, and a quick look at the whole host, find a namespace if a process that we may look at is in it, or
//! if its file is mounted where we can see it (`/run/netns`, `/run/docker/netns`). A whole look also finds one that only a
//! thread, a descriptor, a socket or a mount elsewhere holds, and says which ([`LookDepth`], [`NetnsHolder`]).
//!
//! An address is looked for everywhere, for several namespaces can own the same private one: [`Owners`] has them
//! all. Our own namespace, in which the tool runs, is one like the others: pasta gives the host's own address to a
//! container, and who has it is then not certain. With the interface that leads to it (`fe80::5%br0`), only what is
//! attached there is looked at.

mod details;
mod ends;
mod entry;
mod error;
mod far;
mod holder;
mod host_map;
mod inside;
mod left_loggers;
mod list;
mod matching;
mod mounts;
mod names;
mod owners;
mod programs;
mod read;
mod reopen;
mod search;
mod unseen;
mod veth;
mod walk;
mod zone;

pub use details::{NetnsDetails, WantedDetails, details};
pub use entry::MapEntry;
pub use error::MapError;
pub use holder::NetnsHolder;
pub use host_map::{AttachedProgram, HostMap, LinkEnd, LinkPlace, MappedLink, MappedNetns};
pub use inside::HostWalk;
pub use left_loggers::put_back_loggers;
pub use list::LookDepth;
pub use names::{ContainerNames, HOST, NetnsNames};
pub use owners::{OwnerNetns, Owners, owners_of_ip, owners_of_mac, owners_of_peer};
pub use programs::{LinkProgram, cgroup_programs};
pub use read::read;
pub use search::{FoundSockets, OpenSocket};
pub use unseen::UnseenNamespaces;
pub use walk::{Visit, Walk, walk};
