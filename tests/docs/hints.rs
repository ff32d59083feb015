//! Every hint of the sources can be pasted: a shell can read it, and where it is a command of ours, the tool's own parser takes it.
//!
//! That it is a command at all, or else no sentence that looks like one, is what `common::hint` has the compiler check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{TOOLS, root};

/// What stands in the holes: one of these fits each.
const WORDS: [&str; 6] = ["web", "10.1.0.2/24", "10.1.0.1", "5", "tcp:db:80", "docker"];

/// The literals that `hint!` is given, with the file of each.
fn templates() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut directories = vec![PathBuf::from(root("bins")), PathBuf::from(root("common/src"))];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { directories.push(entry) } else { files.push(entry) }
        }
    }
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("common/src/hint.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let calls = text.match_indices("hint!(").map(|(at, call)| &text[at + call.len()..]);
        let literals = calls.filter_map(|rest| literal(rest.trim_start()));
        found.extend(literals.map(|literal| (file.display().to_string(), literal)));
    }
    found
}

/// The text of the literal that this begins with.
fn literal(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut literal = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(literal),
            '\\' => literal.push(chars.next()?),
            c => literal.push(c),
        }
    }
}

/// With a word in each hole, in every way, until `fits`.
fn fits(template: &str, fits: &dyn Fn(&str) -> bool) -> bool {
    match template.split_once("{}") {
        None => fits(template),
        Some((before, after)) => WORDS.iter().any(|word| self::fits(&format!("{before}{word}{after}"), fits)),
    }
}

/// Whether the tool takes this line, or it is none of a tool of ours.
fn is_taken(line: &str) -> bool {
    let mut words = line.split_whitespace().filter(|word| !word.starts_with('>'));
    let Some(tool) = TOOLS.iter().find(|tool| line.split_whitespace().next() == Some(tool.name)) else {
        return true;
    };
    // What ends without a job: the program has printed what it was asked for.
    let is_asked = |error: &clap::Error| !error.use_stderr();
    let words: Vec<&str> = std::iter::once(tool.name).chain(words.by_ref().skip(1)).collect();
    (tool.command)().try_get_matches_from(words).map_or_else(|error| is_asked(&error), |_| true)
}

#[test]
fn every_hint_that_is_a_command_can_be_pasted() {
    let templates = templates();
    assert!(templates.len() > 150, "they were not found: {}", templates.len());
    let mut of_ours = 0;
    let mut wrong = Vec::new();
    for (file, template) in templates {
        let filled = template.replace("{}", "web");
        let read = Command::new("/bin/sh").args(["-n", "-c", &filled]).output().unwrap();
        if !read.status.success() {
            wrong.push(format!("{file}: sh cannot read {template:?}"));
        }
        // Of `cpid --of $(cpid mac:{})` the kind of TARGET is no word.
        let template = template.replace("mac:{}", "mac:02:42:ac:11:00:02");
        let (outer, inner) = match template.split_once("$(") {
            Some((before, rest)) => {
                let (inner, after) = rest.split_once(')').unwrap();
                (format!("{before}5{after}"), inner.to_owned())
            }
            None => (template.clone(), String::new()),
        };
        for part in outer.split(" && ").chain(outer.split("; ").skip(1)).chain([inner.as_str()]) {
            of_ours += usize::from(TOOLS.iter().any(|tool| part.starts_with(&format!("{} ", tool.name))));
            if !fits(part, &is_taken) {
                wrong.push(format!("{file}: the tool does not take {part:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(of_ours > 40, "commands of ours were not found: {of_ours}");
}

#[test]
fn a_command_that_a_tool_does_not_take_is_seen() {
    for line in
        ["netns-ls --nope {}", "add-nic {} --bridge", "netns-link --new {} --as {}", "cpid --of {} {}"]
    {
        assert!(!fits(line, &is_taken), "{line}");
    }
    assert!(Path::new(&root("common/src/hint.rs")).exists(), "the macros are there");
}
