//! A host's name, as a resolver is asked for it.

use std::fmt;
use std::str::FromStr;

use crate::output::quotable;

/// A host name as RFC 1123 and DNS have it: up to 253 bytes, labels of up to 63; underscores, which engines allow, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

/// Numbers and points that are no address, or what cannot be in a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is neither an address nor a name", quotable(.0))]
pub struct HostNameError(String);

impl HostName {
    /// As it was typed; a point at its end means that it is whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(word: &str) -> Result<Self, HostNameError> {
        let whole = word.strip_suffix('.').unwrap_or(word);
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-')
        };
        // 10.1.0.999 and 1.2.3 are mistyped addresses, and no name ends in a number (RFC 3696, 2).
        let last = whole.rsplit('.').next().unwrap_or(whole);
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        match whole.len() <= 253 && whole.split('.').all(is_label) && !is_number {
            true => Ok(HostName(word.to_owned())),
            false => Err(HostNameError(word.to_owned())),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
