//! A container of one user's engine: `podman@alice:web`.

use std::fmt;
use std::str::FromStr;

use super::{EngineName, Name, NameError};

/// A user by name or number: ASCII letters, digits and `_.+@-`, at most 255 bytes, as in passwd(5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserWord(String);

/// A container of one user's engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsersContainer {
    /// The engine to ask.
    pub engine: EngineName,
    /// Whose engine it is.
    pub user: UserWord,
    /// containerd's own namespace, where one was named.
    pub within: Option<Name>,
    /// The name, or the beginning of the ID.
    pub name: Name,
}

impl fmt::Display for UsersContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:", self.engine, self.user)?;
        self.within.iter().try_for_each(|within| write!(f, "{within}/"))?;
        self.name.fmt(f)
    }
}

impl UserWord {
    /// The word as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl FromStr for UserWord {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "_.+@-".contains(*c);
        if let Some(c) = word.chars().find(|c| !allowed(c)) {
            return Err(NameError::UserCharacter(c));
        }
        match word.len() {
            1..=255 if !word.starts_with(['-', '+']) => Ok(UserWord(word.to_owned())),
            1..=255 => Err(NameError::Reserved(word.to_owned())),
            _ => Err(NameError::Length),
        }
    }
}

impl fmt::Display for UserWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
