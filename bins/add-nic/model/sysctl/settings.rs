//! Settings as they are, and what their values mean.

use std::collections::BTreeMap;

use super::key::SysctlKey;
use crate::model::netns::Netns;

/// What a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SysctlReading {
    /// This, and it can be changed.
    Is(String),
    /// This, and it can not; the kernel's reason.
    Fixed(String, String),
    /// It cannot be read; the kernel's reason.
    Unreadable(String),
}

impl SysctlReading {
    /// Its value.
    pub fn value(&self) -> Option<&str> {
        match self {
            SysctlReading::Is(value) | SysctlReading::Fixed(value, _) => Some(value),
            SysctlReading::Unreadable(_) => None,
        }
    }
}

/// The settings that a plan or a comparison asks for, as they are.
#[derive(Debug, Clone, Default)]
pub struct SysctlValues(BTreeMap<(Netns, SysctlKey), SysctlReading>);

impl SysctlValues {
    /// Takes note of what was found there.
    pub fn insert(&mut self, netns: Netns, found: impl Iterator<Item = (SysctlKey, SysctlReading)>) {
        self.0.extend(found.map(|(key, reading)| ((netns, key), reading)));
    }

    /// What it is; `None` if it was not read.
    pub fn get(&self, netns: Netns, key: &SysctlKey) -> Option<&SysctlReading> {
        self.0.get(&(netns, key.clone()))
    }

    #[cfg(test)]
    pub fn with(mut self, netns: Netns, key: SysctlKey, reading: SysctlReading) -> Self {
        self.0.insert((netns, key), reading);
        self
    }
}

/// Whether two values mean the same: numbers by their worth, lists by their parts.
pub fn is_same(one: &str, other: &str) -> bool {
    let worth = |word: &str| word.parse::<i64>().ok();
    let mut parts = one.split_whitespace();
    let all = other.split_whitespace().all(|theirs| {
        parts
            .next()
            .is_some_and(|ours| ours == theirs || worth(ours).is_some_and(|n| worth(theirs) == Some(n)))
    });
    all && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_mean() {
        assert!(is_same("4096\t131072\t6291456\n", "4096 131072 6291456"));
        assert!(is_same("1", "01"));
        assert!(is_same("", " "));
        assert!(is_same("cubic", "cubic"));
        for (one, other) in [("1", "2"), ("1 2", "1"), ("1", "1 2"), ("cubic", "reno"), ("", "0")] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
