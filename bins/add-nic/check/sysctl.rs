//! Settings that are no longer as we made them.

use crate::model::sysctl::{Settings, Sysctl, is_same};

pub(super) fn differs(sysctl: &Sysctl, settings: &Settings) -> Option<String> {
    let Sysctl { key, value, .. } = sysctl;
    match settings.of(sysctl.place, key)?.value() {
        Some(now) if is_same(now, value) => None,
        Some(now) => Some(format!("{key} is {now}, not {value}")),
        None => Some(format!("{key} is gone")),
    }
}
