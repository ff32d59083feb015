//! Resource limits: those of the target, and how they become the program's. getrlimit(2)

use std::collections::BTreeMap;

use common::failure::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What `/proc/PID/limits` calls each.
const NAMES: [(&str, Resource); 16] = [
    ("Max cpu time", Resource::Cpu),
    ("Max file size", Resource::Fsize),
    ("Max data size", Resource::Data),
    ("Max stack size", Resource::Stack),
    ("Max core file size", Resource::Core),
    ("Max resident set", Resource::Rss),
    ("Max processes", Resource::Nproc),
    ("Max open files", Resource::Nofile),
    ("Max locked memory", Resource::Memlock),
    ("Max address space", Resource::As),
    ("Max file locks", Resource::Locks),
    ("Max pending signals", Resource::Sigpending),
    ("Max msgqueue size", Resource::Msgqueue),
    ("Max nice priority", Resource::Nice),
    ("Max realtime priority", Resource::Rtprio),
    ("Max realtime timeout", Resource::Rttime),
];

/// Limits by the names that the kernel has for them; `None` is none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(BTreeMap<&'static str, (Option<u64>, Option<u64>)>);

impl Limits {
    /// `Max open files            512                  1024                 files`, for each.
    pub fn parse(file: &str) -> Self {
        let limit = |word: &str| match word {
            "unlimited" => Some(None),
            number => number.parse().ok().map(Some),
        };
        let line = |(name, _): &(&'static str, Resource)| {
            let mut words = file.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
            Some((*name, (limit(words.next()?)?, limit(words.next()?)?)))
        };
        Limits(NAMES.iter().filter_map(line).collect())
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, Resource, Rlimit)> {
        NAMES.iter().filter_map(|(name, resource)| {
            let (current, maximum) = *self.0.get(name)?;
            Some((*name, *resource, Rlimit { current, maximum }))
        })
    }

    /// Raises our own hard limits to these, where we may: inside a user namespace CAP_SYS_RESOURCE counts for
    /// nothing. What we may not we do without, and the program has less than the target.
    pub fn make_room(&self) {
        for (_, resource, wanted) in self.each() {
            let ours = getrlimit(resource);
            if min(ours.maximum, wanted.maximum) != wanted.maximum {
                let _ = setrlimit(resource, Rlimit { maximum: wanted.maximum, ..ours });
            }
        }
    }

    /// Takes them on, as far as our own hard limits allow.
    pub fn take(&self) -> Result<(), Failure> {
        for (name, resource, wanted) in self.each() {
            let maximum = min(getrlimit(resource).maximum, wanted.maximum);
            let limit = Rlimit { maximum, current: min(wanted.current, maximum) };
            setrlimit(resource, limit).map_err(|errno| Failure::trouble(name, errno))?;
        }
        Ok(())
    }
}

/// The stricter of two limits.
fn min(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_kernel_is_known() {
        let file = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(Limits::parse(&file).0.len(), file.lines().count() - 1);
    }

    #[test]
    fn limits_are_read_as_the_kernel_has_them() {
        let limits =
            Limits::parse("Max open files            512                  1024                 files     \n");
        assert_eq!(limits.0, [("Max open files", (Some(512), Some(1024)))].into());
        let none =
            Limits::parse("Max nice priority         0                    unlimited                     \n");
        assert_eq!(none.0, [("Max nice priority", (Some(0), None))].into());
        for (_, resource, limit) in
            Limits::parse(&std::fs::read_to_string("/proc/self/limits").unwrap()).each()
        {
            assert_eq!(limit, getrlimit(resource));
        }
    }

    #[test]
    fn none_at_all_is_more_than_any() {
        assert_eq!(min(None, Some(7)), Some(7));
        assert_eq!(min(Some(7), Some(8)), Some(7));
        assert_eq!(min(None, None), None);
    }
}
