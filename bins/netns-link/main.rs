#![forbid(unsafe_code)]
//! netns-link
fn main() {}
