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

/// Chains that lead to chains are followed so far.
const MOST_DEPTH: usize = 16;
const POLICY: &str = "policy is DROP";

/// What becomes of a packet in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Dropped, by what.
    Dropped(String),
    Accepted,
    /// It comes to the rule that is looked for.
    Found,
    Undecided,
}

/// The words of a rule after a comment that it begins with.
fn without_comment(words: &str) -> &str {
    let Some(rest) = words.strip_prefix("-m comment --comment ") else { return words };
    let end = match rest.strip_prefix('"') {
        Some(quoted) => quoted.find("\" ").map(|at| at + 3),
        None => rest.find(' ').map(|at| at + 1),
    };
    end.and_then(|at| rest.get(at..)).unwrap_or_default()
}

impl IptablesListing {
    /// The chain that needs an accept rule, if there is one that could drop packets.
    pub fn chain_for_accept(&self) -> Option<&'static str> {
        let leads_to_users = |rule: &str| rule.starts_with("-A FORWARD -j DOCKER-USER");
        if self.targets().any(|target| target == OF_USERS) {
            let is_dropped = matches!(self.walk(FORWARD, &leads_to_users, MOST_DEPTH), Fate::Dropped(_));
            return Some(if is_dropped { FORWARD } else { OF_USERS });
        }
        let drops = self.what_drops().is_some() || self.targets().any(|target| !HARMLESS.contains(&target));
        drops.then_some(FORWARD)
    }

    /// What drops the forwarded packets that no rule with a condition decides about: a policy, or the last rule that packets meet.
    pub fn what_drops(&self) -> Option<String> {
        match self.walk(FORWARD, &|_| false, MOST_DEPTH) {
            Fate::Dropped(what) => Some(what),
            Fate::Accepted | Fate::Found | Fate::Undecided => None,
        }
    }

    /// What drops all forwarded packets before they come to the rule with that comment.
    pub fn what_drops_before(&self, chain: &str, comment: &str) -> Option<String> {
        let ours = self.line(chain, comment)?;
        match self.walk(FORWARD, &|rule| rule == ours, MOST_DEPTH) {
            // Where the policy decides, a rule with a condition leads to ours.
            Fate::Dropped(what) if !what.contains(POLICY) => Some(what),
            _ => None,
        }
    }

    /// What becomes of a packet that meets no condition, in this chain and the chains that it leads all packets to.
    fn walk(&self, chain: &str, is_sought: &dyn Fn(&str) -> bool, depth: usize) -> Fate {
        let begin = format!("-A {chain} ");
        for rule in self.0.lines() {
            let Some(words) = rule.strip_prefix(&begin) else { continue };
            if is_sought(rule) {
                return Fate::Found;
            }
            let mut words = without_comment(words).split(' ');
            let (Some(how @ ("-j" | "-g")), Some(target)) = (words.next(), words.next()) else { continue };
            match target {
                "DROP" | "REJECT" => return Fate::Dropped(format!("{chain} ends with -j {target}")),
                "ACCEPT" => return Fate::Accepted,
                "RETURN" => return Fate::Undecided,
                other => match depth.checked_sub(1).map(|depth| self.walk(other, is_sought, depth)) {
                    Some(Fate::Undecided) | None if how == "-j" => {}
                    Some(fate) => return fate,
                    None => return Fate::Undecided,
                },
            }
        }
        let policy = self.0.lines().find_map(|line| line.strip_prefix("-P FORWARD "));
        let accepts = policy.is_none_or(|policy| policy.split(' ').next() == Some("ACCEPT"));
        match chain == FORWARD && !accepts {
            true => Fate::Dropped(format!("{FORWARD} {POLICY}")),
            false => Fate::Undecided,
        }
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
    fn a_last_rule_without_a_condition_drops_as_a_policy_does() {
        let drops = |lines: &[&str]| IptablesListing(lines.join("\n")).what_drops();
        assert_eq!(drops(&["-P FORWARD DROP"]).as_deref(), Some("FORWARD policy is DROP"));
        let end = ["-P FORWARD ACCEPT", "-A FORWARD -i a -j ACCEPT", "-A FORWARD -j REJECT --reject-with x"];
        assert_eq!(drops(&end).as_deref(), Some("FORWARD ends with -j REJECT"));
        let users = ["-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -i a -j RETURN", "-A DOCKER-USER -j DROP"];
        assert_eq!(drops(&users).as_deref(), Some("DOCKER-USER ends with -j DROP"));
        let said = ["-A FORWARD -m comment --comment \"all the rest\" -j DROP"];
        assert_eq!(drops(&said).as_deref(), Some("FORWARD ends with -j DROP"));
        assert_eq!(drops(&["-P FORWARD DROP", "-A FORWARD -j ACCEPT", "-A FORWARD -j DROP"]), None);
        assert_eq!(drops(&["-A FORWARD -j X", "-A X -j RETURN", "-A X -j DROP"]), None);
        assert_eq!(drops(&["-A FORWARD -i a -j DROP", "-A X -j DROP"]), None);
        assert_eq!(drops(&["-A FORWARD -j X", "-A X -j FORWARD"]), None);
    }

    #[test]
    fn a_rule_that_drops_before_ours_is_found() {
        let ours = "-A DOCKER-USER -i a -m comment --comment \"netns-toolbox:1:0\" -j ACCEPT";
        let drops = |lines: &[&str]| {
            IptablesListing(lines.join("\n")).what_drops_before("DOCKER-USER", "netns-toolbox:1:0")
        };
        assert_eq!(
            drops(&["-P FORWARD DROP", "-A FORWARD -j DOCKER-USER", ours, "-A DOCKER-USER -j DROP"]),
            None
        );
        let first = ["-A FORWARD -j DROP", "-A FORWARD -j DOCKER-USER", ours];
        assert_eq!(drops(&first).as_deref(), Some("FORWARD ends with -j DROP"));
        let within = ["-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j DROP", ours];
        assert_eq!(drops(&within).as_deref(), Some("DOCKER-USER ends with -j DROP"));
        assert_eq!(drops(&["-P FORWARD DROP", "-A FORWARD -o b -j DOCKER-USER", ours]), None);
        assert_eq!(chain_for_accept(&first), Some("FORWARD"));
    }

    #[test]
    fn our_rules_are_told_by_their_comment() {
        let listing = IptablesListing("-A FORWARD -i a -m comment --comment \"netns-toolbox:1:0\" -j ACCEPT\n-A FORWARD -m comment --comment netns-toolbox:1:1 -j ACCEPT\n-A FORWARD -m comment --comment \"netns-toolbox:1:22\" -j ACCEPT".to_owned());
        assert!(listing.has("FORWARD", "netns-toolbox:1:0") && listing.has("FORWARD", "netns-toolbox:1:1"));
        assert!(!listing.has("FORWARD", "netns-toolbox:1:2") && !listing.has("INPUT", "netns-toolbox:1:0"));
    }
}
