//! One word for one thing: no two types of the workspace have one name, and no file is longer than it can be read. Read from the
//! sources themselves.

#![cfg(test)]

mod checker;
mod declared;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use declared::{Declared, Names};

/// Where the workspace's own types are.
const ROOTS: [&str; 2] = ["bins", "common/src"];

/// Names that every tool has its own of, because each of them goes the same way from what was typed to what is shown.
const MOTIF: [(&str, &str); 10] = [
    ("Cli", "the command line as clap reads it"),
    ("Job", "the command that was asked for, with its request"),
    ("Line", "a line of the output"),
    ("Outcome", "how one item of several ended"),
    ("Plan", "what will be done, decided without touching anything"),
    ("Report", "what is shown at the end, for people and as JSON"),
    ("Request", "the options, validated"),
    ("Row", "a row of a table, or an object of a JSON list"),
    ("Snapshot", "the state that was read before planning"),
    ("Wanted", "what the state is to be"),
];

/// Whole names that say nothing without their file, beside all participles: `Held` may be a lock, a process or a breath.
const VAGUE: [&str; 46] = [
    "Answers",
    "Ask",
    "Bar",
    "Course",
    "Done",
    "Found",
    "Given",
    "Gone",
    "Heard",
    "Held",
    "Hold",
    "Keep",
    "Kept",
    "Known",
    "Left",
    "Look",
    "Looks",
    "Lost",
    "Made",
    "Manner",
    "Meant",
    "Met",
    "Next",
    "Nothing",
    "Place",
    "Ready",
    "Runs",
    "Said",
    "Seen",
    "Spent",
    "Taken",
    "Them",
    "Thing",
    "Told",
    "Undone",
    "Unheard",
    "Unmade",
    "Unseen",
    "Voice",
    "Way",
    "What",
    "When",
    "Where",
    "Whereabouts",
    "Which",
    "Who",
];

/// Nouns that only look like participles.
const NOUNS: [&str; 5] = ["Finding", "Mapping", "Need", "Timing", "Warning"];

/// How many lines a file may have.
const LONGEST: usize = 450;

/// How many lines a function may have: a screen, and some more of a `match` that is no clearer in pieces.
const LONGEST_FUNCTION: usize = 75;

#[test]
fn no_two_types_have_one_name() {
    let names = sources().names();
    let motif: BTreeSet<&str> = MOTIF.iter().map(|(name, _)| *name).collect();
    let wrong = wrong(&names, &motif);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_type_has_a_name_that_needs_its_file() {
    let motif: Vec<&str> = MOTIF.iter().map(|(name, _)| *name).collect();
    let names = sources().names();
    let vague = names.iter().filter(|(name, _)| is_vague(name) && !motif.contains(&name.as_str()));
    let vague: Vec<String> = vague.map(|(name, files)| format!("{name}: {}", files.join(" "))).collect();
    assert!(vague.is_empty(), "say what of: {}", vague.join("\n"));
}

#[test]
fn the_motif_is_a_dozen() {
    assert!(MOTIF.len() <= 12);
}

#[test]
fn no_file_is_too_long() {
    let long = sources().longer_than(LONGEST);
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:?}");
}

#[test]
fn no_function_is_longer_than_it_can_be_read() {
    let long = sources().functions_longer_than(LONGEST_FUNCTION);
    assert!(long.is_empty(), "longer than {LONGEST_FUNCTION} lines: {long:?}");
}

/// A locale that has only ASCII gets ASCII: `common::sign` has what stands for each sign, and knows the locale.
#[test]
fn signs_beyond_ascii_are_in_one_file() {
    let elsewhere = sources().beyond_ascii(&["common/src/sign.rs"]);
    assert!(elsewhere.is_empty(), "use common::sign: {elsewhere:#?}");
}

/// Whether a name is one word that could be of anything: a participle, a pronoun, a verb.
pub fn is_vague(name: &str) -> bool {
    let is_one_word = !name.is_empty() && !name[1..].contains(|c: char| c.is_ascii_uppercase());
    let is_participle = (name.ends_with("ed") || name.ends_with("ing")) && !NOUNS.contains(&name);
    is_one_word && (is_participle || VAGUE.contains(&name))
}

/// What is wrong: names of several types that are not the motif's.
fn wrong(names: &Names, motif: &BTreeSet<&str>) -> Vec<String> {
    let twice = names.iter().filter(|(name, files)| files.len() > 1 && !motif.contains(name.as_str()));
    twice.map(|(name, files)| format!("{name} is the name of several types: {}", files.join(" "))).collect()
}

/// The sources of the workspace.
fn sources() -> Declared {
    let mut files = Vec::new();
    let mut directories: Vec<_> =
        ROOTS.iter().map(|root| Path::new(env!("CARGO_MANIFEST_DIR")).join(root)).collect();
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file =
                    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap().to_owned();
                files.push((file, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 100, "{} files are not the workspace", files.len());
    Declared::of(files)
}
