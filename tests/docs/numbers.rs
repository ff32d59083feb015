//! A value that is no number, or too great a one, is refused by every option of every tool in words that people use.

use std::process::{Command, Stdio};

use clap::error::ErrorKind;
use support::tools;

use crate::TOOLS;

/// What the standard library and clap say of them.
const NOT_IN_WORDS: [&str; 4] = ["digit found", "empty string", "target type", "..="];

#[test]
fn what_is_no_number_is_refused_in_plain_words() {
    let mut refused = 0;
    for tool in TOOLS {
        let command = (tool.command)();
        let options: Vec<String> =
            command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect();
        for option in &options {
            for value in ["x", "", "-1", "99999999999999999999"] {
                let word = format!("--{option}={value}");
                // Only what is refused before anything is done is given to the tool itself.
                let error = match (tool.command)().try_get_matches_from([tool.name, &word]) {
                    Err(error) if error.kind() == ErrorKind::ValueValidation => error,
                    _ => continue,
                };
                let ran =
                    Command::new(tools::tool(tool.name)).arg(&word).stdin(Stdio::null()).output().unwrap();
                let said = String::from_utf8(ran.stderr).unwrap();
                assert!(!ran.status.success() && ran.stdout.is_empty(), "{} {word}: {said}", tool.name);
                for odd in NOT_IN_WORDS {
                    assert!(!said.contains(odd), "{} {word}: {said}", tool.name);
                }
                assert!(error.to_string().contains(option), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 60, "options with numbers were not found: {refused}");
}
