//! Steps as a shell takes them.

use crate::model::netns::Netns;

/// Files of the namespaces, through which commands reach them.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub inside: &'a str,
    /// Where there is none, no step is about it.
    pub peer: Option<&'a str>,
}

impl Files<'_> {
    /// The command, run in that place.
    pub fn at(&self, place: Netns, command: String) -> String {
        match place {
            Netns::Host => command,
            Netns::Container => format!("nsenter --net={} {command}", quoted(self.inside)),
            Netns::Peer => format!("nsenter --net={} {command}", quoted(self.peer.unwrap_or_default())),
        }
    }
}

/// As a shell takes it for one word.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(quoted("/proc/12/ns/net"), "/proc/12/ns/net");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; $(reboot)"), r"'it'\''s; $(reboot)'");
        assert_eq!(quoted(""), "''");
    }
}
