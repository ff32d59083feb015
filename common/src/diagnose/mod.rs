//! The judge: from evidence about a probe that was not answered to its cause, a sentence, and the commands that help. A
//! pure table: it reads no file and sends nothing, so it is tested from recorded evidence.
//!
//! It says no more than the evidence proves. What was not looked at is `None`, and then the cause is a less exact one.
//!
//! ```
//! use common::diagnose::{Cause, Evidence, judge};
//! # use common::netlink::RouteLookup;
//! # let route = RouteLookup::default();
//! let evidence = Evidence::new("web", "docker:web", "10.1.0.9".parse().unwrap(), route, "eth0");
//! assert_eq!(judge(&evidence).cause, Some(Cause::NoAnswer));
//! ```

mod cause;
mod evidence;
mod here;
mod hop;
pub mod host;
mod ipsec;
#[cfg(test)]
mod ipsec_tests;
mod judge;
mod port;
#[cfg(test)]
mod port_tests;
#[cfg(test)]
mod route_tests;
mod routes;
mod sending;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

pub use cause::Cause;
pub use evidence::{
    Conntrack, DestSight, DestState, Evidence, FilterHook, HostSight, NeighbourAnswer, Passage, ProbeKind,
    SizeSearch, TappedPacket, TargetState, WatchedProbe,
};
pub use judge::judge;
pub use routes::{NoRoute, judge_no_route};
pub use verdict::Verdict;
