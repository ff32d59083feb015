//! The words inside a TARGET that must be safe to put into a path, a URL or a netlink message.

use std::fmt;
use std::str::FromStr;

use super::TargetError;
use crate::output::quotable;

/// Why a word is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No byte, or more than a name may have.
    #[error("a name has 1 to 255 bytes")]
    Length,
    /// A character that no engine allows in names.
    #[error("{0:?} cannot be in a container's name")]
    Character(char),
    /// A character that would make a link name a path, an option or a terminal command.
    #[error("{0:?} cannot be in a link name")]
    LinkCharacter(char),
    /// `.`, `..`, or a leading `-`.
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
text!(Name, LinkName);

/// A link-layer address of six bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = TargetError;

    fn from_str(word: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Mac(word.to_owned());
        let mut bytes = [0; 6];
        let mut parts = word.split([':', '-']);
        for byte in &mut bytes {
            let part =
                parts.next().filter(|part| part.len() == 2 && !part.starts_with('+')).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Mac(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
