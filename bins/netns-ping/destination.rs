//! Where packets go: what a DEST turned out to be, seen from inside.

use std::net::IpAddr;

use common::netlink::Way;

/// A DEST with its address, and the way there.
#[derive(Debug, Clone)]
pub struct Destination {
    /// As it was typed.
    pub word: String,
    /// What to call it: the word, or of another container its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// How we know.
    pub known: Known,
    /// The way that packets take from inside.
    pub way: Way,
    /// The name of the link on that way.
    pub link: String,
}

/// How an address came to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It was typed.
    Typed,
    /// The container's `/etc/hosts` has it.
    Hosts,
    /// A name server of the container's has said so.
    Server(IpAddr),
    /// A default route leads through it.
    Gateway,
    /// It is one of another container's, which is called so.
    Container(String),
}
