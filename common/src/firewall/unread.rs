//! Packet filters of older kinds, whose rules nothing here reads: where they may have some.

use std::fmt;
use std::fs;

/// The modules of ebtables' own tables: net/bridge/netfilter. Nobody loads them but ebtables-legacy and what it is made for.
const EBTABLES: [&str; 3] = ["ebtable_filter", "ebtable_nat", "ebtable_broute"];

/// A program whose rules are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadFilter {
    /// arptables-legacy(8), which has a table in the namespace.
    Arptables,
    /// ebtables-legacy(8). Whether it has a table in the namespace cannot be asked: the question would make one.
    Ebtables,
}

impl UnreadFilter {
    /// Those that may have rules in the network namespace that this thread is in.
    pub(super) fn here() -> Vec<Self> {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let arptables = !read("/proc/thread-self/net/arp_tables_names").trim().is_empty();
        let ebtables = is_one_loaded(&read("/proc/modules"), &EBTABLES);
        let all = [(UnreadFilter::Arptables, arptables), (UnreadFilter::Ebtables, ebtables)];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(filter, _)| filter).collect()
    }
}

impl fmt::Display for UnreadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnreadFilter::Arptables => "arptables-legacy has rules for ARP, which are not read",
            UnreadFilter::Ebtables => {
                "ebtables-legacy may have rules for what is bridged, which are not read"
            }
        })
    }
}

/// Whether `/proc/modules` has one of these: proc_modules(5).
fn is_one_loaded(modules: &str, wanted: &[&str]) -> bool {
    modules.lines().filter_map(|line| line.split(' ').next()).any(|name| wanted.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ebtables_may_have_rules_where_a_module_of_its_tables_is_loaded() {
        let with = "veth 45056 0 - Live 0x0000000000000000\nebtable_nat 12288 1 - Live 0x0000000000000000\n";
        assert!(is_one_loaded(with, &EBTABLES));
        // Those of nf_tables need the matches alone.
        let without = "ebtables 45056 0 - Live 0x0\nebt_ip 12288 0 - Live 0x0\nebtable_nat2 1 0 - Live 0x0\n";
        assert!(!is_one_loaded(without, &EBTABLES) && !is_one_loaded("", &EBTABLES));
    }
}
