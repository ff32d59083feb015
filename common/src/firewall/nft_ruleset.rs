//! What `nft list ruleset` writes, read: pure. nft(8). It indents with tabs: chains by one, rules by two, what does not fit on
//! the line of a rule by more.

use super::{FilterChain, FilterProgram, PacketCount, WrittenRule};

/// The chains of all tables. Sets, maps and other objects are passed over.
pub(super) fn read(text: &str) -> Vec<FilterChain> {
    let (mut chains, mut table, mut chain) = (Vec::new(), String::new(), None::<FilterChain>);
    for line in text.lines() {
        let rest = line.trim_start_matches('\t');
        match (line.len() - rest.len(), &mut chain) {
            (0, _) => {
                if let Some(name) = opened(rest, "table ") {
                    table = name.to_owned();
                }
            }
            (1, _) => {
                chains.extend(chain.take());
                chain = opened(rest, "chain ").map(|name| empty(&table, name));
            }
            (2, Some(chain)) => chain.read(rest.trim_end()),
            (_, Some(chain)) => {
                if let Some(rule) = chain.rules.last_mut() {
                    let (rest, handle) = without_handle(rest.trim());
                    rule.text = format!("{} {rest}", rule.text);
                    rule.counter = counter_in(&rule.text);
                    rule.handle = handle.or(rule.handle);
                }
            }
            _ => {}
        }
    }
    chains
}

/// The name between a keyword and the brace; behind it there can be a comment with the handle.
fn opened<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    line.strip_prefix(keyword)?.split_once(" {").map(|(name, _)| name)
}

fn empty(table: &str, name: &str) -> FilterChain {
    FilterChain {
        program: FilterProgram::Nft,
        table: table.to_owned(),
        name: name.to_owned(),
        hook: None,
        policy: None,
        counter: None,
        is_nat: false,
        rules: Vec::new(),
    }
}

impl FilterChain {
    fn read(&mut self, line: &str) {
        let is_first = self.rules.is_empty();
        match line.strip_prefix("type ").filter(|_| is_first && self.hook.is_none()) {
            Some(of_chain) => {
                self.is_nat = of_chain.starts_with("nat ");
                let mut parts = of_chain.split(';').map(str::trim);
                let hook = parts.next().and_then(|part| part.find("hook ").map(|at| &part[at..]));
                self.hook = hook.map(str::to_owned);
                self.policy = parts.find_map(|part| part.strip_prefix("policy ")).map(str::to_owned);
            }
            // The chain's own.
            None if is_first && line.starts_with("comment \"") => {}
            None => {
                let (line, handle) = without_handle(line);
                self.rules.push(WrittenRule { text: line.to_owned(), counter: counter_in(line), handle });
            }
        }
    }
}

/// A line, and the handle that `nft -a` puts behind it: `drop # handle 7`. Nothing in quotes ends so.
fn without_handle(line: &str) -> (&str, Option<u64>) {
    match line.rsplit_once(" # handle ") {
        Some((rule, handle)) if handle.parse::<u64>().is_ok() => (rule, handle.parse().ok()),
        _ => (line, None),
    }
}

/// `counter packets 12 bytes 840`, outside of quotes.
fn counter_in(rule: &str) -> Option<PacketCount> {
    let unquoted = rule.split('"').step_by(2);
    unquoted.filter_map(|part| part.split_once("counter packets ")).find_map(|(_, rest)| {
        let mut words = rest.split(' ');
        let packets = words.next()?.parse().ok()?;
        let bytes = words.nth(1)?.parse().ok()?;
        Some(PacketCount { packets, bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nft 1.0.6 writes it, shortened.
    const RULESET: &str = "\
table inet netns-toolbox {
	map published {
		type inet_service : ipv4_addr . inet_service
		elements = { 8080 : 10.1.0.2 . 80 }
	}

	chain forward {
		comment \"ours\"
		type filter hook forward priority filter; policy drop;
		ct state established,related counter packets 12 bytes 840 accept
		iifname { \"br0\", \"br1\",
			 \"br2\" } counter packets 3 bytes 9 drop comment \"counter packets 7 bytes 7\"
		jump other # handle 7
	}

	chain other {
		accept
	}
}
table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy accept;
	}
}
";

    #[test]
    fn each_chain_has_its_hook_its_policy_and_its_rules_on_one_line_each() {
        let chains = read(RULESET);
        let names: Vec<_> = chains
            .iter()
            .map(|chain| (chain.table.as_str(), chain.name.as_str(), chain.rules.len()))
            .collect();
        let expected = [
            ("inet netns-toolbox", "forward", 3),
            ("inet netns-toolbox", "other", 1),
            ("ip filter", "INPUT", 0),
        ];
        assert_eq!(names, expected);
        let forward = &chains[0];
        assert_eq!(forward.hook.as_deref(), Some("hook forward priority filter"));
        assert_eq!(forward.policy.as_deref(), Some("drop"));
        assert_eq!(forward.rules[0].counter, Some(PacketCount { packets: 12, bytes: 840 }));
        assert_eq!(forward.rules[1].counter, Some(PacketCount { packets: 3, bytes: 9 }));
        assert!(forward.rules[1].text.starts_with("iifname { \"br0\", \"br1\", \"br2\" } counter"));
        assert_eq!(
            forward.rules[2],
            WrittenRule { text: "jump other".to_owned(), counter: None, handle: Some(7) }
        );
        assert_eq!(chains[1].hook, None);
    }

    #[test]
    fn what_breaks_off_is_no_panic() {
        for end in (0..RULESET.len()).filter(|end| RULESET.is_char_boundary(*end)) {
            let _ = read(&RULESET[..end]);
        }
        assert_eq!(counter_in("counter packets 1"), None);
        assert_eq!(counter_in("counter packets 1 bytes x"), None);
    }
}
