//! Which rule of policy routing and which route decide about a packet: what the kernel does, and does not tell. Pure.

use std::net::IpAddr;

use common::netlink::{Route, Rule};

/// linux/fib_rules.h
const TO_TABLE: u8 = 1;
const GO_TO: u8 = 2;
const NOTHING: u8 = 3;
/// linux/rtnetlink.h: the tables of every namespace, and those of their rules' priorities.
const USUAL_TABLES: [u32; 3] = [255, 254, 253];

/// What a packet is looked up with.
#[derive(Debug, Clone, Copy)]
pub struct FibQuestion<'a> {
    pub source: Option<IpAddr>,
    pub destination: IpAddr,
    pub mark: Option<u32>,
    /// The interface that it came in by.
    pub from: Option<&'a str>,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FibAnswer<'a> {
    /// A rule refuses it.
    Refused(&'a Rule),
    /// A rule leads to a table, and this route there is taken.
    Found(&'a Rule, &'a Route),
    /// No table has a route. A rule that leads to a table of its own was asked before, if there is one.
    Nothing,
    /// A rule could not be followed.
    Unknown,
}

/// Follows the rules in their order.
pub fn decide<'a>(rules: &'a [Rule], routes: &'a [Route], question: &FibQuestion<'_>) -> FibAnswer<'a> {
    let is_four = question.destination.is_ipv4();
    for rule in rules.iter().filter(|rule| rule.is_ipv4 == is_four) {
        match meant(rule, question) {
            Some(true) => {}
            Some(false) => continue,
            None => return FibAnswer::Unknown,
        }
        match rule.action {
            TO_TABLE => {
                if let Some(route) = best(routes, rule.table, question.destination) {
                    return FibAnswer::Found(rule, route);
                }
            }
            NOTHING => {}
            GO_TO => return FibAnswer::Unknown,
            _ => return FibAnswer::Refused(rule),
        }
    }
    FibAnswer::Nothing
}

/// Whether the rule is one that every namespace has.
pub fn is_usual(rule: &Rule) -> bool {
    rule.action == TO_TABLE
        && USUAL_TABLES.contains(&rule.table)
        && !rule.is_conditional
        && rule.destination.is_none()
}

/// The route of a table with the longest prefix, and of several the one with the least metric.
pub fn best(routes: &[Route], table: u32, to: IpAddr) -> Option<&Route> {
    let leads_there = |route: &&Route| route.table == table && route.destination.contains(to);
    let found = routes.iter().filter(leads_there);
    found.min_by_key(|route| (u8::MAX - route.destination.prefix_len(), route.metric))
}

fn meant(rule: &Rule, question: &FibQuestion<'_>) -> Option<bool> {
    let conditions = &rule.conditions;
    let mut is_meant = rule.destination.is_none_or(|network| network.contains(question.destination));
    if let Some(network) = rule.source {
        is_meant &= match question.source {
            Some(source) => network.contains(source),
            None => false,
        };
    }
    if let Some((mark, mask)) = conditions.mark {
        is_meant &= question.mark? & mask == mark;
    }
    if let Some(link) = &conditions.inbound {
        is_meant &= link.name() == question.from.unwrap_or("lo");
    }
    // No probe is bound to an interface.
    is_meant &= conditions.outbound.is_none();
    if conditions.has_more && is_meant {
        return None;
    }
    Some(is_meant != conditions.is_inverted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(network: &str, table: u32, kind: u8) -> Route {
        Route { table, kind, ..Route::plain(network.parse().unwrap(), 2) }
    }

    fn usual() -> Vec<Rule> {
        [(0, 255), (32766, 254), (32767, 253)]
            .map(|(priority, table)| Rule::plain(true, None, priority, table))
            .to_vec()
    }

    fn question(to: &str) -> FibQuestion<'static> {
        FibQuestion {
            source: Some("10.1.0.2".parse().unwrap()),
            destination: to.parse().unwrap(),
            mark: Some(0),
            from: None,
        }
    }

    #[test]
    fn the_longest_prefix_of_the_first_table_that_has_one_decides() {
        let routes = [route("0.0.0.0/0", 254, 1), route("10.2.0.0/24", 254, 6), route("10.0.0.0/8", 254, 1)];
        let rules = usual();
        let found = |to| match decide(&rules, &routes, &question(to)) {
            FibAnswer::Found(_, route) => route.destination.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(found("10.2.0.2"), "10.2.0.0/24");
        assert_eq!(found("10.3.0.2"), "10.0.0.0/8");
        assert_eq!(found("192.0.2.1"), "0.0.0.0/0");
        assert_eq!(decide(&rules, &[], &question("10.2.0.2")), FibAnswer::Nothing);
    }

    #[test]
    fn a_rule_of_ones_own_comes_first_and_is_not_usual() {
        let routes = [route("0.0.0.0/0", 254, 1), route("0.0.0.0/0", 99, 7)];
        let mut rules = usual();
        rules.insert(1, Rule::plain(true, Some("10.1.0.0/24".parse().unwrap()), 100, 99));
        let FibAnswer::Found(rule, route) = decide(&rules, &routes, &question("10.2.0.2")) else { panic!() };
        assert_eq!((rule.table, route.kind, is_usual(rule)), (99, 7, false));
        let other = FibQuestion { source: Some("10.9.0.2".parse().unwrap()), ..question("10.2.0.2") };
        let FibAnswer::Found(rule, _) = decide(&rules, &routes, &other) else { panic!() };
        assert!(is_usual(rule));
    }

    #[test]
    fn a_rule_that_refuses_is_the_answer() {
        let mut rules = usual();
        rules.insert(1, Rule { action: 8, ..Rule::plain(true, None, 100, 0) });
        assert!(matches!(decide(&rules, &[], &question("10.2.0.2")), FibAnswer::Refused(_)));
    }
}
