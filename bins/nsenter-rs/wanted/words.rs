//! The two spellings of util-linux that clap cannot read: a FILE right after a short option, as in
//! `-n/run/netns/blue`, and a long option cut short, as in `--targ`.
//!
//! getopt(3) takes whatever follows such a letter for its FILE, so that `-muinp` would be the file `uinp`.
//! That is never meant; people bundle. So only what begins with a `/` is a FILE here, and is given the `=` that
//! clap wants.
//!
//! What is cut short is one of util-linux's options, and means what it means there. Our own are spelled out:
//! so none of them, however many there will be, makes a word mean something else, or nothing any more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Short options that may have a FILE or a DIR.
const MAY_HAVE: &[u8] = b"muinpCUTrw";
/// Short options that must have a value: the rest of the word or, when there is none, the next one.
const MUST_HAVE: &[u8] = b"tNSGWj";
/// Long options that must have one.
const LONG_MUST_HAVE: &[&str] = &[
    "--target",
    "--net-socket",
    "--setuid",
    "--setgid",
    "--wdns",
    "--engine-timeout",
    "--each",
    "--jobs",
    "--keep-fd",
    "--cap-add",
    "--env-var",
];
/// Every long option of util-linux 2.42.
const OF_UTIL_LINUX: [&str; 25] = [
    "--all",
    "--cgroup",
    "--env",
    "--follow-context",
    "--help",
    "--ipc",
    "--join-cgroup",
    "--keep-caps",
    "--mount",
    "--net",
    "--net-socket",
    "--no-fork",
    "--pid",
    "--preserve-credentials",
    "--root",
    "--setgid",
    "--setuid",
    "--target",
    "--time",
    "--user",
    "--user-parent",
    "--uts",
    "--version",
    "--wd",
    "--wdns",
];

/// The words of the command line up to where the program begins, with `-nFILE` spelled `-n=FILE` and `--targ`
/// spelled `--target`.
pub fn as_clap_reads_them(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
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

/// How many of these words come before the program: options, their values, and a `--` that ends them.
pub fn options(words: &[OsString]) -> usize {
    let mut end = 0;
    while let Some(word) = words.get(end) {
        match word.as_bytes() {
            b"--" => return end + 1,
            [b'-', _, ..] => end += if option(word).1 { 2 } else { 1 },
            _ => break,
        }
    }
    end.min(words.len())
}

/// The option as clap wants it, and whether the next word is its value.
fn option(word: &OsStr) -> (OsString, bool) {
    let bytes = word.as_bytes();
    if bytes.starts_with(b"--") {
        let word = in_full(word);
        let wants_next = LONG_MUST_HAVE.iter().any(|long| word == *long);
        return (word, wants_next);
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

/// The long option that `word` is the beginning of, if that is only one of util-linux's.
fn in_full(word: &OsStr) -> OsString {
    let bytes = word.as_bytes();
    let (name, value) = bytes.split_at(bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len()));
    let mut meant = OF_UTIL_LINUX.iter().filter(|long| long.as_bytes().starts_with(name));
    match (meant.next(), meant.next()) {
        // What is written in full may begin another one's name, as --net does; but then that is behind it.
        (Some(long), other) if other.is_none() || long.as_bytes() == name => {
            OsString::from_vec([long.as_bytes(), value].concat())
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn said(line: &str) -> String {
        let words = as_clap_reads_them(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_file_right_behind_its_letter_gets_an_equals_sign() {
        assert_eq!(said("nsenter-rs -n/run/netns/blue ip a"), "nsenter-rs -n=/run/netns/blue ip a");
        assert_eq!(said("nsenter-rs -aw/tmp -r/ true"), "nsenter-rs -aw=/tmp -r=/ true");
        assert_eq!(said("nsenter-rs -n=/run/netns/x -m"), "nsenter-rs -n=/run/netns/x -m");
    }

    #[test]
    fn the_program_begins_where_the_options_end() {
        for (line, end) in
            [("-t web -n ip -4", 3), ("-tweb -n -- ip", 3), ("ip -4", 0), ("-W /x -a", 3), ("-t", 1), ("", 0)]
        {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(options(&words), end, "{line}");
        }
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
    #[test]
    fn an_option_of_util_linux_may_be_cut_short_as_long_as_it_is_one() {
        assert_eq!(said("nsenter-rs --targ web --mou --net=/x"), "nsenter-rs --target web --mount --net=/x");
        assert_eq!(
            said("nsenter-rs --mo=/x --preserve --r=/"),
            "nsenter-rs --mount=/x --preserve-credentials --root=/"
        );
        assert_eq!(said("nsenter-rs --t 1 --mou"), "nsenter-rs --t 1 --mou", "--target, or --time");
        assert_eq!(said("nsenter-rs --targ --mou ip --mou"), "nsenter-rs --target --mou ip --mou");
        assert_eq!(said("nsenter-rs --use --user --user-p"), "nsenter-rs --use --user --user-parent");
        assert_eq!(said("nsenter-rs --nett"), "nsenter-rs --nett");
        assert_eq!(said("nsenter-rs -- --mou"), "nsenter-rs -- --mou");
    }

    #[test]
    fn none_of_our_own_options_is_one_of_util_linux_cut_short() {
        for ours in Cli::command().get_arguments().filter_map(|argument| argument.get_long()) {
            let ours = format!("--{ours}");
            assert_eq!(in_full(OsStr::new(&ours)), *ours);
        }
    }

    #[test]
    fn an_option_that_must_have_a_value_takes_the_next_word_for_it() {
        for option in Cli::command().get_arguments().filter(|argument| !argument.is_positional()) {
            let must = option.get_action().takes_values() && !option.is_require_equals_set();
            let is_listed = |name: &str| LONG_MUST_HAVE.contains(&format!("--{name}").as_str());
            assert_eq!(option.get_long().is_some_and(is_listed), must, "{option}");
            let short = option.get_short().and_then(|letter| u8::try_from(letter).ok());
            assert_eq!(
                short.is_some_and(|letter| MUST_HAVE.contains(&letter)),
                must && short.is_some(),
                "{option}"
            );
        }
    }
}
