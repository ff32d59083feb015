//! What the tools of netns-toolbox share. Nothing lives here that only one tool uses.
//!
//! Dependencies point one way: [`find`] → [`engine`] → [`process`] → [`namespace`] → [`sys`], and
//! [`find`] → [`map`] → [`netlink`] → [`netns`] → [`namespace`]; and [`view`] → [`process`].

pub mod cidr;
pub mod cli;
pub mod each;
pub mod engine;
pub mod events;
pub mod failure;
pub mod find;
pub mod hint;
pub mod json;
pub mod map;
pub mod mountinfo;
pub mod namespace;
pub mod netlink;
pub mod netns;
pub mod output;
pub mod packet;
pub mod process;
pub mod sys;
pub mod target;
pub mod view;

/// musl maps and unmaps memory for nearly every growing vector, which is a fifth of the time that a tool takes to
/// start.
#[cfg(target_env = "musl")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
