//! A host's name, as a resolver is asked for it.

use std::fmt;
use std::str::FromStr;

use crate::output::quotable;

/// A host name as RFC 1123 and DNS have it: up to 253 bytes, labels of up to 63; underscores, which engines allow, too. With
/// letters beyond ASCII it is asked for as UTS #46 writes it: `bücher.test` as `xn--bcher-kva.test`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName {
    typed: String,
    /// Where that is not what was typed.
    ascii: Option<String>,
}

/// Numbers and points that are no address, or what cannot be in a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is neither an address nor a name", quotable(.0))]
pub struct HostNameError(String);

impl HostName {
    /// As a name server is asked for it; a point at its end means that it is whole.
    pub fn as_ascii(&self) -> &str {
        self.ascii.as_deref().unwrap_or(&self.typed)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(word: &str) -> Result<Self, HostNameError> {
        let wrong = || HostNameError(word.to_owned());
        let ascii = match word.is_ascii() {
            true => None,
            false => Some(idna::domain_to_ascii(word).map_err(|_| wrong())?),
        };
        let name = ascii.as_deref().unwrap_or(word);
        let whole = name.strip_suffix('.').unwrap_or(name);
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-')
        };
        // 10.1.0.999 and 1.2.3 are mistyped addresses, and no name ends in a number (RFC 3696, 2).
        let last = whole.rsplit('.').next().unwrap_or(whole);
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        match whole.len() <= 253 && whole.split('.').all(is_label) && !is_number {
            true => Ok(HostName { typed: word.to_owned(), ascii }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}
