//! Which job a call asks for.

use super::{ArpRequest, EchoRequest, MatrixRequest, PortRequest, ScanRequest};

/// What to do, one thing of many.
#[derive(Debug)]
pub enum Job {
    /// ICMP echo, to each of a few addresses.
    Echo(EchoRequest),
    /// Ask for an address by ARP, look for duplicates, or announce.
    Arp(ArpRequest),
    /// A port of each of a few hosts.
    Port(PortRequest),
    /// Which of many addresses answer.
    Scan(ScanRequest),
    /// Every container to every other one.
    Matrix(MatrixRequest),
}
