//! The types that source files declare.

use std::collections::BTreeMap;

/// For each name the files that declare a type of it, one for each declaration.
pub type Names = BTreeMap<String, Vec<String>>;

/// Files and their text, sorted.
pub struct Declared(Vec<(String, String)>);

impl Declared {
    /// These.
    pub fn of(files: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let mut files: Vec<_> = files.into_iter().map(|(file, text)| (file.into(), text.into())).collect();
        files.sort();
        Declared(files)
    }

    /// All types, and where they are.
    pub fn names(&self) -> Names {
        let mut names = Names::new();
        for (file, text) in &self.0 {
            for name in text.lines().filter_map(declared) {
                names.entry(name.to_owned()).or_default().push(file.clone());
            }
        }
        names
    }

    /// Functions with more lines than these, from `fn` to the closing brace as rustfmt indents it: file, name, and how many.
    pub fn functions_longer_than(&self, lines: usize) -> Vec<(String, String, usize)> {
        let mut long = Vec::new();
        for (file, text) in &self.0 {
            let text: Vec<&str> = text.lines().collect();
            for (at, line) in text.iter().enumerate() {
                let Some(name) = function(line) else { continue };
                let indent = line.len() - line.trim_start().len();
                let end = format!("{:indent$}}}", "");
                // One line, or without a body.
                let is_statement = |line: &str| {
                    line.ends_with([';', '}'])
                        && line.starts_with(&end[..indent])
                        && !line[indent..].starts_with(' ')
                };
                let is_over = |line: &&str| **line == end || is_statement(line);
                let length = text[at..].iter().position(is_over).map_or(1, |end| end + 1);
                if length > lines {
                    long.push((file.clone(), name.to_owned(), length));
                }
            }
        }
        long
    }

    /// Lines of code with letters beyond ASCII, but for tests and `other` files: file and line. What clap shows is in doc comments.
    pub fn beyond_ascii(&self, other: &[&str]) -> Vec<(String, String)> {
        let is_code = |line: &str, is_cli: bool| match line.trim_start() {
            doc if doc.starts_with("///") => is_cli,
            comment => !comment.starts_with("//"),
        };
        let mut found = Vec::new();
        for (file, text) in &self.0 {
            if other.contains(&file.as_str()) || file.ends_with("tests.rs") {
                continue;
            }
            let is_cli = file.contains("/cli");
            let code = text.split("\nmod tests {").next().unwrap_or(text);
            let beyond = code.lines().filter(|line| is_code(line, is_cli) && !line.is_ascii());
            found.extend(beyond.map(|line| (file.clone(), line.trim().to_owned())));
        }
        found
    }

    /// Files with more lines than these, and how many.
    pub fn longer_than(&self, lines: usize) -> Vec<(String, usize)> {
        let length = self.0.iter().map(|(file, text)| (file.clone(), text.lines().count()));
        length.filter(|(_, length)| *length > lines).collect()
    }
}

/// The name of the type that a line declares, as rustfmt writes it. A `type` that is indented belongs to an `impl` or a
/// `trait`.
fn declared(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let text = text.strip_prefix("pub").unwrap_or(text);
    let text = if text.starts_with('(') { text.split_once(')')?.1 } else { text };
    let text = text.trim_start();
    let (keyword, rest) = text.strip_prefix("unsafe ").unwrap_or(text).split_once(' ')?;
    let is_declaration = match keyword {
        "struct" | "enum" | "union" | "trait" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (is_declaration && name.starts_with(|c: char| c.is_ascii_uppercase())).then_some(name)
}

/// The name of the function that begins in a line.
fn function(line: &str) -> Option<&str> {
    let is_word = |word: &str| {
        ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "extern", "\"C\""].contains(&word)
    };
    let mut words = line.split_whitespace().skip_while(|word| is_word(word));
    let name = words.next().filter(|word| *word == "fn").and_then(|_| words.next())?;
    name.split(['(', '<']).next()
}
