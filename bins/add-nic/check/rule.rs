//! Missing policy routing rules.

use common::cidr::Cidr;
use common::netlink::Rule;

use crate::model::change::SourceRule;
use crate::model::snapshot::NetnsState;

pub(super) fn is_gone(rule: &SourceRule, side: &NetnsState) -> Option<String> {
    let SourceRule { source, table, priority, .. } = *rule;
    let made = Rule::plain(source.is_ipv4(), Some(Cidr::host(source)), priority, table);
    (!side.rules.contains(&made)).then(|| format!("the rule for packets from {source} is gone"))
}
