//! A netlink route socket that belongs to one network namespace, and what it can be asked: links, addresses, and
//! by which number that namespace knows another one.
//!
//! The codec is our own: three questions need a hundred lines of it, where netlink-packet-route adds 0.8 MB to
//! every binary, changes its API with each release, and has refused whole dumps for one attribute it did not
//! know (rust-netlink/netlink-packet-route#54, #151). Here an attribute that nobody asked for is passed over.
//!
//! Sources: [rtnetlink(7)](https://man7.org/linux/man-pages/man7/rtnetlink.7.html), linux/netlink.h,
//! linux/rtnetlink.h, and <https://docs.kernel.org/userspace-api/netlink/intro.html>.

mod address;
mod error;
mod link;
mod nsid;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

pub use address::Address;
pub use error::NetlinkError;
pub use link::{Link, OperState};
pub use socket::Socket;
