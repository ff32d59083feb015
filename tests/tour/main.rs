//! The pages do as they say: every command of docs/tour.md, of the README and of the manuals' EXAMPLES is pasted, in order, into
//! a shell of a host of its own with a real Docker, and prints what the page prints.
//!
//! Numbers that differ from run to run (PIDs, inodes, MACs, times) are compared by their shape, addresses and all words exactly.
//! With `UPDATE_PAGES` what was printed takes the place of what the page says, and the pictures are drawn again.

#![cfg(test)]

mod compare;
mod page;
mod pages;
mod paste;
mod recording;
