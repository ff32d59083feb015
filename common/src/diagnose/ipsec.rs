//! What IPsec policies do with the request and the answer: in the container, and on the host in between.

use std::net::IpAddr;

use super::evidence::{HostSight, Passage};
use super::{Cause, Evidence, ProbeKind, Verdict};
use crate::firewall::{FilterPacket, IpsecDrop, IpsecFate, PacketProtocol};
use crate::hint;
use crate::hint::Hint;
use crate::netlink::IpsecDirection;
use crate::target::Transport;

/// The types of an echo request and its reply: RFC 792, RFC 4443.
const ECHO_V4: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

impl Evidence {
    /// What becomes of the request on its way out; nothing is said where no policy could be read.
    pub(super) fn ipsec_out(&self) -> IpsecFate {
        let (Some(tables), Some(request)) = (&self.ipsec, self.request()) else { return IpsecFate::Plain };
        tables.fate(IpsecDirection::Out, &request)
    }

    /// What becomes of the answer on its way in.
    pub(super) fn ipsec_in(&self) -> IpsecFate {
        let (Some(tables), Some(answer)) = (&self.ipsec, self.answer()) else { return IpsecFate::Plain };
        tables.fate(IpsecDirection::In, &answer)
    }

    /// What becomes of the request on the host, and of the answer.
    pub(super) fn ipsec_of(&self, host: &HostSight) -> [IpsecFate; 2] {
        let (Some(tables), Some(request), Some(answer)) = (&host.ipsec, self.request(), self.answer()) else {
            return [IpsecFate::Plain, IpsecFate::Plain];
        };
        match host.is_dest {
            true => [tables.fate(IpsecDirection::In, &request), tables.fate(IpsecDirection::Out, &answer)],
            false => [&request, &answer].map(|packet| tables.fate_through(packet)),
        }
    }

    fn request(&self) -> Option<FilterPacket> {
        let mut packet = self.packet(self.route.source?, self.to, false);
        if let ProbeKind::Port(port) = self.probe {
            packet.port = Some(port.number);
        }
        Some(packet)
    }

    fn answer(&self) -> Option<FilterPacket> {
        let mut packet = self.packet(self.to, self.route.source?, true);
        if let ProbeKind::Port(port) = self.probe {
            packet.source_port = Some(port.number);
        }
        Some(packet)
    }

    fn packet(&self, source: IpAddr, destination: IpAddr, is_answer: bool) -> FilterPacket {
        let (request, reply) = if self.to.is_ipv4() { ECHO_V4 } else { ECHO_V6 };
        let protocol = match self.probe {
            ProbeKind::Echo { .. } => PacketProtocol::Icmp(if is_answer { reply } else { request }),
            ProbeKind::Port(port) => match port.transport {
                Transport::Tcp => PacketProtocol::Tcp,
                Transport::Udp => PacketProtocol::Udp,
            },
        };
        FilterPacket::first(protocol, source, destination)
    }
}

/// Nothing leaves the container, because of a policy: the kernel says nothing of a state that is missing.
pub(super) fn unsent(evidence: &Evidence) -> Option<Verdict> {
    let IpsecFate::Dropped(drop) = evidence.ipsec_out() else { return None };
    let again = evidence.again.as_ref().filter(|again| again.has_taps && !again.is_answered)?;
    let has_left = again.seen.iter().any(|seen| seen.passage == Passage::RequestOut);
    (!has_left).then(|| not_sent(evidence, &drop, "no answer: nothing was sent"))
}

/// A policy keeps the request in; `begins` says what was seen of that.
pub(super) fn not_sent(evidence: &Evidence, drop: &IpsecDrop, begins: &str) -> Verdict {
    Verdict::of(Cause::XfrmPolicy, format!("{begins}: {}", drop.sentence()))
        .fixed_by(evidence.inside(drop.undone_by()))
        .advising(evidence.inside(shown_by(drop)))
}

/// What shows the policies, or the states that are missing.
pub(super) fn shown_by(drop: &IpsecDrop) -> Option<Hint> {
    match drop {
        IpsecDrop::NoState(..) => hint!("ip xfrm state"),
        IpsecDrop::Blocks(_) | IpsecDrop::Default(_) => hint!("ip xfrm policy"),
    }
}
