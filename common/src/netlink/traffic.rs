//! Traffic control, listed: queueing disciplines that somebody has set, filters at the entrance and the exit of links, and XDP
//! programs. RTM_GETQDISC and RTM_GETTFILTER of linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h; IFLA_XDP of linux/if_link.h.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, number, u32_at, until_nul};
use super::{NetlinkError, Socket};

const RTM_GETTFILTER: u16 = 46;
const RTM_GETQDISC: u16 = 38;
/// struct tcmsg: family, padding, index, handle, parent, info.
const FIXED_BYTES: usize = 20;
/// struct ifinfomsg.
const LINK_FIXED_BYTES: usize = 16;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_ID: u16 = 11;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_PROG_ID: u16 = 4;
/// The ID in each of the three modes, where a link has several: generic, driver, hardware.
const IFLA_XDP_OF_A_MODE: [u16; 3] = [5, 6, 7];

/// TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS: where the filters of clsact, and of the older ingress, hang.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// A queueing discipline that is not the kernel's default, as `tc qdisc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDiscipline {
    /// The index of its link.
    pub index: u32,
    /// `clsact`, `tbf`, `netem`.
    pub kind: String,
}

impl QueueDiscipline {
    /// Whether it only holds filters.
    pub fn holds_filters(&self) -> bool {
        ["clsact", "ingress"].contains(&self.kind.as_str())
    }

    /// Reads the payload of an RTM_NEWQDISC; `None` for one that the kernel has set, which has no handle.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let (index, handle) = (u32_at(payload, 4), u32_at(payload, 8));
        let (index, handle) = (index.ok_or(MalformedMessage::Short)?, handle.ok_or(MalformedMessage::Short)?);
        let mut kind = None;
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            if let (TCA_KIND, value) = attribute? {
                kind = Some(text(value));
            }
        }
        let kind = kind.ok_or(MalformedMessage::Missing("kind"))?;
        Ok((handle != 0).then_some(QueueDiscipline { index, kind }))
    }
}

/// A filter of traffic control, as `tc filter` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrafficFilter {
    /// What comes first is asked first.
    pub priority: u16,
    /// `bpf`, `flower`, `matchall`, `u32`.
    pub kind: String,
    /// The ID of its BPF program.
    pub program_id: Option<u32>,
    /// What its BPF program was called when it was attached.
    pub program_name: Option<String>,
}

impl TrafficFilter {
    /// Reads the payload of an RTM_NEWTFILTER; `None` for what heads a list of filters and is none itself.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let (handle, info) = (u32_at(payload, 8), u32_at(payload, 16));
        let (handle, info) = (handle.ok_or(MalformedMessage::Short)?, info.ok_or(MalformedMessage::Short)?);
        // The upper half; the lower is the protocol.
        let [_, _, low, high] = info.to_le_bytes();
        let mut filter = TrafficFilter {
            priority: u16::from_le_bytes([low, high]),
            kind: String::new(),
            program_id: None,
            program_name: None,
        };
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (TCA_KIND, value) => filter.kind = text(value),
                (TCA_OPTIONS, options) if filter.kind == "bpf" => filter.read_bpf(options)?,
                _ => {}
            }
        }
        Ok((handle != 0).then_some(filter))
    }

    fn read_bpf(&mut self, options: &[u8]) -> Result<(), MalformedMessage> {
        for attribute in attributes(options) {
            match attribute? {
                (TCA_BPF_NAME, value) => self.program_name = Some(text(value)),
                (TCA_BPF_ID, value) => self.program_id = Some(number(value)?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// On which way of a link a filter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficDirection {
    /// What the link receives.
    Ingress,
    /// What it sends.
    Egress,
}

/// The IDs of the XDP programs of a link, out of the payload of an RTM_NEWLINK; mostly none.
pub(super) fn xdp(payload: &[u8]) -> Result<Vec<u32>, MalformedMessage> {
    let mut ids = BTreeSet::new();
    for attribute in attributes(payload.get(LINK_FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        let (IFLA_XDP, nested) = attribute? else { continue };
        for attribute in attributes(nested) {
            let (kind, value) = attribute?;
            if kind == IFLA_XDP_PROG_ID || IFLA_XDP_OF_A_MODE.contains(&kind) {
                ids.insert(number(value)?);
            }
        }
    }
    ids.remove(&0);
    Ok(ids.into_iter().collect())
}

/// Asks for the queueing disciplines of all links.
pub(super) fn qdisc_request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("queueing disciplines", RTM_GETQDISC, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// The queueing disciplines of the namespace's links, without those that the kernel gives them; none where the kernel is
    /// without CONFIG_NET_SCHED.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn queue_disciplines(&mut self) -> Result<Vec<QueueDiscipline>, NetlinkError> {
        match self.dump(qdisc_request, QueueDiscipline::read) {
            Ok(found) => Ok(found.into_iter().flatten().collect()),
            Err(NetlinkError::Refused { errno: Errno::EOPNOTSUPP, .. }) => Ok(vec![]),
            Err(error) => Err(error),
        }
    }

    /// The filters of a link that has `clsact` or `ingress`, in their order, each once.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn traffic_filters(
        &mut self,
        index: u32,
        direction: TrafficDirection,
    ) -> Result<Vec<TrafficFilter>, NetlinkError> {
        let parent = match direction {
            TrafficDirection::Ingress => INGRESS,
            TrafficDirection::Egress => EGRESS,
        };
        let numbers = [0, index, 0, parent, 0].map(u32::to_ne_bytes).concat();
        let asked = |flags| NetlinkRequest::new("filters", RTM_GETTFILTER, flags, &numbers);
        match self.dump(asked, TrafficFilter::read) {
            // One of u32 comes in several parts.
            Ok(found) => Ok(found.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect()),
            // It was taken away since, or is the older kind, which has no exit.
            Err(NetlinkError::Refused { errno: Errno::EINVAL | Errno::ENOENT | Errno::ENODEV, .. }) => {
                Ok(vec![])
            }
            Err(error) => Err(error),
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(value)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(fixed: [u32; 5], with: impl FnOnce(NetlinkRequest) -> NetlinkRequest) -> Vec<u8> {
        let fixed = fixed.map(u32::to_ne_bytes).concat();
        let bytes = with(NetlinkRequest::new("test", 0, 0, &fixed)).numbered(1)[16..].to_vec();
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            let _ = (QueueDiscipline::read(cut), TrafficFilter::read(cut), xdp(cut));
        }
        bytes
    }

    #[test]
    fn a_discipline_that_the_kernel_has_set_is_none_of_anybodys() {
        let kind = |kind: &'static str| move |message: NetlinkRequest| message.with_text(TCA_KIND, kind);
        assert_eq!(QueueDiscipline::read(&payload([0, 2, 0, 0, 0], kind("noqueue"))).unwrap(), None);
        let set =
            QueueDiscipline::read(&payload([0, 2, 0xffff_0000, 0xffff_fff1, 0], kind("clsact"))).unwrap();
        let set = set.unwrap();
        assert!(set.index == 2 && set.holds_filters());
    }

    #[test]
    fn a_filter_has_the_name_and_the_id_of_its_program() {
        let bpf =
            |options: NetlinkRequest| options.with_text(TCA_BPF_NAME, "drop.o:[tc]").with_u32(TCA_BPF_ID, 77);
        let message =
            |message: NetlinkRequest| message.with_text(TCA_KIND, "bpf").with_nested(TCA_OPTIONS, bpf);
        let filter =
            TrafficFilter::read(&payload([0, 2, 1, INGRESS, 49152 << 16 | 3], message)).unwrap().unwrap();
        assert_eq!((filter.priority, filter.program_id), (49152, Some(77)));
        assert_eq!(filter.program_name.as_deref(), Some("drop.o:[tc]"));
        assert_eq!(
            TrafficFilter::read(&payload([0, 2, 0, INGRESS, 49152 << 16 | 3], message)).unwrap(),
            None
        );
    }

    #[test]
    fn a_program_in_two_modes_of_xdp_is_named_once() {
        let nested = |xdp: NetlinkRequest| xdp.with(2, &[2]).with_u32(4, 9).with_u32(6, 9).with_u32(5, 7);
        let bytes = NetlinkRequest::new("link", 16, 0, &[0; 16]).with_nested(IFLA_XDP, nested).numbered(1);
        assert_eq!(xdp(&bytes[16..]).unwrap(), [7, 9]);
        let none =
            NetlinkRequest::new("link", 16, 0, &[0; 16]).with_nested(IFLA_XDP, |xdp| xdp.with(2, &[0]));
        assert_eq!(xdp(&none.numbered(1)[16..]).unwrap(), [0; 0]);
    }
}
