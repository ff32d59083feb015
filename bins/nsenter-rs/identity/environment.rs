//! Which variables of another environment a program of the host gets: names that are known to decide nothing.
//!
//! With `-e` the target, or its image, decides what is in it: `IP_LIB_DIR=/proc/4242/root/x`, `LD_PRELOAD` or
//! `PROMPT_COMMAND` make a program of the host run code of the container with the power that it has on the host. There
//! is no end to such variables, so the list is of those that may pass, and each value is checked too.

use std::ffi::{OsStr, OsString};

/// Our own is given instead: paths and users of the container mean nothing in the host's root.
const OURS: [&str; 5] = ["HOME", "LOGNAME", "PATH", "SHELL", "USER"];

/// A variable that may pass, and what its value may be.
type AllowedVariable = (&'static str, fn(&[u8]) -> bool);

/// The categories are those of locale(7). Others that begin with `LC_` are an administrator's own, whose start-up files may
/// read them.
const ALLOWED: [AllowedVariable; 21] = [
    ("COLORTERM", is_word),
    ("COLUMNS", is_number),
    ("LANG", is_word),
    ("LANGUAGE", is_list),
    ("LC_ADDRESS", is_word),
    ("LC_ALL", is_word),
    ("LC_COLLATE", is_word),
    ("LC_CTYPE", is_word),
    ("LC_IDENTIFICATION", is_word),
    ("LC_MEASUREMENT", is_word),
    ("LC_MESSAGES", is_word),
    ("LC_MONETARY", is_word),
    ("LC_NAME", is_word),
    ("LC_NUMERIC", is_word),
    ("LC_PAPER", is_word),
    ("LC_TELEPHONE", is_word),
    ("LC_TIME", is_word),
    ("LINES", is_number),
    ("NO_COLOR", is_word_or_empty),
    ("TERM", is_word),
    ("TZ", is_time_zone),
];

/// Longer than any name of a locale, a terminal or a time zone that there is.
const MAX_LENGTH: usize = 64;

/// Whether a program of the host may have this variable of a container's.
///
/// No value is a path, or becomes one when it is put behind a directory of the host's: glibc and ncurses open files by
/// the names of locales, zones and terminals.
pub fn allowed(name: &OsStr, value: &OsStr) -> bool {
    let value = value.as_encoded_bytes();
    let fits = |&(of, fits): &AllowedVariable| name == of && fits(value);
    value.len() <= MAX_LENGTH && ALLOWED.iter().any(|entry| fits(entry))
}

/// What a program of the host is given of the target's environment: what is allowed, and what was asked for by
/// name (`more`), whatever that says; `ours` for what has to be the host's.
pub fn for_program_of_host(
    theirs: Vec<(OsString, OsString)>,
    ours: impl Fn(&str) -> Option<OsString>,
    more: &[OsString],
) -> Vec<(OsString, OsString)> {
    let kept = OURS.into_iter().filter_map(|name| Some((name.into(), ours(name)?)));
    // Later entries count: what was asked for by name may be one of ours.
    let passed = theirs.into_iter().filter(|(name, value)| more.contains(name) || allowed(name, value));
    kept.chain(passed).collect()
}

/// What is given of the caller's own environment to a program that runs among a container's files, whose code could
/// read the rest of it: credentials, tokens, addresses. `more` are those that were asked for by name.
pub fn of_caller(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    more: &[OsString],
) -> Vec<(OsString, OsString)> {
    // The caller decides anyway what it runs: its values are not checked.
    let is_plain = |name: &OsString| {
        OURS.iter().any(|of| name == of) || ALLOWED.iter().any(|(of, _)| name == of) || more.contains(name)
    };
    variables.into_iter().filter(|(name, _)| is_plain(name)).collect()
}

/// The name of a locale or a terminal: `de_DE.UTF-8@euro`, `screen.xterm-256color`, `xterm+256color`. It begins with a
/// letter or a digit, so that it is no `..`.
fn is_word(value: &[u8]) -> bool {
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._@".contains(byte);
    value.first().is_some_and(u8::is_ascii_alphanumeric) && value.iter().all(goes_on)
}

/// The specification of NO_COLOR wants no value, or any.
fn is_word_or_empty(value: &[u8]) -> bool {
    value.is_empty() || is_word(value)
}

/// `de:en`, as gettext(3) reads LANGUAGE.
fn is_list(value: &[u8]) -> bool {
    value.split(|&byte| byte == b':').all(is_word)
}

fn is_number(value: &[u8]) -> bool {
    (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// tzset(3) without files but those right in the zoneinfo directory: `UTC`, `CET-1CEST,M3.5.0,M10.5.0`, `<+03>-3`.
fn is_time_zone(value: &[u8]) -> bool {
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.,:<>_".contains(byte);
    let begins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'<';
    value.first().is_some_and(begins) && value.iter().all(goes_on)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, value: &str) -> (OsString, OsString) {
        (OsString::from(name), OsString::from(value))
    }

    fn may(name: &str, value: &str) -> bool {
        allowed(OsStr::new(name), OsStr::new(value))
    }

    #[test]
    fn what_decides_what_is_run_is_ours_or_left_out() {
        let theirs = vec![
            entry("TERM", "xterm"),
            entry("COLOUR", "blue"),
            entry("PATH", "/proc/1/root"),
            entry("USER", "somebody"),
            entry("LD_PRELOAD", "/proc/1/root/x.so"),
            entry("IP_LIB_DIR", "/proc/1/root"),
            entry("BASH_FUNC_ls%%", "() { evil; }"),
            entry("x", "() { :; }; evil"),
            entry("PROMPT_COMMAND", "evil"),
        ];
        let ours = |name: &str| (name == "PATH").then(|| "/bin".into());
        let given = for_program_of_host(theirs.clone(), ours, &[]);
        assert_eq!(given, [entry("PATH", "/bin"), entry("TERM", "xterm")]);
        let asked = ["COLOUR".into(), "PATH".into(), "UNSET".into()];
        let given = for_program_of_host(theirs, ours, &asked);
        let expected = [
            entry("PATH", "/bin"),
            entry("TERM", "xterm"),
            entry("COLOUR", "blue"),
            entry("PATH", "/proc/1/root"),
        ];
        assert_eq!(given, expected, "the last one counts");
    }

    #[test]
    fn values_of_every_day_pass() {
        for (name, value) in [
            ("LANG", "de_DE.UTF-8@euro"),
            ("LC_ALL", "C"),
            ("LANGUAGE", "de_AT:de:en"),
            ("TERM", "screen.xterm-256color"),
            ("TERM", "xterm+256color"),
            ("COLORTERM", "truecolor"),
            ("COLUMNS", "120"),
            ("NO_COLOR", ""),
            ("NO_COLOR", "1"),
            ("TZ", "UTC"),
            ("TZ", "CET-1CEST,M3.5.0,M10.5.0"),
            ("TZ", "<+03>-3"),
        ] {
            assert!(may(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_value_that_could_be_a_path_or_a_program_does_not_pass() {
        let long = "x".repeat(MAX_LENGTH + 1);
        let values = [
            "/proc/1/root/x",
            ":/proc/1/root/x",
            "../../../proc/1/root/x",
            "..",
            ".",
            "x/y",
            "x:../y",
            "() { :; }; evil",
            "$(evil)",
            "`evil`",
            "x y",
            "x\ny",
            "\x1b[2J",
            "ä",
            "-x",
            "%n",
            &long,
        ];
        for (name, _) in ALLOWED {
            for value in values {
                assert!(!may(name, value), "{name}={value}");
            }
        }
        assert!(!may("COLUMNS", "x") && !may("TERM", "") && !may("TERM", "x:y") && !may("LC_EVIL", "C"));
    }

    #[test]
    fn of_the_callers_own_no_secret_goes_along() {
        let caller = [entry("TERM", "vt100"), entry("HOME", "/root"), entry("TZ", "Europe/Berlin")];
        let secrets = [entry("AWS_SECRET_ACCESS_KEY", "x"), entry("SSH_AUTH_SOCK", "/x"), entry("LC_X", "y")];
        let all = || caller.iter().chain(&secrets).cloned();
        assert_eq!(of_caller(all(), &[]), caller);
        assert_eq!(of_caller(all(), &["LC_X".into()])[3..], secrets[2..]);
    }

    proptest! {
        /// Names and values as an enemy would write them: near those that pass, and far from them.
        #[test]
        fn no_variable_outside_of_the_list_ever_passes(
            variables in vec(("[A-Z_]{1,6}|LC_[A-Z]{1,9}|(LANG|TERM|TZ|LINES|COLUMNS)[ =_A-Za-z%]{0,3}|\\PC{1,12}",
                prop_oneof![vec(any::<u8>(), 0..80), "[a-z/.:$`()]{0,20}".prop_map(String::into_bytes)]), 0..40)
        ) {
            let theirs: Vec<_> =
                variables.into_iter().map(|(name, value)| (name.into(), OsString::from_vec(value))).collect();
            for (name, value) in for_program_of_host(theirs, |_| None, &[]) {
                prop_assert!(ALLOWED.iter().any(|(of, _)| name == *of), "{:?}", name);
                let value = value.as_encoded_bytes();
                prop_assert!(value.len() <= MAX_LENGTH && value.iter().all(u8::is_ascii_graphic));
                prop_assert!(!value.iter().any(|byte| b"/$`(){};&|*?~\"'\\%=".contains(byte)), "{:?}", value);
                prop_assert!(!value.starts_with(b".") && !value.starts_with(b":"));
            }
        }
    }
}
