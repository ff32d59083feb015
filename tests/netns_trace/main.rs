//! netns-trace, end to end: faults that are put in on purpose, two at a time, and scenes in which everything works.
//!
//! Observers: `ping`, connections by perl, and what iproute2, nft and iptables list before and after.

#![cfg(test)]

mod bad_input;
mod docker;
mod drops;
mod drops_flood;
mod evidence;
mod evidence_level;
mod explain;
mod fault_walk;
mod faults;
mod inside_lab;
mod legacy;
mod manual;
mod mtu;
mod pairs;
mod reverse;
mod rows;
mod score;
mod working;
