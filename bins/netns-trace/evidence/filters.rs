//! What the packet filters of a namespace do with the probe: netfilter's own trace. It tells the rule, also where the reason of a
//! drop is only that there was one. A namespace is traced if it has rules.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

use common::namespace::Namespace;
use common::netlink::{
    Chain, Netfilter, NetlinkError, NftCondition, NftTraceEvent, NftTraceVerdict, NftTracer, TableFamily,
    TracedPackets,
};
use common::netns::Home;
use common::packet::{IpFamily, random};
use nix::errno::Errno;

use super::error::NotArmed;
use crate::model::{
    FilterDecision, FilterOutcome, FilterRuleNumber, HopHook, ProbeSignature, SeenPacket, SignedContent,
    TraceEvent, TraceEventKind,
};

/// NFPROTO_BRIDGE, as nf_tables numbers its families.
const BRIDGE: TableFamily = TableFamily::Other(7);
const REQUEST: &str = "request";
const ANSWER: &str = "answer";
const ERROR: &str = "error";

/// Traces the probe through the filters of one namespace, until it is dropped.
#[derive(Debug)]
pub(super) struct FilterTrace {
    netns: u64,
    tracer: NftTracer,
    /// The hooks of the chains that packets come to by themselves: by family, table and name.
    hooks: HashMap<(TableFamily, String, String), HopHook>,
    /// In which hook a packet was last, by its number and table.
    last: HashMap<(u32, String), HopHook>,
    /// Whether the kernel had more to tell than it keeps.
    pub(super) is_incomplete: bool,
}

impl FilterTrace {
    /// Begins, if that namespace has rules of nf_tables, or others that its marks have traced too.
    pub(super) fn arm(
        signature: &ProbeSignature,
        namespace: &Namespace,
        home: &Home,
        has_others: bool,
    ) -> Result<Option<Self>, NotArmed> {
        let armed = home.inside(namespace, || armed(signature, has_others));
        let armed = armed.map_err(|errno| NotArmed::Kernel { what: "enter the network", errno })??;
        Ok(armed.map(|(tracer, chains)| FilterTrace {
            netns: namespace.identity().inode,
            tracer,
            hooks: hooks(chains),
            last: HashMap::new(),
            is_incomplete: false,
        }))
    }

    /// Hands over what was decided since.
    pub(super) fn drain(&mut self, mut each: impl FnMut(TraceEvent)) {
        let FilterTrace { netns, tracer, hooks, last, is_incomplete } = self;
        let drained = tracer.drain(|told| each(event(*netns, hooks, last, told)));
        *is_incomplete |= drained.is_err();
    }
}

impl AsFd for FilterTrace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tracer.as_fd()
    }
}

/// In the namespace that this thread is in.
fn armed(signature: &ProbeSignature, has_others: bool) -> Result<Option<(NftTracer, Vec<Chain>)>, NotArmed> {
    let Some(mut netfilter) = Netfilter::open()? else { return Ok(None) };
    let Some(chains) = netfilter.chains()? else { return Ok(None) };
    let has_rules = chains.iter().any(|chain| chain.hook.is_some() && (chain.uses > 0 || chain.drops));
    if !has_rules && !has_others {
        return Ok(None);
    }
    let bridges = chains.iter().any(|chain| chain.family == BRIDGE);
    // Two processes can have one PID, each in its own PID namespace, and one process can trace twice at once.
    let which = random().map_err(|errno| NotArmed::Kernel { what: "name a table", errno })?;
    let name = format!("netns-trace-{}-{:08x}", std::process::id(), u32::from_ne_bytes(which));
    match NftTracer::arm(&name, &traced(signature), bridges) {
        Ok(tracer) => Ok(tracer.map(|tracer| (tracer, chains))),
        Err(NetlinkError::Refused { errno: Errno::EINVAL | Errno::EOPNOTSUPP, .. }) => {
            Err(NotArmed::TooOld { what: "tables that go with their owner", since: "5.12" })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the probe, its answers, and errors about it look like from the header behind the IP header on.
pub(super) fn traced(signature: &ProbeSignature) -> Vec<TracedPackets> {
    let (ethertype, header, icmp, request, reply) = match signature.family() {
        IpFamily::V4 => (0x0800, 20, 1, 8, 0),
        IpFamily::V6 => (0x86dd, 40, 58, 128, 129),
    };
    // ICMP's own header, and the IP header that it quotes.
    let quoted = 8 + header;
    let at = |offset, value: &[u8]| NftCondition::Transport { offset, value: value.to_vec() };
    let (protocol, ask, reply, quote) = match signature.content {
        SignedContent::Echo { token, .. } => (
            icmp,
            vec![at(0, &[request]), at(8, &token)],
            vec![at(0, &[reply]), at(8, &token)],
            at(quoted + 8, &token),
        ),
        SignedContent::Syn { sequence } => {
            let (own, next) = (sequence.to_be_bytes(), sequence.wrapping_add(1).to_be_bytes());
            (6, vec![at(4, &own)], vec![at(8, &next)], at(quoted + 4, &own))
        }
        SignedContent::Datagram { source_port, token } => {
            (17, vec![at(8, &token)], vec![at(2, &source_port.to_be_bytes())], at(quoted + 8, &token))
        }
    };
    let packets = |name, protocol, content: Vec<NftCondition>| {
        let mut conditions = vec![NftCondition::Ethertype(ethertype), NftCondition::Protocol(protocol)];
        conditions.extend(content);
        TracedPackets { name, conditions }
    };
    vec![packets(REQUEST, protocol, ask), packets(ANSWER, protocol, reply), packets(ERROR, icmp, vec![quote])]
}

fn hooks(chains: Vec<Chain>) -> HashMap<(TableFamily, String, String), HopHook> {
    let of_ip = |chain: &Chain| !matches!(chain.family, TableFamily::Other(other) if other != 7);
    let known = chains
        .into_iter()
        .filter(of_ip)
        .filter_map(|chain| Some(((chain.family, chain.table, chain.name), hook_of(chain.hook?)?)));
    known.collect()
}

/// NF_INET_*; NF_BR_* has the same numbers.
pub(super) fn hook_of(number: u32) -> Option<HopHook> {
    Some(match number {
        0 => HopHook::Prerouting,
        1 => HopHook::Input,
        2 => HopHook::Forward,
        3 => HopHook::Output,
        4 => HopHook::Postrouting,
        _ => return None,
    })
}

/// Which of the traced packets has that name.
pub(super) fn packet_of(name: &str) -> SeenPacket {
    match name {
        ANSWER => SeenPacket::Answer,
        ERROR => SeenPacket::Error,
        _ => SeenPacket::Request,
    }
}

fn event(
    netns: u64,
    hooks: &HashMap<(TableFamily, String, String), HopHook>,
    last: &mut HashMap<(u32, String), HopHook>,
    told: NftTraceEvent,
) -> TraceEvent {
    let NftTraceEvent { packets, id, family, table, chain, handle, verdict, interfaces } = told;
    // A chain that is only jumped to belongs to the hook whose chain the packet was in before.
    let of_chain = hooks.get(&(family, table.clone(), chain.clone())).copied();
    let hook = of_chain.or_else(|| last.get(&(id, table.clone())).copied());
    if let Some(hook) = hook {
        last.insert((id, table.clone()), hook);
    }
    let packet = packet_of(packets);
    let outcome = match verdict {
        NftTraceVerdict::Drop => FilterOutcome::Drop,
        NftTraceVerdict::Accept => FilterOutcome::Accept,
        NftTraceVerdict::Queue => FilterOutcome::Queue,
        NftTraceVerdict::GoesOn => FilterOutcome::GoesOn,
    };
    TraceEvent {
        at: None,
        packet,
        netns: Some(netns),
        index: interfaces.0.or(interfaces.1),
        ifname: None,
        addresses: None,
        packet_id: id.into(),
        kind: TraceEventKind::Filtered(FilterDecision {
            family,
            table,
            chain,
            rule: handle.map(FilterRuleNumber::Handle),
            is_legacy: false,
            hook,
            outcome,
            interfaces,
        }),
    }
}
