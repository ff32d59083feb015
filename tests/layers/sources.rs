//! The sources of one crate, and which file takes what from which other: `use` declarations, and paths in the text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::imports::Imports;

/// Files by their module's path; the crate's own is empty.
pub struct Sources(BTreeMap<Vec<String>, Source>);

struct Source {
    file: String,
    words: Vec<String>,
}

impl Source {
    fn has_macro(&self, name: Option<&String>) -> bool {
        let begins = |three: &[String]| three[0] == "macro_rules" && Some(&three[2]) == name;
        self.words.windows(3).any(begins)
    }
}

/// A path in a file, and what the file calls it if a `use` declaration says so.
struct Mention {
    path: Vec<String>,
    name: Option<String>,
    /// Of a module's own child, under which others find it: nothing is taken from there.
    is_signpost: bool,
}

impl Sources {
    /// All of a directory, which has a `main.rs` or a `lib.rs`.
    pub fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    directories.push(entry);
                } else if entry.extension().is_some_and(|extension| extension == "rs") {
                    let file = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    files.push((file, fs::read_to_string(&entry).unwrap()));
                }
            }
        }
        assert!(files.len() > 1, "{} has no sources", root.display());
        Sources::of(files.iter().map(|(file, text)| (file.as_str(), text.as_str())))
    }

    /// These.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let source = |(file, text): (&str, &str)| {
            (module_of(file), Source { file: file.to_owned(), words: words(text) })
        };
        Sources(files.into_iter().map(source).collect())
    }

    /// For each file those that it takes anything from.
    pub fn imports(&self) -> Imports {
        let mentions: BTreeMap<&Vec<String>, Vec<Mention>> =
            self.0.iter().map(|(module, source)| (module, self.mentions(module, &source.words))).collect();
        let names: BTreeMap<&Vec<String>, BTreeMap<&str, &[String]>> = mentions
            .iter()
            .map(|(module, mentions)| {
                let named = mentions.iter().filter_map(|it| Some((it.name.as_deref()?, &it.path[..])));
                (*module, named.collect())
            })
            .collect();
        let mut imports = Imports::new();
        for (module, mentions) in &mentions {
            let file = &self.0[*module].file;
            let taken = mentions.iter().filter(|it| !it.is_signpost);
            let homes = taken.map(|it| self.home(&it.path, &names, 8));
            let found: BTreeSet<String> = homes.filter(|home| home != file).collect();
            imports.insert(file.clone(), found);
        }
        imports
    }

    /// The file in which what a path means is: a name that a file has only by a `use` is followed to where it comes from.
    fn home(
        &self,
        path: &[String],
        names: &BTreeMap<&Vec<String>, BTreeMap<&str, &[String]>>,
        steps: usize,
    ) -> String {
        let mut module = Vec::new();
        for (at, name) in path.iter().enumerate() {
            module.push(name.clone());
            if self.0.contains_key(&module) {
                continue;
            }
            module.pop();
            let further = names[&module].get(name.as_str()).filter(|further| steps > 0 && **further != path);
            if let Some(further) = further {
                return self.home(&[further, &path[at + 1..]].concat(), names, steps - 1);
            }
            break;
        }
        // A macro that is exported is at the crate's root, wherever it stands.
        let is_macro = |source: &&Source| module.is_empty() && source.has_macro(path.first());
        self.0.values().find(is_macro).unwrap_or(&self.0[&module]).file.clone()
    }

    /// All paths in a file that lead to one of this crate, from the crate's root.
    fn mentions(&self, module: &[String], words: &[String]) -> Vec<Mention> {
        let mut mentions = Vec::new();
        // Of modules within the file: their names, and how deep in braces each begins.
        let mut within: Vec<(String, usize)> = Vec::new();
        let (mut depth, mut at) = (0, 0);
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        while at < words.len() {
            let here: Vec<String> =
                module.iter().chain(within.iter().map(|(name, _)| name)).cloned().collect();
            match word(at) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    within.retain(|(_, begins)| *begins <= depth);
                }
                "mod" if word(at + 2) == "{" => within.push((word(at + 1).to_owned(), depth + 1)),
                // `impl Trait + use<'a>` takes nothing from anywhere.
                "use" if word(at + 1) != "<" => {
                    let end = (at..words.len()).find(|at| word(*at) == ";").unwrap_or(words.len());
                    let leaves = leaves(&words[at + 1..end]);
                    // After `pub`, or `pub(super)`.
                    let is_public = at > 0 && matches!(word(at - 1), "pub" | ")");
                    mentions.extend(leaves.into_iter().filter_map(|(path, name)| {
                        let path = self.in_full(&here, &path)?;
                        let is_signpost = is_public && path.len() > here.len() && path.starts_with(&here);
                        Some(Mention { path, name: Some(name), is_signpost })
                    }));
                    at = end;
                }
                // `pub(in path)` takes nothing from there.
                "in" if word(at.wrapping_sub(1)) == "(" => {
                    at = (at..words.len()).find(|at| word(*at) == ")").unwrap_or(words.len());
                }
                _ if word(at + 1) == "::" && !matches!(word(at.wrapping_sub(1)), "::" | ".") => {
                    let mut path = vec![word(at).to_owned()];
                    while word(at + 1) == "::" && is_name(word(at + 2)) {
                        path.push(word(at + 2).to_owned());
                        at += 2;
                    }
                    let found = self.in_full(&here, &path);
                    mentions.extend(found.map(|path| Mention { path, name: None, is_signpost: false }));
                }
                _ => {}
            }
            at += 1;
        }
        mentions
    }

    /// A path as it is written in the module `here`; `None` if it leads into another crate, or to what is in the file.
    fn in_full(&self, here: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut base = here.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (vec![], &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                base.push(child.to_owned());
                if !self.0.contains_key(&base) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        base.extend(rest.iter().filter(|word| *word != "self" && *word != "*").cloned());
        Some(base)
    }
}

/// `model/change/mod.rs` is `model::change`.
fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = module.len() == 1 && matches!(module[0].as_str(), "main" | "lib");
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// The paths of a `use` declaration, and what each is called here: `a::{b, c::d as e}` has two.
fn leaves(words: &[String]) -> Vec<(Vec<String>, String)> {
    fn tree(words: &[String], at: &mut usize, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
        let mut path = before.to_vec();
        let mut name = None;
        while let Some(word) = words.get(*at) {
            match word.as_str() {
                "::" => {}
                "{" => {
                    while words.get(*at).is_some_and(|word| word != "}") {
                        *at += 1;
                        tree(words, at, &path, found);
                    }
                    *at += 1;
                    return;
                }
                "," | "}" => break,
                "as" => {
                    *at += 1;
                    name = words.get(*at).cloned();
                }
                _ => path.push(word.clone()),
            }
            *at += 1;
        }
        let last = path.iter().rfind(|word| *word != "self").cloned();
        if let (true, Some(last)) = (path.len() > before.len(), last) {
            found.push((path, name.unwrap_or(last)));
        }
    }
    let mut found = Vec::new();
    tree(words, &mut 0, &[], &mut found);
    found
}

/// Names, `::`, and all else sign by sign; without comments, texts, and lifetimes.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let mut words = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let from = at;
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        if starts(at, "//") {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if starts(at, "/*") {
            let end = (at + 2..chars.len()).find(|at| starts(*at, "*/"));
            at = end.map_or(chars.len(), |end| end + 2);
        } else if c == 'r' && chars.get(at + 1 + hashes) == Some(&'"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = (at + 2 + hashes..chars.len()).find(|at| starts(*at, &close));
            at = end.map_or(chars.len(), |end| end + 1 + hashes);
        } else if c == '"' || (c == '\'' && (starts(at + 1, "\\") || chars.get(at + 2) == Some(&'\''))) {
            at += 1;
            while at < chars.len() && chars[at] != c {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c.is_alphanumeric() || c == '_' {
            at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            words.push(chars[from..at].iter().collect());
        } else if starts(at, "::") {
            at += 2;
            words.push("::".to_owned());
        } else {
            at += 1;
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
        }
    }
    words
}
