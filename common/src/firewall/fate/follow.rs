//! A packet's way through one chain, and through those that it calls.

use super::nft_condition::TableSets;
use super::packet::FilterPacket;
use super::place::DropPlace;
use super::rule::{PacketTranslation, RuleEffect, RuleMatch, RuleTarget};
use super::{iptables, nft};
use crate::firewall::{FilterChain, FilterProgram, NamedSet, WrittenRule};

/// As deep as the kernel lets chains call each other (NFT_JUMP_STACK_SIZE).
const DEEPEST: usize = 16;
/// Chains can have more ways through them than anybody waits for.
const MOST_RULES: usize = 100_000;

/// Targets of iptables' extensions that are no chains, and that are not followed: iptables-extensions(8), xtables-addons(8).
const EXTENSIONS: [&str; 16] = [
    "SYNPROXY",
    "CLUSTERIP",
    "SNPT",
    "DNPT",
    "HMARK",
    "TARPIT",
    "DELUDE",
    "CHAOS",
    "RAWDNAT",
    "RAWSNAT",
    "STEAL",
    "ECHO",
    "MIRROR",
    "SAME",
    "DNETMAP",
    "FULLCONENAT",
];

/// Everything that may become of a packet in a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub accepted: bool,
    pub translated: Option<PacketTranslation>,
    pub returned: bool,
    pub dropped: Option<RuleDrop>,
}

/// By which rule a packet is dropped; the policy if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RuleDrop {
    rule: Option<WrittenRule>,
    position: Option<(String, usize)>,
    is_specific: bool,
    reset: Option<bool>,
    others: Vec<RuleDrop>,
}

/// A way through the chains of a namespace.
#[derive(Debug)]
pub(super) struct ChainFollower<'a> {
    chains: &'a [FilterChain],
    sets: &'a [NamedSet],
    left: usize,
    /// The rule that gave the packet its TTL.
    ttl_by: Option<RuleDrop>,
}

impl<'a> ChainFollower<'a> {
    pub(super) fn new(chains: &'a [FilterChain], sets: &'a [NamedSet]) -> Self {
        ChainFollower { chains, sets, left: MOST_RULES, ttl_by: None }
    }

    /// Everything that may become of the packet in this chain.
    pub(super) fn follow(&mut self, chain: &FilterChain, packet: &mut FilterPacket) -> Outcomes {
        self.at_depth(chain, packet, DEEPEST)
    }

    /// The last rule that has certainly given the packet its TTL.
    pub(super) fn ttl_by(self) -> Option<RuleDrop> {
        self.ttl_by
    }

    fn at_depth(&mut self, chain: &FilterChain, packet: &mut FilterPacket, depth: usize) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (at, rule) in chain.rules.iter().enumerate() {
            self.left = self.left.saturating_sub(1);
            if depth == 0 || self.left == 0 {
                return Outcomes::anything(None);
            }
            let read = match chain.program {
                FilterProgram::Nft => {
                    nft::read(&rule.text, packet, TableSets { sets: self.sets, table: &chain.table })
                }
                _ => iptables::read(&rule.text, packet),
            };
            if read.is_meant == RuleMatch::No {
                continue;
            }
            let mut goes_on = read.is_meant == RuleMatch::Unknown;
            read.effects.iter().for_each(|effect| effect.apply(!goes_on, packet));
            let place = |reset| RuleDrop {
                rule: Some(rule.clone()),
                position: Some((chain.name.clone(), at + 1)),
                is_specific: read.is_specific,
                reset,
                others: Vec::new(),
            };
            if !goes_on && read.effects.iter().any(|effect| matches!(effect, RuleEffect::Ttl(_))) {
                self.ttl_by = Some(place(None));
            }
            match &read.target {
                RuleTarget::Continue => goes_on = true,
                RuleTarget::Accept => outcomes.accepted = true,
                RuleTarget::Translate(translation) => outcomes.translated = Some(*translation),
                RuleTarget::Return => outcomes.returned = true,
                RuleTarget::Drop => outcomes.drops(place(None)),
                RuleTarget::Reject { is_reset } => outcomes.drops(place(Some(*is_reset))),
                RuleTarget::Unknown => {
                    outcomes.join(Outcomes::anything(Some(place(None))), read.is_specific);
                    goes_on = true;
                }
                RuleTarget::Jump(name) | RuleTarget::Goto(name) => {
                    let called = called(self.chains, chain, name);
                    let mut inner = match called {
                        Some(called) => self.at_depth(called, packet, depth - 1),
                        None if EXTENSIONS.contains(&name.as_str()) => Outcomes::anything(Some(place(None))),
                        // A chain without rules is not among those that were read.
                        None => Outcomes { returned: true, ..Outcomes::default() },
                    };
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
}

fn called<'a>(chains: &'a [FilterChain], from: &FilterChain, name: &str) -> Option<&'a FilterChain> {
    let is_it = |chain: &&FilterChain| {
        chain.program == from.program && chain.table == from.table && chain.name == name
    };
    chains.iter().find(is_it)
}

impl RuleDrop {
    /// With the chain that the hook calls.
    pub(super) fn at(self, chain: &FilterChain) -> DropPlace {
        let handle = self.rule.as_ref().and_then(|rule| rule.handle);
        let counter = self.rule.as_ref().map_or(chain.counter, |rule| rule.counter);
        DropPlace {
            program: chain.program,
            table: chain.table.clone(),
            chain: chain.name.clone(),
            rule: self.rule.map(|rule| rule.text),
            position: self.position,
            handle,
            counter,
            is_specific: self.is_specific,
            reset: self.reset,
            others: self.others.into_iter().map(|other| other.at(chain)).collect(),
        }
    }
}

impl Outcomes {
    /// Where a chain cannot be followed.
    fn anything(rule: Option<RuleDrop>) -> Self {
        let dropped = Some(RuleDrop { is_specific: true, ..rule.unwrap_or_default() });
        Outcomes { accepted: true, translated: Some(PacketTranslation::Unknown), returned: true, dropped }
    }

    /// Whether it may pass.
    pub(super) fn passes(&self) -> bool {
        self.accepted || self.translated.is_some() || self.returned
    }

    /// Whether it is translated, and nothing else.
    pub(super) fn is_only_translated(&self) -> bool {
        self.translated.is_some() && !self.accepted && !self.returned && self.dropped.is_none()
    }

    /// The chain ends, and its policy has the last word.
    pub(super) fn end_in(&mut self, policy: Option<&str>) {
        if std::mem::take(&mut self.returned) {
            match policy {
                Some("drop") if self.dropped.is_none() => self.dropped = Some(RuleDrop::default()),
                Some("drop") => self.drops(RuleDrop::default()),
                _ => self.accepted = true,
            }
        }
    }

    fn drops(&mut self, mut by: RuleDrop) {
        match &mut self.dropped {
            Some(known) => {
                known.is_specific |= by.is_specific;
                let others = std::mem::take(&mut by.others);
                for one in std::iter::once(by).chain(others) {
                    let is_same =
                        |other: &RuleDrop| (&other.position, &other.rule) == (&one.position, &one.rule);
                    if !is_same(known) && !known.others.iter().any(is_same) {
                        known.others.push(one);
                    }
                }
            }
            none => *none = Some(by),
        }
    }

    /// With what may become of it in a chain that is called from here.
    fn join(&mut self, inner: Outcomes, is_specific: bool) {
        self.accepted |= inner.accepted;
        self.translated = self.translated.or(inner.translated);
        self.returned |= inner.returned;
        if let Some(mut by) = inner.dropped {
            by.is_specific |= is_specific;
            self.drops(by);
        }
    }
}
