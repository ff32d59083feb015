//! Changed settings.

use crate::model::sysctl::{SysctlChange, SysctlValues, is_same};

pub(super) fn differs(sysctl: &SysctlChange, settings: &SysctlValues) -> Option<String> {
    let SysctlChange { key, value, .. } = sysctl;
    match settings.get(sysctl.netns, key)?.value() {
        Some(now) if is_same(now, value) => None,
        Some(now) => Some(format!("{key} is {now}, not {value}")),
        None => Some(format!("{key} is gone")),
    }
}
