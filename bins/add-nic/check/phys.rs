//! Changes to a host interface that was moved in.

use crate::model::change::MovedNic;
use crate::model::snapshot::NetnsState;

pub(super) fn differs(moved: &MovedNic, inside: &NetnsState) -> Option<String> {
    let name = &moved.inside_name;
    let Some(link) = moved.most_like(&inside.links) else {
        return Some(format!("{name} is gone"));
    };
    if link.name.to_str() != Some(name.as_str()) {
        return Some(format!("{name} was renamed to {}", link.name.to_string_lossy()));
    }
    if link.mac != Some(moved.inside_mac.unwrap_or(moved.mac)) {
        return Some(format!("{name} has a different MAC address"));
    }
    let wanted = moved.inside_mtu_bytes.unwrap_or(moved.mtu_bytes);
    (link.mtu_bytes != wanted).then(|| format!("{name} has MTU {}, not {wanted}", link.mtu_bytes))
}
