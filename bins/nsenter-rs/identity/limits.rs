//! Resource limits: those of the target, and how they become the program's. getrlimit(2)

use std::collections::BTreeMap;

use common::failure::Failure;
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// What `/proc/PID/limits` calls each.
const NAMES: [(&str, Resource); 16] = [
    ("Max cpu time", Resource::RLIMIT_CPU),
    ("Max file size", Resource::RLIMIT_FSIZE),
    ("Max data size", Resource::RLIMIT_DATA),
    ("Max stack size", Resource::RLIMIT_STACK),
    ("Max core file size", Resource::RLIMIT_CORE),
    ("Max resident set", Resource::RLIMIT_RSS),
    ("Max processes", Resource::RLIMIT_NPROC),
    ("Max open files", Resource::RLIMIT_NOFILE),
    ("Max locked memory", Resource::RLIMIT_MEMLOCK),
    ("Max address space", Resource::RLIMIT_AS),
    ("Max file locks", Resource::RLIMIT_LOCKS),
    ("Max pending signals", Resource::RLIMIT_SIGPENDING),
    ("Max msgqueue size", Resource::RLIMIT_MSGQUEUE),
    ("Max nice priority", Resource::RLIMIT_NICE),
    ("Max realtime priority", Resource::RLIMIT_RTPRIO),
    ("Max realtime timeout", Resource::RLIMIT_RTTIME),
];

/// One of them: what holds now, and up to where it may be raised. The kernel's word for no limit is the highest number, so
/// that the stricter of two is the lower one.
type Limit = (u64, u64);

/// Limits by the names that the kernel has for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(BTreeMap<&'static str, Limit>);

impl Limits {
    /// `Max open files            512                  1024                 files`, for each.
    pub fn parse(file: &str) -> Self {
        let limit = |word: &str| match word {
            "unlimited" => Some(RLIM_INFINITY),
            number => number.parse().ok(),
        };
        let line = |(name, _): &(&'static str, Resource)| {
            let mut words = file.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
            Some((*name, (limit(words.next()?)?, limit(words.next()?)?)))
        };
        Limits(NAMES.iter().filter_map(line).collect())
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, Resource, Limit)> {
        NAMES.iter().filter_map(|(name, resource)| Some((*name, *resource, *self.0.get(name)?)))
    }

    /// Raises our own hard limits to these, where we may: inside a user namespace CAP_SYS_RESOURCE counts for
    /// nothing. What we may not we do without, and the program has less than the target.
    pub fn make_room(&self) {
        for (_, resource, (_, maximum)) in self.each() {
            let Ok((now, ours)) = getrlimit(resource) else { continue };
            if ours < maximum {
                let _ = setrlimit(resource, now, maximum);
            }
        }
    }

    /// Lowers ours to what these could be raised to: what the container cannot exceed, the program beside it cannot either.
    pub fn lower(&self) -> Result<(), Failure> {
        for (name, resource, (_, maximum)) in self.each() {
            let as_failure = |errno: Errno| Failure::failed(name, errno.desc());
            let (now, ours) = getrlimit(resource).map_err(as_failure)?;
            if maximum < ours {
                setrlimit(resource, now.min(maximum), maximum).map_err(as_failure)?;
            }
        }
        Ok(())
    }

    /// Takes them on, as far as our own hard limits allow.
    pub fn take(&self) -> Result<(), Failure> {
        for (name, resource, (wanted, maximum)) in self.each() {
            let as_failure = |errno: Errno| Failure::failed(name, errno.desc());
            let (_, ours) = getrlimit(resource).map_err(as_failure)?;
            let maximum = maximum.min(ours);
            setrlimit(resource, wanted.min(maximum), maximum).map_err(as_failure)?;
        }
        Ok(())
    }
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
        assert_eq!(limits.0, [("Max open files", (512, 1024))].into());
        let none =
            Limits::parse("Max nice priority         0                    unlimited                     \n");
        assert_eq!(none.0, [("Max nice priority", (0, RLIM_INFINITY))].into());
        for (_, resource, limit) in
            Limits::parse(&std::fs::read_to_string("/proc/self/limits").unwrap()).each()
        {
            assert_eq!(limit, getrlimit(resource).unwrap());
        }
    }
}
