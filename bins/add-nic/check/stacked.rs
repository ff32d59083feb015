//! Links on other links that are no longer as we made them.

use crate::model::change::StackedLink;
use crate::model::snapshot::NetnsState;

pub(super) fn differs(upper: &StackedLink, side: &NetnsState) -> Option<String> {
    let name = &upper.name;
    let Some(link) = side.links.iter().find(|link| upper.matches(link)) else {
        return Some(format!("{name} is gone"));
    };
    if link.name.to_str() != Some(name.as_str()) {
        return Some(format!("{name} was renamed to {}", link.name.to_string_lossy()));
    }
    if upper.mac.is_some() && link.mac != upper.mac {
        return Some(format!("{name} has a different MAC address"));
    }
    upper
        .mtu_bytes
        .filter(|wanted| link.mtu_bytes != *wanted)
        .map(|wanted| format!("{name} has MTU {}, not {wanted}", link.mtu_bytes))
}
