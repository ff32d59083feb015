//! Settings below `/proc/sys/net`: read and written, in the network namespace that the thread is in, for they are that one's.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use common::failure::Failure;

use super::Key;
use crate::snapshot::Sockets;
use crate::step::Place;

/// No setting of a network is near this long.
const MOST_BYTES: u64 = 64 << 10;

/// What a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// This, and it can be changed.
    Is(String),
    /// This, and it can not; the kernel's reason.
    Fixed(String, String),
    /// It cannot be read; the kernel's reason.
    Unreadable(String),
}

impl Reading {
    /// Its value.
    pub fn value(&self) -> Option<&str> {
        match self {
            Reading::Is(value) | Reading::Fixed(value, _) => Some(value),
            Reading::Unreadable(_) => None,
        }
    }
}

/// The settings that a plan or a comparison asks for, as they are.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<(Place, Key), Reading>);

impl Settings {
    /// Reads them.
    pub fn read(&mut self, place: Place, keys: Vec<Key>, sockets: &Sockets) -> Result<(), Failure> {
        let read = || keys.into_iter().map(|key| (key.clone(), read(&key))).collect::<Vec<_>>();
        let found = sockets.within(place, read)?.into_iter().flatten();
        self.0.extend(found.map(|(key, reading)| ((place, key), reading)));
        Ok(())
    }

    /// What it is; `None` if nobody has looked.
    pub fn of(&self, place: Place, key: &Key) -> Option<&Reading> {
        self.0.get(&(place, key.clone()))
    }

    #[cfg(test)]
    pub fn with(mut self, place: Place, key: Key, reading: Reading) -> Self {
        self.0.insert((place, key), reading);
        self
    }
}

fn file(key: &Key) -> String {
    format!("/proc/sys/{key}")
}

/// What `key` is.
pub fn read(key: &Key) -> Reading {
    let open = |writable| OpenOptions::new().read(true).write(writable).open(file(key)).and_then(text);
    match open(true) {
        Ok(value) => Reading::Is(value),
        Err(why) => match open(false) {
            Ok(value) => Reading::Fixed(value, why.to_string()),
            Err(why) => Reading::Unreadable(why.to_string()),
        },
    }
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Makes it so, unless it is so.
pub fn write(key: &Key, value: &str) -> io::Result<()> {
    match read(key).value() {
        Some(now) if is_same(now, value) => Ok(()),
        _ => put(key, value),
    }
}

/// The kernel takes a value from one write(2), and from its beginning (proc_sysctl.c).
pub(super) fn put(key: &Key, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file(key))?.write_all(format!("{value}\n").as_bytes())
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
