//! The packet filters of a namespace, as their own programs write them: chains, and below each its rules with their counters.

use common::firewall::{FilterChain, PacketCount};
use common::output::one_line;

use crate::named_map::NamedMap;
use crate::stack::NetnsStack;

/// The chains of these namespaces, but for empty ones; those that decide nothing only if `all` are wanted. With `with_who` each
/// says whose it is.
pub fn chains(map: &NamedMap, stacks: &[NetnsStack<'_>], (all, with_who): (bool, bool)) -> Option<String> {
    let mut lines = Vec::new();
    for stack in stacks {
        let is_shown = |chain: &&FilterChain| !chain.is_empty() && (all || decides(chain));
        for chain in stack.details.firewall.iter().flatten().filter(is_shown) {
            let whose = if with_who { format!("{}: ", map.who(stack.netns)) } else { String::new() };
            lines.push(one_line(&format!("{whose}{}", head(chain))).into_owned());
            let rules = chain.rules.iter().map(|rule| {
                let packets = rule.counter.map_or_else(String::new, |counter| counter.packets.to_string());
                format!("{packets:>10}  {}", one_line(&rule.text))
            });
            lines.extend(rules);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether packets may meet another end in it than to be accepted.
fn decides(chain: &FilterChain) -> bool {
    !chain.rules.is_empty() || chain.policy.as_deref().is_some_and(|policy| policy != "accept")
}

/// `iptables-nft filter FORWARD, policy drop (12 packets)`.
fn head(chain: &FilterChain) -> String {
    let FilterChain { program, table, name, hook, policy, counter, .. } = chain;
    let hook = hook.as_ref().map(|hook| format!(", {hook}")).unwrap_or_default();
    let packets = |PacketCount { packets, .. }| format!(" ({packets} packets)");
    let policy = policy
        .as_ref()
        .map(|policy| format!(", policy {policy}{}", counter.map(packets).unwrap_or_default()));
    format!("{program} {table} {name}{hook}{}", policy.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use common::firewall::{FilterProgram, WrittenRule};
    use common::map::NetnsDetails;

    use super::*;
    use crate::sample::{host, named};

    #[test]
    fn a_chain_is_shown_with_its_policy_and_the_packets_that_each_rule_was_about() {
        let map = named(host());
        let count = |packets| Some(PacketCount { packets, bytes: 0 });
        let chain = FilterChain {
            program: FilterProgram::Iptables { six: false },
            table: "filter".to_owned(),
            name: "FORWARD".to_owned(),
            hook: None,
            policy: Some("drop".to_owned()),
            counter: count(3),
            is_nat: false,
            rules: vec![WrittenRule {
                text: "-A FORWARD -j \x1b[2J".to_owned(),
                counter: count(12),
                handle: None,
            }],
        };
        let empty = FilterChain {
            policy: Some("accept".to_owned()),
            rules: vec![],
            name: "INPUT".to_owned(),
            ..chain.clone()
        };
        let details = NetnsDetails { firewall: Some(vec![chain, empty]), ..NetnsDetails::default() };
        let stacks = [NetnsStack::of_details(&map.map.namespaces[1], details)];
        let shown = chains(&map, &stacks, (false, true)).unwrap();
        let expected =
            "web: iptables-nft filter FORWARD, policy drop (3 packets)\n        12  -A FORWARD -j \\u{1b}[2J";
        assert_eq!(shown, expected);
        assert_eq!(chains(&map, &stacks, (true, false)).unwrap().lines().count(), 3);
    }
}
