//! The flows that connection tracking remembers, as `conntrack -L` shows them, and how one is forgotten:
//! linux/netfilter/nfnetlink_conntrack.h, and nf_conntrack_netlink.c for the filter of a dump.

use std::net::IpAddr;

use nix::errno::Errno;

use super::netfilter::{Netfilter, or_lacking};
use super::wire::{MalformedMessage, NetlinkRequest, attributes, ip};
use super::{NetlinkError, Socket};

/// NFNL_SUBSYS_CTNETLINK
const CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
/// struct nfgenmsg: family, version, two bytes of a number that is not used.
const FIXED_BYTES: usize = 4;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// nf_internals.h: CTA_FILTER_F_CTA_PROTO_NUM and CTA_FILTER_F_CTA_PROTO_DST_PORT.
const BY_PROTOCOL_AND_PORT: u32 = 1 << 3 | 1 << 5;
/// NLA_F_NESTED, without which new attributes are refused.
const NESTED: u16 = 1 << 15;
/// linux/netfilter/nf_conntrack_common.h: IPS_SEEN_REPLY.
const SEEN_REPLY: u32 = 1 << 1;

/// One direction of a flow: source, then destination, each with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowTuple {
    /// Where its packets come from.
    pub source: (IpAddr, u16),
    /// Where they go.
    pub destination: (IpAddr, u16),
    /// IPPROTO_*
    pub protocol: u8,
}

/// A flow: what its first packet said, and what a reply to it must look like. With NAT these two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedFlow {
    /// As the first packet had it.
    pub original: FlowTuple,
    /// As replies have it.
    pub reply: FlowTuple,
    /// Whether there has been a reply.
    pub is_answered: bool,
    /// What names it to the kernel: the attributes of its original tuple, its zone and its number, as they were read.
    name: Vec<(u16, Vec<u8>)>,
}

impl Netfilter {
    /// The flows of a family and that protocol whose first packet went to that port, and that are `wanted`; `None` where the
    /// kernel tracks no connections.
    ///
    /// # Errors
    /// As [`Socket::links`].
    pub fn flows_to(
        &mut self,
        is_ipv4: bool,
        (protocol, port): (u8, u16),
        wanted: impl Fn(&TrackedFlow) -> bool,
    ) -> Result<Option<Vec<TrackedFlow>>, NetlinkError> {
        let socket: &mut Socket = self.socket();
        // Kernels before 5.8 do not know the filter and give all of them.
        let counts = |flow: &TrackedFlow| {
            flow.original.protocol == protocol && flow.original.destination.1 == port && wanted(flow)
        };
        // There can be a million others.
        let read = |payload: &[u8]| Ok(flow(payload)?.filter(&counts).map(Box::new));
        let found = or_lacking(socket.dump(|flags| asking(flags, is_ipv4, (protocol, port)), read))?;
        Ok(found.map(|flows| flows.into_iter().flatten().map(|flow| *flow).collect()))
    }

    /// Forgets a flow: its next packet is a first one again. One that has ended meanwhile is no error.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn forget(&mut self, flow: &TrackedFlow) -> Result<(), NetlinkError> {
        let order = |flags| {
            let is_ipv4 = flow.original.destination.0.is_ipv4();
            let request = request("connection", IPCTNL_MSG_CT_DELETE, flags, is_ipv4);
            flow.name.iter().fold(request, |request, (kind, value)| request.with(*kind, value))
        };
        match self.socket().change(order) {
            Err(NetlinkError::Refused { errno: Errno::ENOENT, .. }) => Ok(()),
            done => done,
        }
    }
}

fn request(name: &'static str, kind: u16, flags: u16, is_ipv4: bool) -> NetlinkRequest {
    let family = if is_ipv4 { libc::AF_INET } else { libc::AF_INET6 };
    let family = u8::try_from(family).unwrap_or_default();
    NetlinkRequest::new(name, CTNETLINK << 8 | kind, flags, &[family, 0, 0, 0])
}

fn asking(flags: u16, is_ipv4: bool, (protocol, port): (u8, u16)) -> NetlinkRequest {
    request("connections", IPCTNL_MSG_CT_GET, flags, is_ipv4)
        .with_nested(NESTED | CTA_TUPLE_ORIG, |tuple| {
            tuple.with_nested(NESTED | CTA_TUPLE_PROTO, |ends| {
                ends.with(CTA_PROTO_NUM, &[protocol]).with(CTA_PROTO_DST_PORT, &port.to_be_bytes())
            })
        })
        .with_nested(NESTED | CTA_FILTER, |filter| {
            filter.with_u32(CTA_FILTER_ORIG_FLAGS, BY_PROTOCOL_AND_PORT).with_u32(CTA_FILTER_REPLY_FLAGS, 0)
        })
}

/// Reads one; `None` for a flow without ports.
fn flow(payload: &[u8]) -> Result<Option<TrackedFlow>, MalformedMessage> {
    let (mut original, mut reply, mut is_answered, mut name) = (None, None, false, Vec::new());
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        let (kind, value) = attribute?;
        match kind {
            CTA_TUPLE_ORIG => original = tuple(value)?,
            CTA_TUPLE_REPLY => reply = tuple(value)?,
            CTA_STATUS => {
                let status = value.try_into().map(u32::from_be_bytes).map_err(|_| MalformedMessage::Short)?;
                is_answered = status & SEEN_REPLY != 0;
            }
            _ => {}
        }
        match kind {
            CTA_TUPLE_ORIG => name.push((NESTED | kind, value.to_vec())),
            CTA_ZONE | CTA_ID => name.push((kind, value.to_vec())),
            _ => {}
        }
    }
    let flow = original.zip(reply);
    Ok(flow.map(|(original, reply)| TrackedFlow { original, reply, is_answered, name }))
}

fn tuple(bytes: &[u8]) -> Result<Option<FlowTuple>, MalformedMessage> {
    let (mut from, mut to, mut ports, mut protocol) = (None, None, (None, None), None);
    let port = |value: &[u8]| value.try_into().map(u16::from_be_bytes).map_err(|_| MalformedMessage::Short);
    let family = |number: i32| u8::try_from(number).unwrap_or_default();
    for attribute in attributes(bytes) {
        let (kind, inner) = attribute?;
        for attribute in attributes(inner) {
            match (kind, attribute?) {
                (CTA_TUPLE_IP, (CTA_IP_V4_SRC, value)) => from = ip(family(libc::AF_INET), value),
                (CTA_TUPLE_IP, (CTA_IP_V4_DST, value)) => to = ip(family(libc::AF_INET), value),
                (CTA_TUPLE_IP, (CTA_IP_V6_SRC, value)) => from = ip(family(libc::AF_INET6), value),
                (CTA_TUPLE_IP, (CTA_IP_V6_DST, value)) => to = ip(family(libc::AF_INET6), value),
                (CTA_TUPLE_PROTO, (CTA_PROTO_NUM, value)) => protocol = value.first().copied(),
                (CTA_TUPLE_PROTO, (CTA_PROTO_SRC_PORT, value)) => ports.0 = Some(port(value)?),
                (CTA_TUPLE_PROTO, (CTA_PROTO_DST_PORT, value)) => ports.1 = Some(port(value)?),
                _ => {}
            }
        }
    }
    Ok(from.zip(to).zip(ports.0.zip(ports.1)).zip(protocol).map(|(((from, to), ports), protocol)| {
        FlowTuple { source: (from, ports.0), destination: (to, ports.1), protocol }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple_of(
        request: NetlinkRequest,
        kind: u16,
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
    ) -> NetlinkRequest {
        request.with_nested(NESTED | kind, |tuple| {
            tuple
                .with_nested(NESTED | CTA_TUPLE_IP, |ip| {
                    ip.with(CTA_IP_V4_SRC, &from.0).with(CTA_IP_V4_DST, &to.0)
                })
                .with_nested(NESTED | CTA_TUPLE_PROTO, |ends| {
                    ends.with(CTA_PROTO_NUM, &[17])
                        .with(CTA_PROTO_SRC_PORT, &from.1.to_be_bytes())
                        .with(CTA_PROTO_DST_PORT, &to.1.to_be_bytes())
                })
        })
    }

    #[test]
    fn a_flow_says_both_directions_and_what_names_it() {
        let message = request("flow", IPCTNL_MSG_CT_GET, 0, true);
        let message = tuple_of(message, CTA_TUPLE_ORIG, ([203, 0, 113, 9], 4000), ([203, 0, 113, 1], 53));
        let message = tuple_of(message, CTA_TUPLE_REPLY, ([10, 1, 0, 2], 5353), ([203, 0, 113, 9], 4000));
        let message = message
            .with(CTA_STATUS, &SEEN_REPLY.to_be_bytes())
            .with(CTA_ID, &7_u32.to_be_bytes())
            .with(99, &[1])
            .numbered(1);
        let read = flow(&message[16..]).unwrap().unwrap();
        assert_eq!(read.original.destination, ("203.0.113.1".parse().unwrap(), 53));
        assert_eq!(read.reply.source, ("10.1.0.2".parse().unwrap(), 5353));
        assert_eq!((read.original.protocol, read.is_answered), (17, true));
        let named: Vec<u16> = read.name.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(named, [NESTED | CTA_TUPLE_ORIG, CTA_ID]);
        for length in 0..message.len() - 16 {
            let _ = flow(&message[16..16 + length]);
        }
    }

    #[test]
    fn a_flow_without_ports_is_passed_over() {
        let message = request("flow", IPCTNL_MSG_CT_GET, 0, true).with_nested(CTA_TUPLE_ORIG, |tuple| {
            tuple.with_nested(CTA_TUPLE_PROTO, |ends| ends.with(CTA_PROTO_NUM, &[1]))
        });
        assert_eq!(flow(&message.numbered(1)[16..]), Ok(None));
    }
}
