//! What people read is plain English: words that must not come back, in every `--help`, manual and message, each with
//! the plain one.
//!
//! Messages are all string literals of two words or more in `bins` and `common/src` outside of unit tests.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::tools;

/// A phrase that is never right, and what to say instead. A program, a link and a container is "it".
const PLAIN: [(&str, &str); 28] = [
    ("goes without saying", "is the default"),
    ("that one", "the name of the thing"),
    ("anew", "again"),
    ("leads in", "forwards"),
    ("lets out", "gives internet access"),
    ("so many", "N"),
    ("he", "it"),
    ("his", "its"),
    ("him", "it"),
    ("himself", "itself"),
    ("somebody", "another host, a user or a process"),
    ("anybody", "any host, user or process"),
    ("everybody", "every user, or all hosts"),
    ("who he", "which"),
    ("whoever has", "which"),
    ("in the disguise", "IPv4-mapped"),
    ("it takes CAP", "requires CAP"),
    ("we lack", "the caller lacks"),
    ("we have it", "the caller has it"),
    ("is of no meaning", "cannot be used with"),
    ("passed over", "ignored"),
    ("thrown away", "dropped"),
    ("told apart", "distinguished"),
    ("to be had", "available"),
    ("stands on", "is stacked on"),
    ("as it likes", "freely"),
    ("makes no sense", "is invalid"),
    ("behind its letter", "after its letter"),
];

/// A text that people read, and where it is.
struct Text {
    place: String,
    text: String,
}

#[test]
fn what_people_read_is_plain_english() {
    let texts = [helps(), manuals(), messages()];
    for (texts, least) in texts.iter().zip([5, 10, 300]) {
        assert!(texts.len() >= least, "only {} texts: are they still found?", texts.len());
    }
    let found: Vec<String> = texts.iter().flatten().flat_map(unplain).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_phrase_that_must_not_come_back_is_found() {
    let found = |text: &str| unplain(&Text { place: "sample".to_owned(), text: text.to_owned() });
    assert_eq!(found("the default, which goes without saying").len(), 1);
    assert_eq!(found("who has an address, and\n his MAC"), ["sample: \"his\": say \"its\""]);
    assert_eq!(found("He answers"), ["sample: \"he\": say \"it\""]);
    assert!(found("this history of the chisel").is_empty(), "parts of other words");
    let source =
        "const A: &str = \"so \\\n   many\";\n// \"no message\"\n#[cfg(test)]\nmod tests { \"told apart\" }";
    let literals = literals(source);
    assert_eq!(literals, ["so many"]);
    assert_eq!(found(&literals[0]).len(), 1);
}

fn unplain(text: &Text) -> Vec<String> {
    let words: String = text.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_word = |c: char| c.is_alphanumeric() || "-_'".contains(c);
    let lower = words.to_lowercase();
    let has = |phrase: &str| {
        lower.match_indices(phrase).any(|(at, found)| {
            !lower[..at].ends_with(is_word) && !lower[at + found.len()..].starts_with(is_word)
        })
    };
    PLAIN
        .iter()
        .filter(|(phrase, _)| has(&phrase.to_lowercase()))
        .map(|(phrase, plain)| format!("{}: {phrase:?}: say {plain:?}", text.place))
        .collect()
}

fn helps() -> Vec<Text> {
    let help = |tool: &str, option: &str| {
        let ran = Command::new(tools::tool(tool)).arg(option).output().unwrap();
        Text { place: format!("{tool} {option}"), text: String::from_utf8(ran.stdout).unwrap() }
    };
    tools::names().into_iter().flat_map(|tool| [help(tool, "-h"), help(tool, "--help")]).collect()
}

/// A line each, so that the message says which.
fn manuals() -> Vec<Text> {
    let mut files = Vec::new();
    collect(&root("man/sections"), "roff", &mut files);
    let text = |file: &PathBuf| (file.display().to_string(), fs::read_to_string(file).unwrap());
    let lines = files.iter().map(text).flat_map(|(file, text)| {
        let shown = text.lines().enumerate().filter(|(_, line)| !line.starts_with(".\\\""));
        let lines =
            shown.map(|(at, line)| Text { place: format!("{file}:{}", at + 1), text: line.to_owned() });
        lines.collect::<Vec<_>>()
    });
    lines.collect()
}

fn messages() -> Vec<Text> {
    let mut files = Vec::new();
    collect(&root("bins"), "rs", &mut files);
    collect(&root("common/src"), "rs", &mut files);
    files.retain(|file| !file.ends_with("tests.rs"));
    let texts = files.iter().flat_map(|file| {
        let place = file.display().to_string();
        let literals = literals(&fs::read_to_string(file).unwrap());
        literals.into_iter().map(move |text| Text { place: place.clone(), text })
    });
    texts.collect()
}

/// The string literals of two words or more in a source file before its unit tests, without continuations. Comments are
/// left out by line.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let code =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut literals = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find('"') {
        let is_character = rest[..start].ends_with('\'');
        rest = &rest[start + 1..];
        if is_character {
            continue;
        }
        let mut is_escaped = false;
        let end = rest.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        let Some(end) = end else { break };
        let text = rest[..end].replace("\\\n", " ");
        literals.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        rest = &rest[end + 1..];
    }
    literals.retain(|text| text.contains(' '));
    literals
}

fn collect(directory: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, extension, files),
            false if path.extension().is_some_and(|known| known == extension) => files.push(path),
            false => {}
        }
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
