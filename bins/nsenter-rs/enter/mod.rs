//! Entering: what is held open before, the namespaces, the root, and the user and limits of the process.

pub mod apply;
mod capabilities;
mod credentials;
pub mod descriptors;
mod elsewhere;
mod hardening;
mod loaders;
pub mod lookup;
pub mod neighbours;
pub mod opened;
pub mod place;
pub mod sealed;
mod seccomp;
mod shield;
pub mod snapshot;
pub mod source;
mod view;
