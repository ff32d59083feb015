//! netns-trace, end to end.
//!
//! Observers: what each fault was made with: iproute2, nft, iptables and sysctl.

#![cfg(test)]

mod bad_input;
