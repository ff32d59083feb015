//! What a namespace's packet filters would do with a packet: each chain is followed as the kernel does, and what cannot be
//! followed has both outcomes. So a verdict is one only where nothing else is possible. Pure.

pub(super) mod iptables;
mod nft;
mod rule;
#[cfg(test)]
mod tests;

pub(super) use rule::FirstPacket;
use rule::{RuleMatch, RuleTarget};

use super::facts::NetnsFilters;
use crate::firewall::{FilterChain, FilterProgram};

/// Where a packet is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DropPlace {
    pub program: FilterProgram,
    /// The table and the chain that the hook calls.
    pub table: String,
    pub chain: String,
    /// The rule, as its program writes it; the chain's policy if there is none.
    pub rule: Option<String>,
    /// Whether that rule, or one that leads to it, is for some interface or address.
    pub is_specific: bool,
}

/// Everything that may become of a packet in a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Outcomes {
    accepted: bool,
    translated: bool,
    returned: bool,
    dropped: Option<(Option<String>, bool)>,
}

/// What becomes of a packet at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PacketFate {
    /// It passes.
    Passes,
    /// It is dropped, certainly.
    Dropped(DropPlace),
    /// That depends on what is not known.
    Unknown,
}

/// A hook, as iptables and nft call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChainHook {
    Input,
    Forward,
    Postrouting,
}

/// As deep as the kernel lets chains call each other (NFT_JUMP_STACK_SIZE).
const DEEPEST: usize = 16;
/// Chains can have more ways through them than anybody waits for.
const MOST_RULES: usize = 100_000;

impl ChainHook {
    fn chain(self) -> &'static str {
        match self {
            ChainHook::Input => "INPUT",
            ChainHook::Forward => "FORWARD",
            ChainHook::Postrouting => "POSTROUTING",
        }
    }

    fn hook(self) -> &'static str {
        match self {
            ChainHook::Input => "input",
            ChainHook::Forward => "forward",
            ChainHook::Postrouting => "postrouting",
        }
    }
}

impl NetnsFilters {
    /// What becomes of the packet at that point.
    pub(super) fn fate(&self, point: ChainHook, packet: &FirstPacket) -> PacketFate {
        let mut is_certain = self.is_whole;
        for chain in self.chains.iter().filter(|chain| is_at(chain, point, packet)) {
            let outcomes = self.outcomes(chain, packet);
            let passes = outcomes.accepted || outcomes.translated || outcomes.returned;
            match outcomes.dropped {
                Some((rule, is_specific)) if !passes => {
                    return PacketFate::Dropped(DropPlace {
                        program: chain.program,
                        table: chain.table.clone(),
                        chain: chain.name.clone(),
                        rule,
                        is_specific,
                    });
                }
                Some(_) => is_certain = false,
                None => {}
            }
        }
        if is_certain { PacketFate::Passes } else { PacketFate::Unknown }
    }

    /// Whether the packet's source is replaced when it leaves; nothing where that is not certain.
    pub(super) fn translates(&self, packet: &FirstPacket) -> Option<bool> {
        let mut may_be = !self.is_whole;
        for chain in self.chains.iter().filter(|chain| is_at(chain, ChainHook::Postrouting, packet)) {
            let outcomes = self.outcomes(chain, packet);
            if outcomes.translated && !(outcomes.accepted || outcomes.returned) && outcomes.dropped.is_none()
            {
                return Some(true);
            }
            may_be |= outcomes.translated;
        }
        (!may_be).then_some(false)
    }

    /// Everything that may become of it in a chain that a hook calls, its policy included.
    fn outcomes(&self, chain: &FilterChain, packet: &FirstPacket) -> Outcomes {
        let mut left = MOST_RULES;
        let mut outcomes = self.follow(chain, packet, DEEPEST, &mut left);
        if std::mem::take(&mut outcomes.returned) {
            match chain.policy.as_deref() {
                Some("drop") if outcomes.dropped.is_none() => outcomes.dropped = Some((None, false)),
                Some("drop") => {}
                _ => outcomes.accepted = true,
            }
        }
        outcomes
    }

    fn follow(&self, chain: &FilterChain, packet: &FirstPacket, depth: usize, left: &mut usize) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for rule in &chain.rules {
            *left = left.saturating_sub(1);
            if depth == 0 || *left == 0 {
                return Outcomes::anything();
            }
            let read = match chain.program {
                FilterProgram::Nft => nft::read(&rule.text, packet),
                _ => iptables::read(&rule.text, packet),
            };
            if read.is_meant == RuleMatch::No {
                continue;
            }
            let mut goes_on = read.is_meant == RuleMatch::Unknown;
            match &read.target {
                RuleTarget::Continue => goes_on = true,
                RuleTarget::Accept => outcomes.accepted = true,
                RuleTarget::Translate => outcomes.translated = true,
                RuleTarget::Return => outcomes.returned = true,
                RuleTarget::Drop => outcomes.drops(Some(rule.text.clone()), read.is_specific),
                RuleTarget::Unknown => {
                    outcomes.join(Outcomes::anything(), read.is_specific);
                    goes_on = true;
                }
                RuleTarget::Jump(name) | RuleTarget::Goto(name) => {
                    let called = self.called(chain, name);
                    let mut inner = called.map_or_else(Outcomes::anything, |called| {
                        self.follow(called, packet, depth - 1, left)
                    });
                    if matches!(read.target, RuleTarget::Jump(_)) {
                        goes_on |= std::mem::take(&mut inner.returned);
                    }
                    outcomes.join(inner, read.is_specific);
                }
            }
            if !goes_on {
                return outcomes;
            }
        }
        outcomes.returned = true;
        outcomes
    }

    fn called(&self, from: &FilterChain, name: &str) -> Option<&FilterChain> {
        let is_it = |chain: &&FilterChain| {
            chain.program == from.program && chain.table == from.table && chain.name == name
        };
        self.chains.iter().find(is_it)
    }

    /// Whether iptables has a chain of that name in its table `filter`, of the program that has the other one.
    pub(super) fn has_chain(&self, program: FilterProgram, table: &str, name: &str) -> bool {
        let is_it =
            |chain: &FilterChain| chain.program == program && chain.table == table && chain.name == name;
        self.chains.iter().any(is_it)
    }
}

impl Outcomes {
    /// Where a chain cannot be followed.
    fn anything() -> Self {
        Outcomes { accepted: true, translated: true, returned: true, dropped: Some((None, true)) }
    }

    fn drops(&mut self, rule: Option<String>, is_specific: bool) {
        match &mut self.dropped {
            Some((_, known)) => *known |= is_specific,
            none => *none = Some((rule, is_specific)),
        }
    }

    /// With what may become of it in a chain that is called from here.
    fn join(&mut self, inner: Outcomes, is_specific: bool) {
        self.accepted |= inner.accepted;
        self.translated |= inner.translated;
        self.returned |= inner.returned;
        if let Some((rule, inner_is)) = inner.dropped {
            self.drops(rule, is_specific || inner_is);
        }
    }
}

/// Whether the hook calls that chain for such a packet.
fn is_at(chain: &FilterChain, point: ChainHook, packet: &FirstPacket) -> bool {
    let is_six = packet.source.is_ipv6();
    match chain.program {
        FilterProgram::Iptables { six } | FilterProgram::IptablesLegacy { six } => {
            six == is_six && chain.name == point.chain() && chain.policy.is_some()
        }
        FilterProgram::Nft => {
            let of_family = match chain.table.split(' ').next() {
                Some("inet") => true,
                Some("ip") => !is_six,
                Some("ip6") => is_six,
                _ => false,
            };
            let hook = chain.hook.as_deref().and_then(|hook| hook.strip_prefix("hook "));
            of_family && hook.and_then(|hook| hook.split(' ').next()) == Some(point.hook())
        }
    }
}
