//! The command line as it was typed, and what hints make of it: the same with sudo, with another word, with one more option.

use std::env;
use std::path::Path;

use nix::unistd::geteuid;

use crate::hint::Hint;
use crate::{hint, sentence};

/// What sudo does not pass on, although it says which engine is meant.
const NOT_PASSED_ON: [&str; 3] = ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"];
/// A longer command line is not repeated in a hint.
const MOST_CHARACTERS: usize = 200;
/// Options that may be given several times.
const REPEATED: [&str; 2] = ["--cap-add", "--sysctl"];
/// Options with a value that may have been typed by their letter.
const LETTERS: [(&str, &str); 3] = [("--bridge", "-b"), ("--gateway", "-g"), ("--route", "-r")];

/// The name that the tool was called by and the words after it; `None` where a file descriptor stands for the tool, or a word
/// is no text.
pub fn typed() -> Option<(String, Vec<String>)> {
    let called = env::args_os().next()?;
    let name = Path::new(&called).file_name()?.to_str()?;
    let is_plain = |c: char| c.is_ascii_alphabetic() || c == '-';
    let name = (name.chars().all(is_plain) && !name.starts_with('-')).then(|| name.to_owned())?;
    let words = env::args_os().skip(1).map(|word| word.into_string()).collect::<Result<Vec<_>, _>>();
    Some((name, words.ok()?))
}

/// The command line as it was typed; `None` where it is too long to be repeated.
pub fn again() -> Option<Hint> {
    typed().and_then(|(tool, words)| line(&tool, words))
}

fn line(tool: &str, words: impl IntoIterator<Item = String>) -> Option<Hint> {
    let line: Vec<String> = [tool.to_owned()].into_iter().chain(words).collect();
    Hint::words(&line).filter(|hint| hint.chars().count() <= MOST_CHARACTERS)
}

/// The command line as it was typed, with sudo in front of it. For root, who lacks a capability, what gives it.
pub fn with_sudo() -> Option<Hint> {
    if geteuid().is_root() {
        return sentence!("run it on the host, as a root user that has all capabilities");
    }
    let means_the_same = !NOT_PASSED_ON.iter().any(|name| env::var_os(name).is_some());
    let line = again().filter(|_| means_the_same).and_then(|line| hint!("sudo {}", line));
    line.or_else(|| sentence!("use sudo, with the same command line"))
}

/// What helps an ordinary user where more than one thing may be in the way, and rights are one of them.
pub fn with_sudo_for_users() -> Option<Hint> {
    if geteuid().is_root() { None } else { with_sudo() }
}

/// What helps whoever typed the word of a job, as other tools have them, in the place of a container.
pub fn for_job(word: &str) -> Option<Hint> {
    let (tool, _) = typed()?;
    match (word, tool.as_str()) {
        ("help", _) => hint!("{} --help", tool),
        ("version", _) => hint!("{} --version", tool),
        ("list" | "ls" | "ps", "add-nic" | "netns-link") => hint!("{} --list", tool),
        ("list" | "ls" | "ps", "netns-ls") => hint!("netns-ls"),
        ("list" | "ls" | "ps", _) => hint!("cpid --list"),
        _ => None,
    }
}

/// `command`, and after it the command line as it was typed.
pub fn then_again(command: Option<Hint>) -> Option<Hint> {
    let command = command?;
    again().and_then(|line| hint!("{} && {}", command, line)).or(Some(command))
}

/// The command line as it was typed, with `meant` in place of what was typed for it, which is one of `typed`; or else
/// `meant` alone.
pub fn instead_of(typed: &[&str], meant: &str) -> Option<Hint> {
    let line = self::typed().and_then(|(tool, words)| replaced(&tool, &words, typed, meant));
    line.or_else(|| sentence!("use {}", meant))
}

/// `None` where several words were typed so and none is an option's value, or the line is too long.
fn replaced(tool: &str, words: &[String], typed: &[&str], meant: &str) -> Option<Hint> {
    let is_option = |word: &str| word == "-t" || word == "--target";
    // For each word that fits: what stands in front of it in the same word, and whether it is the option's value.
    let fits = |(at, word): (usize, &String)| {
        let front = ["", "-t", "--target="]
            .into_iter()
            .find(|front| word.strip_prefix(front).is_some_and(|rest| typed.contains(&rest)))?;
        let is_value = !front.is_empty() || at.checked_sub(1).is_some_and(|before| is_option(&words[before]));
        Some((at, front, is_value))
    };
    let all: Vec<(usize, &str, bool)> = words.iter().enumerate().filter_map(fits).collect();
    let value = all.iter().find(|(_, _, is_value)| *is_value);
    let (at, front, _) = *value.or_else(|| all.first().filter(|_| all.len() == 1))?;
    let mut words = words.to_vec();
    words[at] = format!("{front}{meant}");
    line(tool, words)
}

/// What is shown of a hint: of an option the command that was typed, with it.
pub fn shown(hint: &Hint) -> String {
    if !hint.is_option() {
        return hint.to_string();
    }
    let line = typed().and_then(|(tool, words)| with_option(&tool, &words, hint));
    line.map_or_else(|| format!("the same command with {}", &**hint), |line| line.to_string())
}

/// The command line with an option more, or with another value of it. `None` of one that is too long.
pub fn with_option(tool: &str, words: &[String], option: &Hint) -> Option<Hint> {
    let (name, has_value) =
        option.split_once(' ').map_or((option.split('=').next()?, false), |(name, _)| (name, true));
    let letter = LETTERS.iter().find(|(long, _)| *long == name).map(|(_, letter)| *letter);
    let mut kept = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let is_it = word == name || Some(word.as_str()) == letter;
        let is_joined = word.strip_prefix(name).is_some_and(|value| value.starts_with('='))
            || letter.is_some_and(|letter| word.len() > letter.len() && word.starts_with(letter));
        match (is_it, is_joined) {
            _ if REPEATED.contains(&name) => kept.push(word.clone()),
            (true, _) if has_value => drop(rest.next()),
            (true, _) | (_, true) => {}
            _ => kept.push(word.clone()),
        }
    }
    // What follows PROGRAM is its own.
    let end = match tool == "nsenter-rs" {
        true => 0,
        false => kept.iter().position(|word| word == "--").unwrap_or(kept.len()),
    };
    let after = Hint::words(&kept[end..])?;
    let before = line(tool, kept[..end].iter().cloned())?;
    match after.is_empty() {
        true => hint!("{} {}", before, option),
        false => hint!("{} {} {}", before, option, after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::same_with;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_option_is_added_or_gets_its_other_value() {
        let said = |line: &str, option: Option<Hint>| {
            with_option("add-nic", &words(line), &option.unwrap()).map(|hint| hint.to_string())
        };
        let is = |line: &str| Some(line.to_owned());
        assert_eq!(said("web 10.1.0.2/24", same_with!("--forward")), is("add-nic web 10.1.0.2/24 --forward"));
        assert_eq!(said("-- web 10.1.0.2/24", same_with!("--host")), is("add-nic --host -- web 10.1.0.2/24"));
        for line in [
            "web 1.2.3.4/24 -b x",
            "web --bridge x 1.2.3.4/24",
            "--bridge=x web 1.2.3.4/24",
            "-bx web 1.2.3.4/24",
        ] {
            assert_eq!(
                said(line, same_with!("--bridge {}", "y z")),
                is("add-nic web 1.2.3.4/24 --bridge 'y z'")
            );
        }
        assert_eq!(
            said("web --nat 1.2.3.4/24", same_with!("--nat=all")),
            is("add-nic web 1.2.3.4/24 --nat=all")
        );
        assert_eq!(
            said("-n web 1.2.3.4/24", same_with!("--name {}", "b")),
            is("add-nic -n web 1.2.3.4/24 --name b")
        );
        assert_eq!(
            said("--sysctl a=1 web 1.2.3.4/24", same_with!("--sysctl b=2")),
            is("add-nic --sysctl 'a=1' web 1.2.3.4/24 --sysctl b=2")
        );
        assert_eq!(
            said("--watch nics.toml", same_with!("--engine-timeout 5s")),
            is("add-nic --watch nics.toml --engine-timeout 5s")
        );
        assert_eq!(
            said("web; 1.2.3.4/24", same_with!("--forward")),
            is("add-nic 'web;' 1.2.3.4/24 --forward")
        );
    }

    #[test]
    fn the_command_is_repeated_with_the_word_that_was_meant() {
        let line = |line: &str, typed: &str, meant: &str| {
            replaced("nsenter-rs", &words(line), &[typed], meant).map(|hint| hint.to_string())
        };
        let said = |words: &str| line(words, "10.0.0.2", "ip:10.0.0.2");
        let right = Some("nsenter-rs -t ip:10.0.0.2 -n ping 10.0.0.2".to_owned());
        assert_eq!(said("-t 10.0.0.2 -n ping 10.0.0.2"), right);
        assert_eq!(said("-t10.0.0.2 -n"), Some("nsenter-rs -tip:10.0.0.2 -n".to_owned()));
        assert_eq!(said("--target=10.0.0.2"), Some("nsenter-rs --target=ip:10.0.0.2".to_owned()));
        let digits = line("-S 4711 -t 4711 -n id", "4711", "docker:4711");
        assert_eq!(digits.as_deref(), Some("nsenter-rs -S 4711 -t docker:4711 -n id"));
        assert_eq!(said("10.0.0.2 10.0.0.2"), None, "which of them is not known");
        assert_eq!(said("web"), None);
        assert_eq!(line("-t a;b x", "a;b", "docker:a;b"), Some("nsenter-rs -t 'docker:a;b' x".to_owned()));
        assert_eq!(said(&format!("10.0.0.2 {}", "x".repeat(300))), None);
    }
}
