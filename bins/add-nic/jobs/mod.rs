//! The jobs: add a NIC, remove one, list and check.

pub mod add;
mod chosen;
mod docker_names;
pub mod list;
pub mod remove;
pub mod repair;
pub mod replace;
pub mod task;
