//! Running: the program in our place or as a child, and what a parent has to do for it.

pub mod child;
pub mod ended;
pub mod parent_death;
pub mod program;
mod prompt;
pub mod pty;
mod reap;
mod script;
mod streams;
pub mod supervise;
