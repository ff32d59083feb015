//! Missing policy routing rules.

use common::cidr::Cidr;
use common::netlink::Rule;

use crate::model::change::SourceRule;
use crate::model::snapshot::NetnsState;

pub(super) fn is_gone(rule: &SourceRule, side: &NetnsState) -> Option<String> {
    let SourceRule { source, table, priority, .. } = *rule;
    let made = Rule { source: Some(Cidr::host(source)), table, priority, is_plain: true };
    (!side.rules.contains(&made)).then(|| format!("the rule for packets from {source} is gone"))
}
