#![forbid(unsafe_code)]
//! nsenter-rs
fn main() {}
