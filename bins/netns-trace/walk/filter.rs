//! Packet filters on the way: which rule stops the packet, and the command that deletes exactly that one.

use std::fs;

use common::diagnose::Cause;
use common::firewall::{
    ChainHook, DropPlace, FilterPacket, FilterProgram, HookFamily, HookRun, PacketFlow, PacketTranslation,
    iptables_words,
};
use common::hint;
use common::hint::{Hint, Verbatim};
use common::map::LinkPlace;
use common::output::one_line;
use common::program;

use super::walker::{StopReason, Walker};
use crate::model::{HopHook, HopPlace, ProbeProtocol, TraceVerdict};
use crate::state::HostState;

impl Walker<'_> {
    /// The packet comes to a hook of IP. Whether NAT has given it another destination there.
    pub fn hook(&mut self, netns: u64, hook: ChainHook, from: Option<&str>, out: Option<&str>) -> bool {
        let mut packet = self.packet.filtered(from, out);
        // What is translated in the first of these is so because its destination is an address of the namespace itself.
        packet.is_local = match hook {
            ChainHook::Input => true,
            ChainHook::Prerouting | ChainHook::Output => {
                self.own_address(netns, self.packet.destination).is_some()
            }
            ChainHook::Forward | ChainHook::Postrouting => false,
        };
        let place = self.place(netns, None, Some(word(hook)));
        let run = self.filtered(place.clone(), HookFamily::Ip, hook, &packet);
        let Some(run) = run else { return false };
        let HookRun { translation, may_translate, mark, ttl, ttl_by, .. } = run;
        self.packet.mark = mark;
        self.takes_ttl(netns, hook, from, (ttl, ttl_by));
        if mark.is_none() && self.routes_by_mark(netns) {
            self.unsure(format!(
                "{}: routes by a mark, and that of the packet is not known",
                self.who(netns)
            ));
        }
        let changes_destination = matches!(hook, ChainHook::Prerouting | ChainHook::Output);
        if may_translate && changes_destination {
            self.unsure(format!("{}: a rule of NAT may be about the packet", self.who(netns)));
        } else if may_translate {
            self.doubt(format!("{}: a rule of NAT may be about the packet", self.who(netns)));
        }
        match translation {
            Some(PacketTranslation::Destination(address, port)) => {
                let own = || self.redirected_to(netns, hook, from);
                let Some(address) = address.or_else(own) else { return false };
                self.packet.destination = address;
                self.packet.port = port.or(self.packet.port);
                self.packet.is_dnat = true;
                true
            }
            Some(PacketTranslation::Source(address)) => {
                let own = || self.masquerade_address(netns, out);
                if let Some(address) = address.or_else(own) {
                    self.packet.source = address;
                }
                false
            }
            Some(PacketTranslation::Unknown) => {
                self.unsure(format!("{}: a rule of NAT could not be followed", self.who(netns)));
                false
            }
            None => false,
        }
    }

    /// Whether rules of policy routing there ask for marks.
    fn routes_by_mark(&self, netns: u64) -> bool {
        let visited = self.state.netns(netns).ok();
        visited.is_some_and(|visited| visited.rules().iter().any(|rule| rule.conditions.mark.is_some()))
    }

    /// REDIRECT gives what comes in the first address of its interface, and what is sent here 127.0.0.1.
    fn redirected_to(&self, netns: u64, hook: ChainHook, from: Option<&str>) -> Option<std::net::IpAddr> {
        let is_six = self.packet.is_six();
        if hook == ChainHook::Output {
            return if is_six { "::1" } else { "127.0.0.1" }.parse().ok();
        }
        self.address_of(netns, from?)
    }

    fn masquerade_address(&self, netns: u64, out: Option<&str>) -> Option<std::net::IpAddr> {
        let route =
            self.state.netns(netns).ok()?.route_out(self.packet.destination, None, self.packet.mark, None);
        route.ok().and_then(|route| route.source).or_else(|| self.address_of(netns, out?))
    }

    fn address_of(&self, netns: u64, ifname: &str) -> Option<std::net::IpAddr> {
        let links = &self.state.map.netns(netns)?.links;
        let link = links.iter().find(|link| link.link.name == ifname)?;
        let is_usable = |address: &std::net::IpAddr| match address {
            std::net::IpAddr::V4(_) => !self.packet.is_six(),
            std::net::IpAddr::V6(own) => self.packet.is_six() && !own.is_unicast_link_local(),
        };
        link.addresses.iter().map(|own| own.address).find(is_usable)
    }

    /// Takes any packet through the chains of a hook; what stops it is noted. What came of it, where they can be read.
    pub fn filtered(
        &mut self,
        place: HopPlace,
        family: HookFamily<'_>,
        hook: ChainHook,
        packet: &FilterPacket,
    ) -> Option<HookRun> {
        let netns = place.netns;
        let visited = self.state.netns(netns).ok()?;
        let filters = visited.filters();
        let is_tracked = packet.flow == PacketFlow::Tracked;
        let flow = if is_tracked { self.flow(netns, packet.is_answer) } else { packet.flow };
        let chosen_ports = self.chosen_ports;
        // The flow is a new one, which has no mark until a rule gives it one.
        let flow_mark = self.flow_marks.get(&netns).copied().unwrap_or(Some(0)).filter(|_| is_tracked);
        let run =
            filters.run(family, hook, &FilterPacket { flow, flow_mark, chosen_ports, ..packet.clone() });
        if is_tracked && run.flow != flow {
            self.flows.insert((netns, packet.is_answer), run.flow);
        }
        if is_tracked {
            self.flow_marks.insert(netns, run.flow_mark);
        }
        let from = packet.from.as_deref();
        if !filters.is_whole {
            self.doubt(format!("the packet filters of {} could not be read whole", self.who(netns)));
        }
        if let Some(unread) = filters.unread_at(family) {
            self.doubt(format!("{}: {unread}", self.who(netns)));
        }
        for may in run.may_drop.iter().flat_map(|may| std::iter::once(may).chain(&may.others)) {
            let reason = self.dropped_by(netns, (hook, from), may, true);
            self.suspect(place.clone(), reason);
        }
        if let Some(by) = &run.dropped {
            let reason = self.dropped_by(netns, (hook, from), by, false);
            self.stop(place, reason);
        }
        Some(run)
    }

    /// What connection tracking makes of the packet in a namespace. The answer to one that it has not tracked belongs to no flow, and
    /// neither an echo reply nor the second segment of a connection begins one; a datagram does.
    fn flow(&self, netns: u64, is_answer: bool) -> PacketFlow {
        if let Some(known) = self.flows.get(&(netns, is_answer)) {
            return *known;
        }
        match self.flows.get(&(netns, false)).filter(|_| is_answer) {
            Some(PacketFlow::Untracked) => PacketFlow::Invalid,
            Some(other) => *other,
            None => PacketFlow::Tracked,
        }
    }

    /// Why it is stopped at a hook, to which it came by that interface.
    pub fn dropped_by(
        &self,
        netns: u64,
        (hook, from): (ChainHook, Option<&str>),
        by: &DropPlace,
        is_doubt: bool,
    ) -> StopReason {
        let (cause, verdict) = match (by.rule.is_some(), by.reset) {
            (false, _) => (Cause::FilterPolicy, TraceVerdict::Lost),
            (true, None) => (Cause::FilterDrop, TraceVerdict::Lost),
            (true, Some(is_reset)) => {
                let is_refused = is_reset || self.packet.protocol != ProbeProtocol::Echo;
                let verdict = if is_refused { TraceVerdict::Refused } else { TraceVerdict::Unreachable };
                (Cause::FilterReject, verdict)
            }
        };
        let mut reason = StopReason::new(cause, verdict, sentence(hook, by, is_doubt));
        reason.rule = by.rule.clone();
        reason.filter = Some(by.clone());
        reason.advice = by.position.as_ref().and_then(|(chain, _)| advised(chain));
        let fix = self.rule_undone(netns, from, by);
        if is_doubt { reason } else { reason.fixed_by(fix) }
    }

    /// The command that undoes a rule to which the packet came by that interface.
    pub fn rule_undone(&self, netns: u64, from: Option<&str>, by: &DropPlace) -> Option<Hint> {
        self.state.undone(netns, &by.table, from, undo(by))
    }

    /// The filters of an interface: nftables' tables of the family netdev.
    pub fn device_hook(&mut self, link: LinkPlace, hook: HopHook) {
        let packet = self.packet.filtered(None, None);
        self.device_hook_of(link, hook, &packet);
    }

    /// The same of any packet. No flow is known there yet.
    pub fn device_hook_of(&mut self, link: LinkPlace, hook: HopHook, packet: &FilterPacket) {
        let name = self.link_name(link);
        let (family, from, out) = match hook {
            HopHook::Egress => (HookFamily::Egress(&name), None, Some(name.clone())),
            _ => (HookFamily::Ingress(&name), Some(name.clone()), None),
        };
        let packet = FilterPacket { from, out, flow: PacketFlow::Invalid, ..packet.clone() };
        let place = self.link_place(link, Some(hook));
        self.filtered(place, family, ChainHook::Prerouting, &packet);
    }
}

/// The command that undoes a filter which turned out to have dropped the packet.
pub fn undone(state: &HostState, netns: u64, by: &DropPlace) -> Option<Hint> {
    state.undone(netns, &by.table, None, undo(by))
}

/// What else than to delete a rule of that chain helps: Docker keeps its networks apart on purpose, and a container can be on several.
pub fn advised(chain: &str) -> Option<String> {
    chain.starts_with("DOCKER-ISOLATION").then(|| {
        "Docker keeps its networks apart: docker network connect NETWORK CONTAINER puts a container on both".to_owned()
    })
}

/// What of the kernel asks the chains of a hook.
pub fn word(hook: ChainHook) -> HopHook {
    match hook {
        ChainHook::Prerouting => HopHook::Prerouting,
        ChainHook::Input => HopHook::Input,
        ChainHook::Forward => HopHook::Forward,
        ChainHook::Output => HopHook::Output,
        ChainHook::Postrouting => HopHook::Postrouting,
    }
}

/// `iptables filter DOCKER-USER, rule 2: -d 10.2.0.2/32 -p icmp -j DROP`
pub fn sentence(hook: ChainHook, by: &DropPlace, is_doubt: bool) -> String {
    let program = program_word(by.program);
    let table = one_line(&by.table);
    let may = if is_doubt { "may match: " } else { "" };
    match (&by.rule, &by.position) {
        (Some(rule), Some((chain, position))) => {
            let begin = format!("-A {chain} ");
            let rule = rule.strip_prefix(&begin).unwrap_or(rule);
            format!("{program} {table} {}, rule {position}: {may}{}", one_line(chain), one_line(rule))
        }
        _ => {
            let may = if is_doubt { "may decide: " } else { "" };
            let chain = one_line(&by.chain);
            format!(
                "{program} {table} {chain}: {may}its policy is to drop, and no rule accepts it at the {}",
                word(hook).word()
            )
        }
    }
}

/// The command that deletes exactly the rule, or sets the policy to accept.
fn undo(by: &DropPlace) -> Option<Hint> {
    match by.program {
        FilterProgram::Nft => undo_nft(by),
        _ => undo_iptables(by),
    }
}

fn undo_nft(by: &DropPlace) -> Option<Hint> {
    let (family, table) = by.table.split_once(' ')?;
    match (&by.rule, &by.position) {
        (Some(_), Some((chain, _))) => {
            hint!("nft delete rule {} {} {} handle {}", family, table, chain, by.handle?)
        }
        _ => {
            let set = format!("add chain {family} {table} {} {{ policy accept; }}", by.chain);
            hint!("nft {}", set)
        }
    }
}

fn undo_iptables(by: &DropPlace) -> Option<Hint> {
    let program = Verbatim(program_word(by.program));
    let begin = match by.table.as_str() {
        "filter" => hint!("{}", program)?,
        table => hint!("{} -t {}", program, table)?,
    };
    let Some(rule) = &by.rule else { return hint!("{} -P {} ACCEPT", begin, by.chain) };
    let words = iptables_words(rule);
    let rest = Hint::words(words.get(1..)?)?;
    hint!("{} -D {}", begin, rest)
}

/// The command that people type: without a kind where the plain name is that one's.
fn program_word(program: FilterProgram) -> &'static str {
    match (program, plain_is_nft()) {
        (FilterProgram::Nft, _) => "nft",
        (FilterProgram::Iptables { six: false }, true) => "iptables",
        (FilterProgram::Iptables { six: true }, true) => "ip6tables",
        (FilterProgram::Iptables { six: false }, false) => "iptables-nft",
        (FilterProgram::Iptables { six: true }, false) => "ip6tables-nft",
        (FilterProgram::IptablesLegacy { six: false }, _) => "iptables-legacy",
        (FilterProgram::IptablesLegacy { six: true }, _) => "ip6tables-legacy",
    }
}

/// Whether `iptables` is the one of nf_tables: a link that leads to xtables-nft-multi.
fn plain_is_nft() -> bool {
    let file = program::find("iptables").and_then(|file| fs::canonicalize(file).ok());
    file.is_some_and(|file| file.to_string_lossy().contains("nft"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(program: FilterProgram, table: &str, rule: Option<&str>) -> DropPlace {
        DropPlace {
            program,
            table: table.to_owned(),
            chain: "FORWARD".to_owned(),
            rule: rule.map(str::to_owned),
            position: rule.map(|_| ("DOCKER-USER".to_owned(), 2)),
            handle: Some(7),
            counter: None,
            is_specific: false,
            reset: None,
            others: Vec::new(),
        }
    }

    const LEGACY: FilterProgram = FilterProgram::IptablesLegacy { six: false };

    fn undone(program: FilterProgram, table: &str, rule: Option<&str>) -> String {
        undo(&place(program, table, rule)).map_or_else(String::new, |hint| hint.to_string())
    }

    #[test]
    fn the_command_deletes_the_rule_itself() {
        let rule = r#"-A DOCKER-USER -d 10.2.0.2/32 -p icmp -m comment --comment "policy 42" -j DROP"#;
        assert_eq!(
            undone(LEGACY, "filter", Some(rule)),
            "iptables-legacy -D DOCKER-USER -d 10.2.0.2/32 -p icmp -m comment --comment 'policy 42' -j DROP"
        );
        assert_eq!(
            undone(LEGACY, "raw", Some("-A PREROUTING -j DROP")),
            "iptables-legacy -t raw -D PREROUTING -j DROP"
        );
        assert_eq!(undone(LEGACY, "filter", None), "iptables-legacy -P FORWARD ACCEPT");
        assert_eq!(
            undone(FilterProgram::Nft, "inet q", Some("drop")),
            "nft delete rule inet q DOCKER-USER handle 7"
        );
        assert_eq!(
            undone(FilterProgram::Nft, "inet q", None),
            "nft 'add chain inet q FORWARD { policy accept; }'"
        );
    }

    #[test]
    fn a_comment_cannot_act_in_the_shell_that_it_is_pasted_into() {
        let rule = r#"-A DOCKER-USER -m comment --comment "$(reboot)" -j DROP"#;
        assert!(undone(LEGACY, "filter", Some(rule)).contains("'$(reboot)'"));
    }
}
