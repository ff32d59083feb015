//! The one spelling of util-linux that clap cannot read: a FILE right behind a short option, as in
//! `-n/run/netns/blue`.
//!
//! getopt(3) takes whatever follows such a letter for its FILE, so that `-muinp` would be the file `uinp`.
//! Nobody means that; people bundle. So only what begins with a `/` is a FILE here, and is given the `=` that
//! clap wants.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Short options that may have a FILE or a DIR.
const MAY_HAVE: &[u8] = b"muinpCUTrw";
/// Short options that must have a value: the rest of the word or, when there is none, the next one.
const MUST_HAVE: &[u8] = b"tSGW";
/// Long options that must have one.
const LONG_MUST_HAVE: &[&str] =
    &["--target", "--setuid", "--setgid", "--wdns", "--engine-timeout", "--keep-fd"];

/// The words of the command line, with `-nFILE` spelled `-n=FILE` up to where the program begins.
pub fn with_equals(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut said: Vec<OsString> = words.by_ref().take(1).collect();
    while let Some(word) = words.next() {
        let is_option = word.as_bytes().starts_with(b"-") && word != "-" && word != "--";
        let (word, wants_next) = if is_option { option(&word) } else { (word, false) };
        said.push(word);
        if !is_option {
            break;
        }
        if wants_next {
            said.extend(words.next());
        }
    }
    said.extend(words);
    said
}

/// The option as clap wants it, and whether the next word is its value.
fn option(word: &OsStr) -> (OsString, bool) {
    let bytes = word.as_bytes();
    if bytes.starts_with(b"--") {
        return (word.to_owned(), LONG_MUST_HAVE.iter().any(|long| word == *long));
    }
    for (at, letter) in bytes.iter().enumerate().skip(1) {
        let rest = &bytes[at + 1..];
        if MUST_HAVE.contains(letter) {
            return (word.to_owned(), rest.is_empty());
        }
        if *letter == b'=' {
            break;
        }
        if MAY_HAVE.contains(letter) && rest.starts_with(b"/") {
            return (OsString::from_vec([&bytes[..=at], b"=", rest].concat()), false);
        }
    }
    (word.to_owned(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let words = with_equals(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_file_right_behind_its_letter_gets_an_equals_sign() {
        assert_eq!(said("nsenter-rs -n/run/netns/blue ip a"), "nsenter-rs -n=/run/netns/blue ip a");
        assert_eq!(said("nsenter-rs -aw/tmp -r/ true"), "nsenter-rs -aw=/tmp -r=/ true");
        assert_eq!(said("nsenter-rs -n=/run/netns/x -m"), "nsenter-rs -n=/run/netns/x -m");
    }

    #[test]
    fn bundled_letters_are_left_alone() {
        assert_eq!(said("nsenter-rs -t 1 -muinp sh"), "nsenter-rs -t 1 -muinp sh");
        assert_eq!(said("nsenter-rs -tn/a -n"), "nsenter-rs -tn/a -n");
    }

    #[test]
    fn values_and_everything_behind_the_program_are_left_alone() {
        assert_eq!(said("nsenter-rs -W -n/x -n/y -n/z"), "nsenter-rs -W -n/x -n=/y -n=/z");
        assert_eq!(said("nsenter-rs --target -n/x prog -n/y"), "nsenter-rs --target -n/x prog -n/y");
        assert_eq!(said("nsenter-rs -t web prog -n/y"), "nsenter-rs -t web prog -n/y");
        assert_eq!(said("nsenter-rs -- -n/y"), "nsenter-rs -- -n/y");
        assert_eq!(said("nsenter-rs"), "nsenter-rs");
    }
}
