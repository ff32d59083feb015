//! Signs that ASCII does not have: how each is written in UTF-8, and in a locale that has no such letters.
//!
//! Text for people has them from here and from nowhere else. Names that come from containers, engines and files stay as they are in any
//! locale, and so do JSON and pictures.

use std::borrow::Cow;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::OnceLock;

/// One of them, shown as the locale allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// As it is where it need not be told from ASCII: in pictures.
    pub utf8: &'static str,
    ascii: &'static str,
}

/// To the other end.
pub const ARROW: Sign = Sign { utf8: "→", ascii: "->" };
/// Where a packet ends.
pub const CROSS: Sign = Sign { utf8: "✗", ascii: "x" };
/// It arrives.
pub const CHECK: Sign = Sign { utf8: "✓", ascii: "ok" };
/// So many of them.
pub const TIMES: Sign = Sign { utf8: "×", ascii: "x" };
/// Of a unit.
pub const MICRO: Sign = Sign { utf8: "µ", ascii: "u" };
/// A name goes on.
pub const ELLIPSIS: Sign = Sign { utf8: "…", ascii: "..." };
/// A branch of a tree, in ASCII as lsblk(8) has it.
pub const BRANCH: Sign = Sign { utf8: "├─", ascii: "|-" };
/// The last one.
pub const LAST_BRANCH: Sign = Sign { utf8: "└─", ascii: "`-" };
/// A branch that goes on further down.
pub const TRUNK: Sign = Sign { utf8: "│ ", ascii: "| " };

const ALL: [Sign; 9] = [ARROW, CROSS, CHECK, TIMES, MICRO, ELLIPSIS, BRANCH, LAST_BRANCH, TRUNK];

/// UTF-8 until a tool has asked for its locale.
static IS_ASCII: OnceLock<bool> = OnceLock::new();

/// From now on signs are shown as the environment's locale has them.
pub fn use_locale() {
    let [all, ctype, lang] = ["LC_ALL", "LC_CTYPE", "LANG"].map(env::var_os);
    IS_ASCII.get_or_init(|| is_ascii([all, ctype, lang]));
}

/// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty decides (POSIX, XBD 8.2). Where none says anything, as in a container or
/// a cron job, it is UTF-8, as for systemd's programs: what is shown there is read elsewhere.
fn is_ascii(variables: [Option<OsString>; 3]) -> bool {
    let chosen = variables.into_iter().flatten().find(|locale| !locale.is_empty());
    chosen.is_some_and(|locale| !is_utf8(&locale))
}

/// Whether a locale's name says so: `C.UTF-8`, `de_DE.utf8@euro`. One without an encoding has an older one.
fn is_utf8(locale: &OsStr) -> bool {
    let locale = locale.to_string_lossy();
    let encoding =
        locale.split('@').next().and_then(|name| name.split_once('.')).map(|(_, encoding)| encoding);
    encoding.is_some_and(|encoding| ["utf-8", "utf8"].iter().any(|utf8| encoding.eq_ignore_ascii_case(utf8)))
}

impl Sign {
    /// As it is shown.
    pub fn text(self) -> &'static str {
        if IS_ASCII.get() == Some(&true) { self.ascii } else { self.utf8 }
    }

    /// How many columns it takes.
    pub fn width(self) -> usize {
        self.text().chars().count()
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A text of ours, a help or a manual, with its signs as they are shown.
pub fn spelled(text: &str) -> Cow<'_, str> {
    if IS_ASCII.get() != Some(&true) || text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(ALL.iter().fold(text.to_owned(), |text, sign| text.replace(sign.utf8, sign.ascii)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let of = |variables: [&str; 3]| is_ascii(variables.map(|value| Some(OsString::from(value))));
        for ascii in [["C", "", ""], ["POSIX", "C.UTF-8", "C.UTF-8"], ["", "C", "de_DE.UTF-8"], ["", "", "C"]]
        {
            assert!(of(ascii), "{ascii:?}");
        }
        for utf8 in
            [["C.UTF-8", "C", "C"], ["", "de_DE.utf8@euro", "C"], ["", "", "en_US.UTF-8"], ["", "", ""]]
        {
            assert!(!of(utf8), "{utf8:?}");
        }
        for older in ["de_DE", "de_DE@euro", "de_DE.ISO-8859-1", "C."] {
            assert!(of(["", "", older]), "{older}");
        }
        assert!(!is_ascii([None, None, None]));
        assert!(is_ascii([None, None, Some("C".into())]));
    }

    #[test]
    fn each_sign_has_ascii_for_it() {
        for sign in ALL {
            assert!(sign.ascii.is_ascii() && !sign.ascii.is_empty() && !sign.utf8.is_ascii());
        }
    }
}
