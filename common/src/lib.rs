//! What the tools of netns-toolbox share. Nothing lives here that only one tool uses.
//!
//! Dependencies point one way: [`find`] → [`engine`] → [`process`] → [`namespace`] → [`sys`], and
//! [`find`] → [`map`] → [`netlink`] → [`netns`] → [`namespace`]; and [`view`] → [`process`].

#[forbid(unsafe_code)]
pub mod cidr;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod each;
#[forbid(unsafe_code)]
pub mod engine;
#[forbid(unsafe_code)]
pub mod events;
#[forbid(unsafe_code)]
pub mod failure;
#[forbid(unsafe_code)]
pub mod find;
#[forbid(unsafe_code)]
pub mod hint;
#[forbid(unsafe_code)]
pub mod json;
#[forbid(unsafe_code)]
pub mod map;
#[forbid(unsafe_code)]
pub mod mountinfo;
#[forbid(unsafe_code)]
pub mod namespace;
#[forbid(unsafe_code)]
pub mod netlink;
#[forbid(unsafe_code)]
pub mod netns;
#[forbid(unsafe_code)]
pub mod output;
#[forbid(unsafe_code)]
pub mod packet;
#[forbid(unsafe_code)]
pub mod process;
pub mod sys;
#[forbid(unsafe_code)]
pub mod target;
#[forbid(unsafe_code)]
pub mod view;

/// musl maps and unmaps memory for nearly every growing vector, which is a fifth of the time that a tool takes to
/// start. Why the binaries are musl's: docs/decisions/static-musl.md.
#[cfg(target_env = "musl")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
