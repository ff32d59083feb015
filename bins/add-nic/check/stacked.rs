//! Changes to stacked links.

use crate::model::change::StackedLink;
use crate::model::snapshot::NetnsState;

pub(super) fn differs(stacked: &StackedLink, side: &NetnsState) -> Option<String> {
    let name = &stacked.name;
    let Some(link) = side.links.iter().find(|link| stacked.matches(link)) else {
        return Some(format!("{name} is gone"));
    };
    if link.name.to_str() != Some(name.as_str()) {
        return Some(format!("{name} was renamed to {}", link.name.to_string_lossy()));
    }
    if stacked.mac.is_some() && link.mac != stacked.mac {
        return Some(format!("{name} has a different MAC address"));
    }
    stacked
        .mtu_bytes
        .filter(|wanted| link.mtu_bytes != *wanted)
        .map(|wanted| format!("{name} has MTU {}, not {wanted}", link.mtu_bytes))
}
