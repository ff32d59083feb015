//! What the end-to-end tests stand on: `mod support;` at the top of a test file, then `use support::…`.
//!
//! | | |
//! |---|---|
//! | [`lab`] | a fake host with fake containers in it: no root, no engine, nothing of the real host is touched |
//! | [`world`] | real engines, if `NETNS_TOOLBOX_WORLD` says where they are |
//! | [`fake_engine`] | an engine's socket that answers whatever the test wants, or badly, or never |
//! | [`fake_docker`] | what a healthy Docker would say about a lab's containers |
//! | [`run`] | running a program to its end under a time limit, and the assertions on what came of it |
//! | [`until`] | waiting for what nothing tells of, with a deadline and a name |
//! | [`skip`] | `need!(…)`: what a test cannot do without, and the record of the tests that went without it |

#![allow(dead_code, reason = "each test file is a crate of its own that uses only some of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which shared code has not"
)]

pub(crate) mod container;
pub(crate) mod fake_docker;
pub(crate) mod fake_engine;
pub(crate) mod lab;
mod ran;
pub(crate) mod run;
pub(crate) mod scratch;
pub(crate) mod skip;
pub(crate) mod tools;
pub(crate) mod until;
pub(crate) mod world;
