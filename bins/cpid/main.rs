#![forbid(unsafe_code)]
//! cpid
fn main() {}
