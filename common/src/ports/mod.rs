//! Which ports there are in all network namespaces of the host: what listens, in which process and container, and what is
//! published, by rules or by a proxy.
//!
//! Sockets come from the kernel (sock_diag(7)), asked in each namespace; what rules forward comes from the rules themselves
//! (nf_tables over netlink, the older iptables by getsockopt(2)), not from an engine. Who has a socket is read below `/proc`: that
//! may be a process of another namespace than the socket's, as Docker's name server is.
//!
//! What is not seen here: what eBPF programs forward or IPVS balances (that it does is known where a rule leads), and ports of other protocols than TCP and UDP.

mod forwards;
mod holders;
mod in_use;
mod ip_tables;
mod ipvs;
mod line;
mod names;
mod nat_rule;
mod nft;
#[cfg(test)]
mod nft_tests;
mod owner;
mod proxy;
mod rows;
mod search;
mod snapshot;
#[cfg(test)]
mod tests;
mod tunnels;
mod xt_part;

pub use forwards::ForwardedPort;
pub use holders::{SocketHolder, SocketHolders};
pub use ipvs::BalancedService;
pub use line::{DnatLine, ListenerProcess, PortEndLine, PortLine, lines};
pub use names::PortNames;
pub use nat_rule::NatHook;
pub use owner::{PortError, PortOwner, lines_at, owner_of};
pub use proxy::DockerProxy;
pub use rows::{EndNetns, EndState, ForwardEnd, PortPlace, PortRow, rows, rows_of};
pub use snapshot::{AddressNeed, NetnsPorts, PortsSnapshot, read};
