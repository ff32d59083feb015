//! The manual. Observer: the sources, for the causes that the tool can say.

use std::fs;
use std::path::Path;

use common::diagnose::Cause;

/// All lines of the tool's sources that are no tests.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, text),
            false => {
                let source = fs::read_to_string(&path).unwrap();
                *text += source.split("#[cfg(test)]").next().unwrap();
            }
        }
    }
}

#[test]
fn the_manual_has_each_cause_that_can_be_said_with_its_line_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("bins/netns-trace"), &mut text);
    let is_said = |cause: &&Cause| {
        let name = format!("Cause::{cause:?}");
        text.match_indices(&name)
            .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_alphanumeric()))
    };
    let all = || Cause::PINGED.iter().chain(Cause::TRACED);
    let escaped = |text: &str| text.replace('-', "\\-").replace('\'', "\\(aq");
    let line = |cause: &Cause| format!(".TP\n.B {}\n{}\n", escaped(cause.word()), escaped(cause.differs()));
    let manual = fs::read_to_string(root.join("man/sections/netns-trace.roff")).unwrap();
    let expected: String = all().filter(is_said).map(line).collect();
    let causes =
        manual.split(".SS Causes\n").nth(1).and_then(|rest| rest.split(".so OPTIONS").next()).unwrap();
    let lines = causes.find(".TP\n").map(|at| &causes[at..]).unwrap();
    assert_eq!(lines, expected);
    // A cause that nothing says any more goes from the list, or is forgotten where it should be said.
    let silent: Vec<&str> =
        Cause::TRACED.iter().filter(|cause| !is_said(cause)).map(|cause| cause.word()).collect();
    assert!(silent.is_empty(), "causes that nothing says: {silent:?}");
}
