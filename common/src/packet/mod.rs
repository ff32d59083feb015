//! Packets that probe a network, and their sockets: [`neighbour`] asks the hosts of a link for an address (ARP and
//! neighbour discovery), [`icmp`] sends echo requests, [`port`] connects to ports. Packets are built and read with pnet's types.

mod ancillary;
mod bpf;
mod clock;
mod family;
pub mod icmp;
pub mod neighbour;
mod poll;
pub mod port;
mod port_tap;
mod random;
mod stamp_log;
mod tap;

pub use clock::realtime_now;
pub use family::IpFamily;
pub use poll::{wait_for, wait_for_each};
pub use port_tap::{PortTap, SegmentKind, TappedSegment};
pub use random::random;
pub use stamp_log::TxStage;
pub use tap::{Tap, TapLayer, TappedEcho, TappedKind};
