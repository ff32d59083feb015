//! Which ports of the host have listeners: /proc/net/tcp, tcp6, udp, udp6 (proc_net_tcp.rst in the kernel's documentation).

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::filter::{Listener, Protocol};

/// Enough for a million connections.
const MOST_BYTES: u64 = 256 << 20;

/// TCP_LISTEN, and TCP_CLOSE for unconnected UDP sockets, in net/tcp_states.h.
const LISTENS: u8 = 0x0a;
const UNCONNECTED: u8 = 0x07;

/// All of them, in the network namespace of this process.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for (file, protocol) in
        [("tcp", Protocol::Tcp), ("tcp6", Protocol::Tcp), ("udp", Protocol::Udp), ("udp6", Protocol::Udp)]
    {
        let file = match File::open(format!("/proc/self/net/{file}")) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut table = String::new();
        file.take(MOST_BYTES).read_to_string(&mut table)?;
        found.extend(table.lines().skip(1).filter_map(|line| listener(line, protocol)));
    }
    Ok(found)
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`
fn listener(line: &str, protocol: Protocol) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let state = u8::from_str_radix(words.nth(1)?, 16).ok()?;
    let waits = match protocol {
        Protocol::Tcp => LISTENS,
        Protocol::Udp => UNCONNECTED,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == waits).then_some(Listener { protocol, address: address_of(address)?, port })
}

/// Words of 32 bits, each as this machine has it in memory.
fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1";
        let found = listener(line, Protocol::Tcp).unwrap();
        assert_eq!((found.address, found.port), ("127.0.0.1".parse().unwrap(), 8080));
        let six = "  1: 000080FE00000000FF005450B6AD1DFE:0050 0:0 0A";
        assert_eq!(
            listener(six, Protocol::Tcp).unwrap().address,
            "fe80::5054:ff:fe1d:adb6".parse::<IpAddr>().unwrap()
        );
        assert_eq!(listener("  1: 0100007F:1F90 0100007F:0050 01", Protocol::Tcp), None);
        for odd in
            ["", "x", "0: 0100007F", "0: 01:1 0:0 0A", "0: 0100007F:1F90 0:0 zz", "0: é100007F:1F90 0:0 0A"]
        {
            assert_eq!(listener(odd, Protocol::Tcp), None, "{odd}");
        }
    }
}
