//! Which ports the rules of a namespace forward, and to where: from its tables for NAT, chain by chain as packets go. Pure.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::nat_rule::{NatAction, NatCondition, NatHook, NatRule, NatTable, NewDestination};
use crate::cidr::Cidr;
use crate::target::Transport;

/// Chains deeper than this are no chains that the kernel would take (NFT_JUMP_STACK_SIZE, 16).
const DEEPEST: u32 = 16;
/// A graph of chains can have more ways through it than anybody waits for.
const MOST_VISITS: usize = 200_000;

/// A port, or several, that rules of one namespace forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedPort {
    /// TCP or UDP.
    pub transport: Transport,
    /// Whether it is about IPv6.
    pub is_six: bool,
    /// To which addresses packets have to be; to any where there is none.
    pub network: Option<Cidr>,
    /// Whether they have to be addresses of the namespace itself, whichever.
    pub to_local: bool,
    /// Addresses of `network`, or of all, that are left out.
    pub except: Vec<Cidr>,
    /// To which ports.
    pub ports: RangeInclusive<u16>,
    /// Their new address; the namespace's own where `is_redirect`, the same where there is none.
    pub new_address: Option<IpAddr>,
    /// Whether it goes to the namespace itself.
    pub is_redirect: bool,
    /// Their new port, or the first of several; the same where there is none.
    pub new_port: Option<u16>,
    /// The last of several.
    pub new_last_port: Option<u16>,
    /// Whether `ports` go to a range of the same length, each to its own.
    pub is_shifted: bool,
    /// Which packets.
    pub hook: NatHook,
    /// Whether the rule asks for more than is told here: an interface, a source, something that we do not follow.
    pub is_limited: bool,
    /// In which table it is: `ip nat`, `inet netavark`.
    pub table: String,
}

impl ForwardedPort {
    /// Whether packets to that address and port are forwarded, if nothing else is asked: that the address is the namespace's own,
    /// where it has to be, is for the caller to know.
    pub fn takes(&self, address: IpAddr, port: u16) -> bool {
        address.is_ipv6() == self.is_six
            && self.ports.contains(&port)
            && self.network.is_none_or(|network| network.contains(address))
            && !self.except.iter().any(|network| network.contains(address))
            // What comes from elsewhere is never to a loopback address: ip_route_input_slow in net/ipv4/route.c.
            && !(self.hook == NatHook::Prerouting && address.is_loopback())
    }

    /// The port that packets to `port` have afterwards; nothing where one of several is chosen.
    pub fn new_port_of(&self, port: u16) -> Option<u16> {
        match (self.new_port, self.new_last_port) {
            (None, _) => Some(port),
            (Some(new), Some(_)) if self.is_shifted => {
                new.checked_add(port.checked_sub(*self.ports.start())?)
            }
            (Some(_), Some(_)) => None,
            (Some(new), None) => Some(new),
        }
    }

    /// Whether both are about the same packets, as far as addresses and ports go.
    fn is_of_same_port(&self, other: &ForwardedPort) -> bool {
        (self.transport, self.is_six, self.hook) == (other.transport, other.is_six, other.hook)
            && (self.network, &self.ports) == (other.network, &other.ports)
            && (!self.to_local || other.to_local || other.network.is_some())
    }
}

/// What the rules forward, in the order in which packets meet them, and whether all rules could be followed.
pub(super) fn forwards(tables: &[NatTable]) -> (Vec<ForwardedPort>, bool) {
    let mut entries: Vec<(NatHook, i32, &str, &NatTable)> = Vec::new();
    for table in tables {
        entries.extend(table.entries.iter().map(|(hook, at, chain)| (*hook, *at, chain.as_str(), table)));
    }
    entries.sort_by_key(|(hook, at, ..)| (*hook, *at));
    let mut walk = ChainWalk { found: vec![], visits: 0, is_whole: true };
    for (hook, _, chain, table) in entries {
        for is_six in [false, true].into_iter().filter(|six| table.families[usize::from(*six)]) {
            let place = WalkPlace { table, hook, is_six };
            let _ = walk.chain(&place, chain, &PacketScope::default(), 0);
        }
    }
    (walk.found, walk.is_whole)
}

/// Where a walk is.
struct WalkPlace<'a> {
    table: &'a NatTable,
    hook: NatHook,
    is_six: bool,
}

struct ChainWalk {
    found: Vec<ForwardedPort>,
    visits: usize,
    is_whole: bool,
}

/// Whether anything comes after a rule, or a chain, for packets that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterRule {
    GoesOn,
    IsOver,
}

/// What is known of packets that come to a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PacketScope {
    transport: Option<Transport>,
    ports: Option<Vec<RangeInclusive<u16>>>,
    network: Option<Cidr>,
    to_local: bool,
    except: Vec<Cidr>,
    is_limited: bool,
    /// What earlier rules let go.
    left: Vec<PacketScope>,
}

impl ChainWalk {
    fn chain(&mut self, place: &WalkPlace<'_>, chain: &str, scope: &PacketScope, depth: u32) -> AfterRule {
        if depth > DEEPEST {
            self.is_whole = false;
            return AfterRule::GoesOn;
        }
        let mut scope = scope.clone();
        for rule in place.table.chains.get(chain).map_or(&[][..], Vec::as_slice) {
            self.visits += 1;
            if self.visits > MOST_VISITS {
                self.is_whole = false;
                return AfterRule::IsOver;
            }
            let Some(inner) = scope.within(rule, place) else { continue };
            let is_for_all = inner.is_same_but_left(&scope);
            match &rule.action {
                NatAction::Continue => {}
                NatAction::Unknown => scope.is_limited |= is_for_all,
                NatAction::Dnat(to) => {
                    self.add(place, &inner, to);
                    if is_for_all && !inner.is_limited {
                        return AfterRule::IsOver;
                    }
                }
                NatAction::Jump(to) => {
                    if self.chain(place, to, &inner, depth + 1) == AfterRule::IsOver && is_for_all {
                        return AfterRule::IsOver;
                    }
                }
                NatAction::Goto(to) => {
                    let _ = self.chain(place, to, &inner, depth + 1);
                    if is_for_all {
                        return AfterRule::GoesOn;
                    }
                }
                NatAction::Return if is_for_all => return AfterRule::GoesOn,
                NatAction::End if is_for_all => return AfterRule::IsOver,
                NatAction::Return | NatAction::End => {
                    // A rule about an interface or a source leaves others what they have.
                    if !inner.is_limited || scope.is_limited {
                        scope.left.push(PacketScope { left: vec![], ..inner });
                    }
                }
            }
        }
        AfterRule::GoesOn
    }

    fn add(&mut self, place: &WalkPlace<'_>, scope: &PacketScope, to: &NewDestination) {
        // All ports of an address: that publishes none.
        let Some(ports) = &scope.ports else { return };
        // A table of both families, and a rule for one of them.
        let is_of_other = to.address.is_some_and(|address| address.is_ipv6() != place.is_six);
        if is_of_other || scope.is_empty(place.hook) {
            return;
        }
        let transports = scope.transport.map_or(vec![Transport::Tcp, Transport::Udp], |one| vec![one]);
        let is_limited = scope.is_limited || scope.transport.is_none() || scope.is_let_go();
        for transport in transports {
            for ports in ports {
                let forward = ForwardedPort {
                    transport,
                    is_six: place.is_six,
                    network: scope.network,
                    to_local: scope.to_local,
                    except: scope.except.clone(),
                    ports: ports.clone(),
                    new_address: to.address,
                    is_redirect: to.is_redirect,
                    new_port: to.port,
                    new_last_port: to.last_port,
                    is_shifted: to.is_shifted,
                    hook: place.hook,
                    is_limited,
                    table: place.table.title.clone(),
                };
                let is_hidden =
                    |earlier: &ForwardedPort| !earlier.is_limited && earlier.is_of_same_port(&forward);
                if !self.found.iter().any(is_hidden) {
                    self.found.push(forward);
                }
            }
        }
    }
}

impl PacketScope {
    /// What is known of the packets that meet all conditions of a rule; `None` if none does.
    fn within(&self, rule: &NatRule, place: &WalkPlace<'_>) -> Option<PacketScope> {
        let is_six = place.is_six;
        let mut scope = self.clone();
        for condition in &rule.conditions {
            match condition {
                NatCondition::Never => return None,
                NatCondition::Anchored(address) if !place.table.anchors.contains(address) => return None,
                NatCondition::OfFamily(six) if *six != is_six => return None,
                NatCondition::To(network) | NatCondition::NotTo(network)
                    if network.address().is_ipv6() != is_six =>
                {
                    return None;
                }
                NatCondition::OfFamily(_) | NatCondition::Anchored(_) => {}
                NatCondition::ToLocal => scope.to_local = true,
                // A bridge leaves out what its own containers send: whoever else sends is not concerned.
                NatCondition::NotFrom(_) => {}
                NatCondition::From(_) | NatCondition::Unknown => scope.is_limited = true,
                NatCondition::NotTo(network) => scope.except.push(*network),
                NatCondition::Transport(transport) => match scope.transport {
                    Some(known) if known != *transport => return None,
                    _ => scope.transport = Some(*transport),
                },
                NatCondition::Ports(ports) => scope.ports = Some(both(scope.ports.as_deref(), ports)?),
                NatCondition::To(network) => scope.network = Some(narrower(scope.network, *network)?),
            }
        }
        Some(scope)
    }

    fn is_same_but_left(&self, other: &PacketScope) -> bool {
        let of = |scope: &PacketScope| {
            let PacketScope { transport, ports, network, to_local, except, is_limited, left: _ } =
                scope.clone();
            (transport, ports, network, to_local, except, is_limited)
        };
        of(self) == of(other)
    }

    /// Whether no packet of that hook has such a destination: all of the network is left out, or it is loopback.
    fn is_empty(&self, hook: NatHook) -> bool {
        self.network.is_some_and(|network| {
            let leaves_all =
                |out: &Cidr| out.prefix_len() <= network.prefix_len() && out.contains(network.address());
            self.except.iter().any(leaves_all)
                || (hook == NatHook::Prerouting && network.address().is_loopback())
        })
    }

    /// Whether an earlier rule let some of these packets go.
    fn is_let_go(&self) -> bool {
        self.left.iter().any(|left| left.overlaps(self))
    }

    fn overlaps(&self, other: &PacketScope) -> bool {
        let is_same =
            self.transport.is_none() || other.transport.is_none() || self.transport == other.transport;
        let ports = match (&self.ports, &other.ports) {
            (Some(ones), Some(others)) => both(Some(ones), others).is_some(),
            _ => true,
        };
        let network = match (self.network, other.network) {
            (Some(one), Some(other)) => narrower(Some(one), other).is_some(),
            _ => true,
        };
        is_same && ports && network
    }
}

/// The ports that are in both; `None` if there is none.
fn both(
    ones: Option<&[RangeInclusive<u16>]>,
    others: &[RangeInclusive<u16>],
) -> Option<Vec<RangeInclusive<u16>>> {
    let Some(ones) = ones else { return Some(others.to_vec()) };
    let mut common = Vec::new();
    for one in ones {
        let meets = |other: &RangeInclusive<u16>| {
            let range = *one.start().max(other.start())..=*one.end().min(other.end());
            (!range.is_empty()).then_some(range)
        };
        common.extend(others.iter().filter_map(meets));
    }
    (!common.is_empty()).then_some(common)
}

/// The network that is in both; `None` if there is none.
fn narrower(one: Option<Cidr>, other: Cidr) -> Option<Cidr> {
    let Some(one) = one else { return Some(other) };
    let (wide, narrow) = if one.prefix_len() <= other.prefix_len() { (one, other) } else { (other, one) };
    wide.contains(narrow.address()).then_some(narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(conditions: &[NatCondition], action: NatAction) -> NatRule {
        NatRule { conditions: conditions.to_vec(), action }
    }

    fn to(address: &str, port: u16) -> NatAction {
        NatAction::Dnat(NewDestination {
            address: Some(address.parse().unwrap()),
            port: Some(port),
            ..NewDestination::default()
        })
    }

    fn port(number: u16) -> [NatCondition; 2] {
        [NatCondition::Transport(Transport::Tcp), NatCondition::Ports(vec![number..=number])]
    }

    fn table(chains: &[(&str, Vec<NatRule>)]) -> NatTable {
        NatTable {
            families: [true, false],
            anchors: vec![],
            title: "ip nat".to_owned(),
            entries: vec![(NatHook::Prerouting, -100, "PREROUTING".to_owned())],
            chains: chains.iter().map(|(name, rules)| ((*name).to_owned(), rules.clone())).collect(),
        }
    }

    fn found(chains: &[(&str, Vec<NatRule>)]) -> Vec<(u16, String, bool)> {
        let (found, is_whole) = forwards(&[table(chains)]);
        assert!(is_whole);
        let shown = |one: &ForwardedPort| {
            let to = format!("{}:{}", one.new_address.unwrap(), one.new_port.unwrap());
            (*one.ports.start(), to, one.is_limited)
        };
        found.iter().map(shown).collect()
    }

    /// As Docker has them: PREROUTING jumps for local destinations, each port but not from its own bridge.
    #[test]
    fn what_conditions_of_several_chains_say_is_put_together() {
        let not_bridge = NatCondition::NotFrom("docker0".to_owned());
        let web = rule(&[&[not_bridge][..], &port(8080)].concat(), to("172.17.0.2", 80));
        let chains = [
            ("PREROUTING", vec![rule(&[NatCondition::ToLocal], NatAction::Jump("DOCKER".to_owned()))]),
            ("DOCKER", vec![rule(&[NatCondition::From("docker0".to_owned())], NatAction::Return), web]),
        ];
        assert_eq!(found(&chains), [(8080, "172.17.0.2:80".to_owned(), false)]);
    }

    #[test]
    fn the_first_of_two_rules_for_a_port_counts_unless_it_asks_for_more() {
        let both = |first: NatRule| {
            found(&[("PREROUTING", vec![first, rule(&port(80), to("10.0.0.2", 80))])])
                .into_iter()
                .map(|(_, to, limited)| (to, limited))
                .collect::<Vec<_>>()
        };
        assert_eq!(both(rule(&port(80), to("10.0.0.1", 80))), [("10.0.0.1:80".to_owned(), false)]);
        let limited = rule(&[&port(80)[..], &[NatCondition::Unknown]].concat(), to("10.0.0.1", 80));
        assert_eq!(both(limited), [("10.0.0.1:80".to_owned(), true), ("10.0.0.2:80".to_owned(), false)]);
    }

    #[test]
    fn what_an_earlier_rule_lets_go_is_not_called_forwarded_without_a_condition() {
        let let_go = rule(&port(80), NatAction::Return);
        let after = |first: NatRule| {
            found(&[(
                "PREROUTING",
                vec![first, rule(&port(80), to("10.0.0.2", 80)), rule(&port(81), to("10.0.0.2", 81))],
            )])
            .into_iter()
            .map(|(port, _, limited)| (port, limited))
            .collect::<Vec<_>>()
        };
        assert_eq!(after(let_go), [(80, true), (81, false)]);
        assert_eq!(after(rule(&[], NatAction::End)), []);
        assert_eq!(after(rule(&[NatCondition::OfFamily(true)], NatAction::End)), [(80, false), (81, false)]);
    }

    #[test]
    fn a_rule_whose_link_is_gone_forwards_nothing() {
        let address = "198.51.100.1".parse().unwrap();
        let anchored =
            rule(&[&port(80)[..], &[NatCondition::Anchored(address)]].concat(), to("10.0.0.2", 80));
        let mut read = table(&[("PREROUTING", vec![anchored])]);
        assert_eq!(forwards(&[read.clone()]).0, []);
        read.anchors = vec![address];
        let (found, _) = forwards(&[read]);
        assert!(found.len() == 1 && !found[0].is_limited);
    }

    #[test]
    fn chains_in_a_circle_and_too_many_ways_end() {
        let jump = |to: &str| rule(&[], NatAction::Jump(to.to_owned()));
        let (_, is_whole) =
            forwards(&[table(&[("PREROUTING", vec![jump("a")]), ("a", vec![jump("a"); 30])])]);
        assert!(!is_whole);
    }

    #[test]
    fn a_range_that_is_shifted_keeps_its_order() {
        let shifted = NatAction::Dnat(NewDestination {
            address: Some("10.0.0.2".parse().unwrap()),
            port: Some(80),
            last_port: Some(90),
            is_shifted: true,
            ..NewDestination::default()
        });
        let conditions = [NatCondition::Transport(Transport::Tcp), NatCondition::Ports(vec![8080..=8090])];
        let (found, _) = forwards(&[table(&[("PREROUTING", vec![rule(&conditions, shifted)])])]);
        assert_eq!(found[0].new_port_of(8085), Some(85));
        assert!(
            found[0].takes("10.0.0.9".parse().unwrap(), 8085)
                && !found[0].takes("::1".parse().unwrap(), 8085)
        );
        assert!(!found[0].takes("127.0.0.1".parse().unwrap(), 8085), "it is sent from here");
        let one_of_several = ForwardedPort { is_shifted: false, ..found[0].clone() };
        assert_eq!(one_of_several.new_port_of(8085), None);
    }
}
