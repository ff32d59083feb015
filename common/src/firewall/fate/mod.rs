//! What a namespace's packet filters would do with a packet: each chain is followed as the kernel does, and what cannot be
//! followed has both outcomes. So a verdict is one only where nothing else is possible. Pure.

#[cfg(test)]
mod change_tests;
mod follow;
mod hook;
mod iptables;
mod nft;
mod nft_condition;
mod nft_selector;
mod nft_words;
mod packet;
mod place;
mod rule;
#[cfg(test)]
mod tests;

use super::{FilterChain, FilterProgram, NamedSet, PacketCount, UnreadFilter};
use follow::{ChainFollower, Outcomes, RuleDrop};
pub use hook::{ChainHook, HookFamily};
use hook::{is_at, priority};
pub use iptables::words as iptables_words;
pub use packet::{ARP_REPLY, ARP_REQUEST, FilterPacket, PacketFlow, PacketProtocol};
pub use place::DropPlace;
pub use rule::PacketTranslation;
pub(super) use rule::RuleMatch;

/// linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK.
const CONNECTION_TRACKING: i32 = -200;

/// The packet filters of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetnsFilters {
    /// The chains of all programs.
    pub chains: Vec<FilterChain>,
    /// The sets and maps of nftables that these look into; whether a packet is in one that is missing here is not known.
    pub sets: Vec<NamedSet>,
    /// Whether all of them could be read: only then is it known that there is no other rule.
    pub is_whole: bool,
    /// Programs that may have rules of their own there, which are not read.
    pub unread: Vec<UnreadFilter>,
}

/// What becomes of a packet at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketFate {
    /// It passes.
    Passes,
    /// It is dropped, certainly.
    Dropped(DropPlace),
    /// That depends on what is not known.
    Unknown,
}

/// What becomes of a packet at a hook, chain after chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// Where it is certainly dropped.
    pub dropped: Option<DropPlace>,
    /// Where it may be dropped.
    pub may_drop: Vec<DropPlace>,
    /// What NAT certainly makes of it.
    pub translation: Option<PacketTranslation>,
    /// Whether NAT may make something else of it.
    pub may_translate: bool,
    /// What connection tracking makes of it afterwards.
    pub flow: PacketFlow,
    /// The mark that it has afterwards; nothing where it is not known.
    pub mark: Option<u32>,
    /// The mark that its flow has afterwards; the same.
    pub flow_mark: Option<u32>,
    /// Its TTL afterwards; the same.
    pub ttl: Option<u8>,
    /// The rule that has certainly given it that, if one has.
    pub ttl_by: Option<DropPlace>,
}

impl NetnsFilters {
    /// What becomes of the packet at that point.
    pub fn fate(&self, point: ChainHook, packet: &FilterPacket) -> PacketFate {
        let flow_mark = self.flow_mark_at(point, packet);
        let run = self.run(HookFamily::Ip, point, &FilterPacket { flow_mark, ..packet.clone() });
        match run.dropped {
            Some(place) => PacketFate::Dropped(place),
            None if run.may_drop.is_empty() && self.is_whole => PacketFate::Passes,
            None => PacketFate::Unknown,
        }
    }

    /// A program that is asked at hooks of that family, and whose rules are not known.
    pub fn unread_at(&self, family: HookFamily<'_>) -> Option<UnreadFilter> {
        let is_asked = |unread: &UnreadFilter| match unread {
            UnreadFilter::Arptables => family == HookFamily::Arp,
            UnreadFilter::Ebtables => family == HookFamily::Bridge,
        };
        self.unread.iter().copied().find(is_asked)
    }

    /// The mark of the packet's flow when it comes to that point: a new flow has none but what rules give it on the way there.
    fn flow_mark_at(&self, point: ChainHook, packet: &FilterPacket) -> Option<u32> {
        let comes_in = matches!(point, ChainHook::Input | ChainHook::Forward);
        if packet.flow_mark.is_some() || packet.is_answer || !comes_in || !self.is_whole {
            return packet.flow_mark;
        }
        let before = FilterPacket { out: None, flow_mark: Some(0), ..packet.clone() };
        self.run(HookFamily::Ip, ChainHook::Prerouting, &before).flow_mark
    }

    /// Takes the packet through all chains of the hook, in the kernel's order. What one chain accepts the next one still sees.
    pub fn run(&self, family: HookFamily<'_>, point: ChainHook, packet: &FilterPacket) -> HookRun {
        let mut packet = packet.clone();
        let mut run = HookRun {
            dropped: None,
            may_drop: Vec::new(),
            translation: None,
            may_translate: false,
            flow: packet.flow,
            mark: packet.mark,
            flow_mark: packet.flow_mark,
            ttl: packet.ttl,
            ttl_by: None,
        };
        let mut chains: Vec<&FilterChain> =
            self.chains.iter().filter(|chain| is_at(chain, family, point, &packet)).collect();
        chains.sort_by_key(|chain| priority(chain));
        for chain in chains {
            // NAT is set up by the first packet of a flow; the others only follow.
            let is_in_a_flow = matches!(packet.flow, PacketFlow::Tracked | PacketFlow::Unknown);
            if chain.is_nat && (packet.is_answer || !is_in_a_flow) {
                continue;
            }
            let (outcomes, ttl_by) = self.at_its_time(chain, point, &mut packet);
            run.ttl_by = ttl_by.map(|by| by.at(chain)).or(run.ttl_by);
            let passes = outcomes.passes();
            let place = outcomes.dropped.clone().map(|dropped| dropped.at(chain));
            match place {
                Some(place) if !passes => {
                    run.dropped = Some(place);
                    break;
                }
                Some(place) => run.may_drop.push(place),
                None => {}
            }
            match outcomes.translated.filter(|_| chain.is_nat) {
                Some(translation) if outcomes.is_only_translated() => run.translation = Some(translation),
                Some(_) => run.may_translate = true,
                None => {}
            }
        }
        (run.mark, run.flow_mark, run.ttl, run.flow) =
            (packet.mark, packet.flow_mark, packet.ttl, packet.flow);
        run
    }

    /// Whether the packet's source is replaced when it leaves; nothing where that is not certain.
    pub fn translates(&self, packet: &FilterPacket) -> Option<bool> {
        let mut may_be = !self.is_whole;
        let mut packet = packet.clone();
        let at_hook =
            |chain: &&FilterChain| is_at(chain, HookFamily::Ip, ChainHook::Postrouting, &packet.clone());
        let chains: Vec<&FilterChain> = self.chains.iter().filter(at_hook).collect();
        for chain in chains {
            let (outcomes, _) = self.outcomes(chain, &mut packet);
            if outcomes.translated.is_some() && outcomes.is_only_translated() {
                return Some(true);
            }
            may_be |= outcomes.translated.is_some();
        }
        (!may_be).then_some(false)
    }

    /// Whether iptables has a chain of that name in that table, of the program that has the other one.
    pub fn has_chain(&self, program: FilterProgram, table: &str, name: &str) -> bool {
        let is_it =
            |chain: &FilterChain| chain.program == program && chain.table == table && chain.name == name;
        self.chains.iter().any(is_it)
    }

    /// The same as [`Self::outcomes`], with the flow as the chain sees it: before connection tracking there is none.
    fn at_its_time(
        &self,
        chain: &FilterChain,
        point: ChainHook,
        packet: &mut FilterPacket,
    ) -> (Outcomes, Option<RuleDrop>) {
        let is_first_hook = matches!(point, ChainHook::Prerouting | ChainHook::Output);
        let is_early = is_first_hook && priority(chain) < CONNECTION_TRACKING;
        if !is_early || packet.flow == PacketFlow::Untracked {
            return self.outcomes(chain, packet);
        }
        let later = std::mem::replace(&mut packet.flow, PacketFlow::Invalid);
        let outcomes = self.outcomes(chain, packet);
        if packet.flow == PacketFlow::Invalid {
            packet.flow = later;
        }
        outcomes
    }

    /// How many packets the rule or policy has dropped, of a place that was found in an earlier look at the same namespace; nothing
    /// where it does not count, or is another one by now.
    pub fn counter(&self, place: &DropPlace) -> Option<PacketCount> {
        let name = place.position.as_ref().map_or(&place.chain, |(chain, _)| chain);
        let is_its = |chain: &&FilterChain| {
            chain.program == place.program && chain.table == place.table && chain.name == *name
        };
        let chain = self.chains.iter().find(is_its)?;
        let Some((_, position)) = place.position.as_ref().filter(|_| place.rule.is_some()) else {
            return chain.counter;
        };
        let rule = chain.rules.get(position.checked_sub(1)?)?;
        // The words of a rule of nft's have its counter in them.
        let is_same = if place.handle.is_some() {
            rule.handle == place.handle
        } else {
            Some(&rule.text) == place.rule.as_ref()
        };
        rule.counter.filter(|_| is_same)
    }

    /// Everything that may become of it in a chain that a hook calls, its policy included; and the rule that gave it its TTL.
    fn outcomes(&self, chain: &FilterChain, packet: &mut FilterPacket) -> (Outcomes, Option<RuleDrop>) {
        let mut follower = ChainFollower::new(&self.chains, &self.sets);
        let mut outcomes = follower.follow(chain, packet);
        outcomes.end_in(chain.policy.as_deref());
        (outcomes, follower.ttl_by())
    }
}
