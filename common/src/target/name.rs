//! The words inside a TARGET that must be safe to put into a path, a URL or a netlink message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TargetError;
use crate::output::quotable;

/// Why a word is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No byte, or more than a name may have.
    #[error("a name has 1 to 255 bytes")]
    Length,
    /// A character that no engine allows in names.
    #[error("{0:?} cannot be in a container's name")]
    Character(char),
    /// A character that no user's name has.
    #[error("{0:?} cannot be in a user's name")]
    UserCharacter(char),
    /// A character that would make a link name a path, an option or a terminal command.
    #[error("{0:?} cannot be in a link name")]
    LinkCharacter(char),
    /// Longer than the kernel's names of interfaces, or empty.
    #[error("'{}' cannot be an interface's name: that has 1 to 15 bytes", quotable(.0))]
    InterfaceLength(String),
    /// What the kernel allows in no name, or what scripts and our own output would stumble over.
    #[error("{0:?} cannot be in an interface's name")]
    InterfaceCharacter(char),
    /// `.`, `..`, or a leading `-`; of an interface also what means all of them.
    #[error("'{}' cannot be a name", quotable(.0))]
    Reserved(String),
}

/// A container's name or ID as engines allow it: ASCII letters, digits and `_.+@,-`, at most 255 bytes.
/// It can stand in a URL path or a file name as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "_.+@,-".contains(*c);
        if let Some(c) = word.chars().find(|c| !allowed(c)) {
            return Err(NameError::Character(c));
        }
        checked(word).map(Name)
    }
}

/// A file name right under `/run/netns`: no `/`, no control character, not `.` or `..`, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(String);

impl FromStr for LinkName {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        if let Some(c) = word.chars().find(|c| *c == '/' || c.is_control()) {
            return Err(NameError::LinkCharacter(c));
        }
        checked(word).map(LinkName)
    }
}

/// The name of a network interface: 1 to 15 bytes of printable ASCII without `/`, `:` and `%` (which the kernel takes
/// for a pattern, dev_alloc_name in net/core/dev.c), not `.` or `..`, and without a leading `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IfName(String);

impl FromStr for IfName {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        if let Some(c) = word.chars().find(|c| !c.is_ascii_graphic() || "/:%\"'\\`$".contains(*c)) {
            return Err(NameError::InterfaceCharacter(c));
        }
        // Directories beside those of interfaces in /proc/sys/net/ipv4/conf (sysctl_dev_name_is_allowed in net/core).
        if word == "all" || word == "default" {
            return Err(NameError::Reserved(word.to_owned()));
        }
        // IFNAMSIZ is 16 with the NUL (linux/if.h).
        if word.is_empty() || word.len() > 15 {
            return Err(NameError::InterfaceLength(word.to_owned()));
        }
        checked(word).map(IfName)
    }
}

fn checked(word: &str) -> Result<String, NameError> {
    if word.is_empty() || word.len() > 255 {
        return Err(NameError::Length);
    }
    if word == "." || word == ".." || word.starts_with('-') {
        return Err(NameError::Reserved(word.to_owned()));
    }
    Ok(word.to_owned())
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as it was typed.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )*};
}
text!(Name, LinkName, IfName);

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl From<$name> for String {
            fn from(name: $name) -> String { name.to_string() }
        }
        impl TryFrom<String> for $name {
            type Error = <$name as FromStr>::Err;
            fn try_from(text: String) -> Result<Self, Self::Error> { text.parse() }
        }
    )*};
}
as_text!(IfName, Mac);

/// A link-layer address of six bytes. It is read as people copy it: `02:42:ac:11:00:05`, with dashes, without any sign,
/// or in Cisco's three groups, `0242.ac11.0005`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A unicast address of local administration, which any host may use freely, made
    /// of six random bytes.
    pub fn local(random: [u8; 6]) -> Self {
        let [first, rest @ ..] = random;
        let [b, c, d, e, f] = rest;
        Mac([(first & 0xfc) | 0x02, b, c, d, e, f])
    }

    /// Whether a NIC can have it: not a group's address, and not zero.
    pub fn is_unicast(&self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl FromStr for Mac {
    type Err = TargetError;

    fn from_str(word: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Mac(word.to_owned());
        let digits: String = word.chars().filter(|c| !":-.".contains(*c)).collect();
        // How many digits stand between two signs.
        let in_groups = |sign: char, size: usize| {
            let mut groups = word.split(sign);
            groups.clone().count() == 12 / size && groups.all(|group| group.len() == size)
        };
        let is_mac = in_groups(':', 2) || in_groups('-', 2) || in_groups('.', 4) || in_groups(':', 12);
        if !is_mac || !digits.bytes().all(|b| b.is_ascii_hexdigit()) || digits.len() != 12 {
            return Err(wrong());
        }
        let mut bytes = [0; 6];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Mac(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
