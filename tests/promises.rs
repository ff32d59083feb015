//! SECURITY.md promises only what a test attacks: each entry of its section "What is not" names the tests, and they exist.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// The entries of the section: what stands between one line that begins with `- ` and the next.
fn promises(text: &str) -> Vec<String> {
    let section = text.split("\n## What is not trusted\n").nth(1).unwrap().split("\n## ").next().unwrap();
    section
        .split("\n- ")
        .skip(1)
        .map(|entry| entry.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The tests that an entry names after the words "Attacked by": code spans.
fn tests_of(promise: &str) -> Vec<&str> {
    let Some((_, named)) = promise.rsplit_once("Attacked by ") else { return Vec::new() };
    named.split('`').skip(1).step_by(2).collect()
}

/// Where a test may be: `nsenter_rs::exploits::inside::name` in `tests/nsenter_rs/exploits/inside.rs` or the `mod.rs` below it,
/// `common::packet::tests::name` beside the code, also in an inline module.
fn files(modules: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inline = modules.strip_suffix(&["tests"]).unwrap_or(modules);
    let mut files = Vec::new();
    for modules in [modules, inline] {
        let (first, rest) = modules.split_first().unwrap();
        let first = match *first {
            "common" => root.join("common/src"),
            "unit" => root.join("bins").join(rest.first().unwrap_or(&"")),
            tests => root.join("tests").join(tests),
        };
        let rest = if modules[0] == "unit" { rest.get(1..).unwrap_or_default() } else { rest };
        let path = rest.iter().fold(first, |path, module| path.join(module));
        files.extend([path.with_extension("rs"), path.join("mod.rs"), path.join("main.rs")]);
    }
    files
}

fn exists(test: &str) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let (name, modules) = parts.split_last().unwrap();
    let declared = format!("fn {name}(");
    !modules.is_empty()
        && files(modules).into_iter().any(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            // The attribute may have others after it: should_panic, cfg.
            text.match_indices(&declared).any(|(at, _)| {
                let before = text[..at].rsplit("\n\n").next().unwrap();
                before.contains("#[test]")
            })
        })
}

#[test]
fn every_promise_names_tests_that_attack_it() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let promises = promises(&text);
    assert!(promises.len() >= 15, "{} promises: is the section still called so?", promises.len());
    let mut missing = Vec::new();
    for promise in &promises {
        let about: String = promise.chars().take(60).collect();
        let tests = tests_of(promise);
        if tests.is_empty() {
            missing.push(format!("{about}…: names no test"));
        }
        missing.extend(
            tests.into_iter().filter(|test| !exists(test)).map(|test| format!("{about}…: no test {test}")),
        );
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert!(exists("promises::every_promise_names_tests_that_attack_it"));
    assert!(!exists("promises::promises"), "a function that is no test");
    assert!(!exists("promises::nothing_of_that_name"));
    assert!(!exists("every_promise_names_tests_that_attack_it"), "without its module");
}
