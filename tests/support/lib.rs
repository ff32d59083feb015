//! What the end-to-end tests share: `use support::lab::Lab;`, `use support::run::Run;` …
//!
//! | | |
//! |---|---|
//! | [`lab`] | a fake host with fake [`container`]s in it: no root, no engine, nothing of the real host is touched |
//! | [`world`] | real engines, if `NETNS_TOOLBOX_WORLD` says where they are |
//! | [`ground`] | a world of one test's own, also of another suite of Debian |
//! | [`spare_docker`] | a real Docker in the world that a test may stop and kill |
//! | [`fake_engine`] | an engine's socket that answers whatever the test wants, or badly, or never |
//! | [`fake_docker`] | what a healthy Docker would say about a lab's containers |
//! | [`engine_state`] | engines' state on disk, written by hand in a lab |
//! | [`faults`] | at which system calls of a program to put a fault |
//! | [`name_server`] | a name server in a lab that answers every question alike |
//! | [`run`] | running a program to its end under a time limit, and the assertions on what came of it |
//! | [`tools`] | the built tools, and the environment in which a test runs them |
//! | [`terminal`] | what a program shows on a terminal of some width |
//! | [`until`] | waiting for what sends no event, with a deadline and a name |
//! | [`skip`] | `need!(…)`: what a test cannot do without, and the record of the tests that were skipped |
//! | [`tier`] | what only `make test-all` repeats |
//! | [`scratch`] | a directory for one test, and names that no other test uses |

pub mod container;
pub mod engine_state;
pub mod fake_docker;
pub mod fake_engine;
pub mod faults;
pub mod ground;
pub mod lab;
pub mod name_server;
mod ran;
pub mod run;
pub mod scratch;
pub mod skip;
pub mod spare_docker;
pub mod terminal;
pub mod tier;
pub mod tools;
pub mod until;
pub mod world;
