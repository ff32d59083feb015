//! What a process is beside its namespaces: its user, capabilities, limits, labels, control groups and environment, and
//! what of these holds a program that enters.

pub mod cgroup;
pub mod confine;
pub mod environment;
pub mod fence;
pub mod label;
pub mod limits;
pub mod passwd;
pub mod power;
