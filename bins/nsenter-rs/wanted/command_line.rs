//! The command line, word for word.

use std::ffi::OsString;

use super::words;

/// What was typed, the tool's name first.
#[derive(Debug, Clone)]
pub struct CommandLine {
    words: Vec<OsString>,
    /// Where PROGRAM begins.
    program_at: usize,
}

impl<I: IntoIterator<Item = OsString>> From<I> for CommandLine {
    fn from(words: I) -> Self {
        let words: Vec<OsString> = words.into_iter().collect();
        let program_at = words.len().min(1) + words::options(words.get(1..).unwrap_or_default());
        CommandLine { words, program_at }
    }
}

impl CommandLine {
    pub fn words(&self) -> &[OsString] {
        &self.words
    }

    /// What comes before PROGRAM, without the tool's name: options, their values, and a `--` that ends them.
    pub fn options(&self) -> &[OsString] {
        self.words.get(1..self.program_at).unwrap_or_default()
    }

    /// PROGRAM and its arguments.
    pub fn program(&self) -> &[OsString] {
        &self.words[self.program_at..]
    }
}
