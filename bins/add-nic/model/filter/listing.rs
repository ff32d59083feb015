//! The table `filter` as `iptables -S` prints it: which chain needs an accept rule. Pure.

/// One table, as `iptables -S` prints it: a line for each policy, chain and rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IptablesListing(pub String);

/// Docker leaves this chain to its users, evaluates it before its own rules, and never flushes it.
const OF_USERS: &str = "DOCKER-USER";
pub const FORWARD: &str = "FORWARD";

/// Targets that do not drop a packet. A user-defined chain may.
const HARMLESS: [&str; 9] =
    ["ACCEPT", "RETURN", "LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "CHECKSUM", "CLASSIFY"];

/// What the comments of our rules begin with.
pub(super) const OUR_COMMENT: &str = "netns-toolbox:";

impl IptablesListing {
    /// The chain that needs an accept rule, if there is one that could drop packets.
    pub fn chain_for_accept(&self) -> Option<&'static str> {
        if self.targets().any(|target| target == OF_USERS) {
            return Some(OF_USERS);
        }
        let drops = self.drops_the_rest() || self.targets().any(|target| !HARMLESS.contains(&target));
        drops.then_some(FORWARD)
    }

    /// Whether what no rule decides about is dropped.
    pub fn drops_the_rest(&self) -> bool {
        let policy = self.0.lines().find_map(|line| line.strip_prefix("-P FORWARD "));
        policy.is_some_and(|policy| policy.split(' ').next() != Some("ACCEPT"))
    }

    /// The targets of the rules in FORWARD.
    fn targets(&self) -> impl Iterator<Item = &str> {
        let rules = self.0.lines().filter(|line| line.starts_with("-A FORWARD "));
        rules.filter_map(|rule| {
            let mut words = rule.split(' ').skip_while(|word| !matches!(*word, "-j" | "-g"));
            words.next().and(words.next())
        })
    }

    /// Whether a rule of `chain` has that comment.
    pub fn has(&self, chain: &str, comment: &str) -> bool {
        self.line(chain, comment).is_some()
    }

    /// The rule of `chain` that has that comment.
    pub fn line(&self, chain: &str, comment: &str) -> Option<&str> {
        let (in_it, commented) = (format!("-A {chain} "), format!("--comment \"{comment}\""));
        let plain = format!("--comment {comment} ");
        let is_one =
            |line: &&str| line.starts_with(&in_it) && (line.contains(&commented) || line.contains(&plain));
        self.0.lines().find(is_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_for_accept(lines: &[&str]) -> Option<&'static str> {
        IptablesListing(lines.join("\n")).chain_for_accept()
    }

    #[test]
    fn a_chain_that_lets_all_through_needs_no_rule() {
        assert_eq!(
            chain_for_accept(&["-P INPUT DROP", "-P FORWARD ACCEPT", "-N OTHER", "-A INPUT -j REJECT"]),
            None
        );
        assert_eq!(
            chain_for_accept(&[
                "-P FORWARD ACCEPT",
                "-A FORWARD -i a -j ACCEPT",
                "-A FORWARD -j LOG",
                "-A FORWARD -o b"
            ]),
            None
        );
        assert_eq!(chain_for_accept(&[]), None);
    }

    #[test]
    fn one_that_drops_or_asks_another_does() {
        assert_eq!(chain_for_accept(&["-P FORWARD DROP"]), Some("FORWARD"));
        assert_eq!(
            chain_for_accept(&[
                "-P FORWARD ACCEPT",
                "-A FORWARD -j REJECT --reject-with icmp-port-unreachable"
            ]),
            Some("FORWARD")
        );
        assert_eq!(
            chain_for_accept(&["-P FORWARD ACCEPT", "-A FORWARD -j ufw-before-forward"]),
            Some("FORWARD")
        );
        assert_eq!(chain_for_accept(&["-P FORWARD ACCEPT", "-A FORWARD -g X"]), Some("FORWARD"));
    }

    #[test]
    fn dockers_chain_for_users_is_the_one_where_it_is_asked() {
        assert_eq!(
            chain_for_accept(&["-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"]),
            Some("DOCKER-USER")
        );
        assert_eq!(chain_for_accept(&["-P FORWARD DROP", "-N DOCKER-USER"]), Some("FORWARD"));
    }

    #[test]
    fn our_rules_are_told_by_their_comment() {
        let listing = IptablesListing("-A FORWARD -i a -m comment --comment \"netns-toolbox:1:0\" -j ACCEPT\n-A FORWARD -m comment --comment netns-toolbox:1:1 -j ACCEPT\n-A FORWARD -m comment --comment \"netns-toolbox:1:22\" -j ACCEPT".to_owned());
        assert!(listing.has("FORWARD", "netns-toolbox:1:0") && listing.has("FORWARD", "netns-toolbox:1:1"));
        assert!(!listing.has("FORWARD", "netns-toolbox:1:2") && !listing.has("INPUT", "netns-toolbox:1:0"));
    }
}
