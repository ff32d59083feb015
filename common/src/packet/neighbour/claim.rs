//! What a frame says about an address.

use std::net::IpAddr;

use crate::target::Mac;

/// A frame says that a host has an address, or wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// The link-layer address that it is said to have.
    pub mac: Mac,
    /// The one that the frame itself came from. It differs if a host answers for others, or spoofs.
    pub sender: Mac,
    /// Whether it is taken already.
    pub kind: ClaimKind,
}

/// How much of a claim it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// The address is taken.
    Has,
    /// The sender asks whether the address is free, in order to take it: of two hosts that do so at once neither may
    /// (RFC 5227, 2.1.1; RFC 4862, 5.4.3).
    Wants,
}

/// Why a frame claims nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum InvalidFrame {
    /// It breaks off.
    #[error("cut short")]
    Short,
    /// It has a length in it that cannot be.
    #[error("with an impossible length")]
    Length,
    /// Its checksum is wrong.
    #[error("with a wrong checksum")]
    Checksum,
    /// It came through a router, or says so: whatever it claims about this link is a lie (RFC 4861, 7.1.2).
    #[error("from beyond a router")]
    Routed,
    /// It is of another kind, or claims an address that no host can have.
    #[error("with invalid contents")]
    Senseless,
}
