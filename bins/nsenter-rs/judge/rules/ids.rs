//! The IDs of this process, and the numbers that a user namespace has for them.

/// Our IDs, and which IDs are mapped where the program will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIds {
    /// Those that setuid(2) and setgid(2) give to anybody: the real and the saved one.
    pub uids: [u32; 2],
    pub gids: [u32; 2],
    pub has_groups: bool,
    /// The owner of the target's process, as our user namespace counts.
    pub of_target: Option<(u32, u32)>,
    /// Of the user namespace that the program will be in; `None` where they cannot be read.
    pub uid_map: Option<Map>,
    pub gid_map: Option<Map>,
    /// `/proc/PID/setgroups` of that user namespace says so.
    pub setgroups_denied: bool,
}

/// The numbers that a user namespace has: `/proc/PID/uid_map` and `gid_map`, user_namespaces(7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map(Vec<(u32, u32)>);

impl Map {
    /// From the text of the file: first number inside, first number outside, how many.
    pub fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let mut numbers = line.split_whitespace();
            Some((numbers.next()?.parse().ok()?, numbers.nth(1)?.parse().ok()?))
        };
        Map(text.lines().filter_map(range).collect())
    }

    pub fn has(&self, id: u32) -> bool {
        self.0.iter().any(|&(first, count)| id >= first && id - first < count)
    }
}

impl CallerIds {
    /// An ordinary user that is in no group but its own, and all IDs.
    #[cfg(test)]
    pub fn of(id: u32) -> Self {
        let map = || Some(Map::parse("0 0 4294967295"));
        CallerIds {
            uids: [id; 2],
            gids: [id; 2],
            has_groups: false,
            of_target: Some((0, 0)),
            uid_map: map(),
            gid_map: map(),
            setgroups_denied: false,
        }
    }
}
