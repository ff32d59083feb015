//! What IPVS balances in a network namespace: there no program has to listen. `/proc/net/ip_vs`, by shape: ip_vs_info_seq_show in
//! net/netfilter/ipvs/ip_vs_ctl.c.

use std::net::{IpAddr, Ipv4Addr};

use crate::target::Transport;

/// A service of IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancedService {
    /// What is sent to that address and port.
    Place(Transport, IpAddr, u16),
    /// What a rule has marked, as swarm's published ports are.
    Marked,
}

impl BalancedService {
    /// Whether it may take packets to that address and port.
    pub(super) fn may_take(self, transport: Transport, address: IpAddr, port: u16) -> bool {
        // A service for all ports has the port 0.
        match self {
            BalancedService::Place(own, to, at) => {
                (own, to) == (transport, address) && (at == port || at == 0)
            }
            BalancedService::Marked => true,
        }
    }
}

/// Those of the network namespace that this thread is in.
pub(super) fn services() -> Vec<BalancedService> {
    let text = std::fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap_or_default();
    text.lines().filter_map(service).collect()
}

/// `TCP  0A000002:1F98 rr`, `UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr`, `FWM  00000100 rr`
fn service(line: &str) -> Option<BalancedService> {
    let mut words = line.split_whitespace();
    let transport = match words.next()? {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        "FWM" => return Some(BalancedService::Marked),
        _ => return None,
    };
    let (address, port) = words.next()?.rsplit_once(':')?;
    let address: IpAddr = match address.strip_prefix('[') {
        Some(six) => IpAddr::V6(six.strip_suffix(']')?.parse().ok()?),
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
    };
    Some(BalancedService::Place(transport, address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
FWM  00000100 rr
  -> 0A000004:0000      Masq    1      0          0
TCP  0A600001:01BB rr persistent 10800 FFFFFFFF
  -> 0A000005:192B      Masq    1      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr
";

    #[test]
    fn services_are_the_lines_that_are_no_servers() {
        let found: Vec<_> = FILE.lines().filter_map(service).collect();
        let place = |transport, address: &str, port| {
            BalancedService::Place(transport, address.parse().unwrap(), port)
        };
        let expected = [
            BalancedService::Marked,
            place(Transport::Tcp, "10.96.0.1", 443),
            place(Transport::Udp, "2001:db8::1", 53),
        ];
        assert_eq!(found, expected);
        let takes = |at: usize, address: &str, port| {
            found[at].may_take(Transport::Tcp, address.parse().unwrap(), port)
        };
        assert!(takes(0, "198.18.0.2", 8088) && takes(1, "10.96.0.1", 443));
        assert!(!takes(1, "10.96.0.1", 444) && !takes(1, "10.96.0.2", 443) && !takes(2, "2001:db8::1", 53));
    }

    #[test]
    fn what_breaks_off_is_no_panic() {
        for end in 0..FILE.len() {
            let _ = FILE[..end].lines().filter_map(service).count();
        }
    }
}
