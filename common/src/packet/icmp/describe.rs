//! ICMP errors in words: RFC 792, RFC 1122, RFC 1812, RFC 4443, as ping(8) words them.

use crate::packet::IpFamily;

/// What an error of this type and code says; `info` is the MTU of the next link, or where a parameter is wrong.
pub fn describe(family: IpFamily, kind: u8, code: u8, info: u32) -> String {
    match family {
        IpFamily::V4 => v4(kind, code, info),
        IpFamily::V6 => v6(kind, code, info),
    }
}

fn v4(kind: u8, code: u8, info: u32) -> String {
    let known = match (kind, code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => return format!("Frag needed and DF set (mtu = {info})"),
        (3, 5) => "Source Route Failed",
        (3, 6) => "Destination Net Unknown",
        (3, 7) => "Destination Host Unknown",
        (3, 8) => "Source Host Isolated",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 11) => "Destination Net Unreachable for Type of Service",
        (3, 12) => "Destination Host Unreachable for Type of Service",
        (3, 13) => "Packet filtered",
        (3, 14) => "Precedence Violation",
        (3, 15) => "Precedence Cutoff",
        (4, _) => "Source Quench",
        (5, _) => "Redirect",
        (11, 0) => "Time to live exceeded",
        (11, 1) => "Frag reassembly time exceeded",
        (12, _) => return format!("Parameter problem: pointer = {}", info >> 24),
        (3, code) => return format!("Dest Unreachable, Bad Code: {code}"),
        (kind, code) => return format!("ICMP type {kind}, code {code}"),
    };
    known.to_owned()
}

fn v6(kind: u8, code: u8, info: u32) -> String {
    let known = match (kind, code) {
        (1, 0) => "Destination unreachable: No route",
        (1, 1) => "Destination unreachable: Administratively prohibited",
        (1, 2) => "Destination unreachable: Beyond scope of source address",
        (1, 3) => "Destination unreachable: Address unreachable",
        (1, 4) => "Destination unreachable: Port unreachable",
        (1, 5) => "Destination unreachable: Source address failed policy",
        (1, 6) => "Destination unreachable: Reject route",
        (2, _) => return format!("Packet too big: mtu={info}"),
        (3, 0) => "Time exceeded: Hop limit",
        (3, 1) => "Time exceeded: Defragmentation failure",
        (4, 0) => return format!("Parameter problem: Wrong header field at {info}"),
        (4, 1) => return format!("Parameter problem: Unknown header at {info}"),
        (4, 2) => return format!("Parameter problem: Unknown option at {info}"),
        (1, code) => return format!("Destination unreachable: Unknown code {code}"),
        (kind, code) => return format!("ICMPv6 type {kind}, code {code}"),
    };
    known.to_owned()
}
