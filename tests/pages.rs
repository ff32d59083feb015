//! What the Markdown pages name exists: files and folders, relative links, `make` targets, variables; and, in docs/, types
//! and functions. A page that leads a reader to a file that was moved is worse than none.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a test or a measurement tells a process that it starts itself; nobody else sets these.
const FOR_A_CHILD: [&str; 11] = [
    "NETNS_TOOLBOX_FAKE_ANSWER",
    "NETNS_TOOLBOX_HARNESS_TEST_ROLE",
    "NETNS_TOOLBOX_LAB_TEST_ROLE",
    "NETNS_TOOLBOX_MAP_TEST_DETAILS",
    "NETNS_TOOLBOX_MAP_TEST_HOLD",
    "NETNS_TOOLBOX_MAP_TEST_READ",
    "NETNS_TOOLBOX_MAP_TEST_ROLE",
    "NETNS_TOOLBOX_NOISE",
    "NETNS_TOOLBOX_DNS_SERVERS",
    "NETNS_TOOLBOX_RESPONDER",
    "NETNS_TOOLBOX_TRUST_TEST_SOCKET",
];

/// A page: its path in the checkout, and its text.
struct Page {
    path: String,
    text: String,
}

impl Page {
    /// Code spans, which do not go over the end of a line.
    fn spans(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().filter(|line| !line.starts_with("    "));
        lines.flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// Lines of indented and of fenced code.
    fn code(&self) -> Vec<&str> {
        let mut fenced = false;
        let is_code = |line: &&str| {
            fenced ^= line.starts_with("```");
            fenced || line.starts_with("    ")
        };
        self.text.lines().filter(is_code).map(str::trim_start).collect()
    }

    /// Targets of `[text](target)`.
    fn links(&self) -> impl Iterator<Item = &str> {
        self.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
    }

    /// The anchors of its headings, as forges make them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_file_and_folder_that_a_page_names_exists() {
    let mut roots: BTreeSet<String> = files(&root(""), 1).into_iter().filter_map(folder).collect();
    // What is built, or was not built yet.
    roots.remove("target");
    let known = sources();
    each_page(|page| {
        let words = page.text.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-*".contains(c)));
        let words = words.map(|word| word.trim_end_matches('.')).filter(|word| !is_placeholder(word));
        let missing = |word: &&str| match word.split_once('/') {
            Some((first, _)) if roots.contains(first) => !root(word).exists(),
            Some(("", _)) => false,
            None if root(word).exists() => false,
            // The end of a path, where a page has said of what.
            _ if word.ends_with(".rs") => !known.iter().any(|(path, _)| path.ends_with(&format!("/{word}"))),
            _ => false,
        };
        words.filter(missing).map(str::to_owned).collect()
    });
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    each_page(|page| {
        let is_dead = |link: &&str| {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let beside = Path::new(&page.path).parent().unwrap();
            let path = if file.is_empty() { root(&page.path) } else { root("").join(beside).join(file) };
            let Ok(path) = path.canonicalize() else { return true };
            let to = pages.iter().find(|other| root(&other.path).canonicalize().unwrap() == path);
            !heading.is_empty() && !to.is_some_and(|to| to.anchors().contains(heading))
        };
        page.links().filter(|link| !link.contains("://")).filter(is_dead).map(str::to_owned).collect()
    });
}

#[test]
fn every_make_target_that_a_page_names_exists() {
    let makefile = fs::read_to_string(root("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    each_page(|page| {
        let commands = page.spans().chain(page.code()).filter_map(|code| code.strip_prefix("make "));
        let is_target = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let named = commands.flat_map(|words| words.split_whitespace().take_while(is_target));
        named.filter(|target| !targets.contains(target)).map(str::to_owned).collect()
    });
}

#[test]
fn the_variables_that_pages_name_are_those_that_are_read() {
    let is_ours = |word: &&str| word.starts_with("NETNS_TOOLBOX_") || *word == "UPDATE_DOCS";
    let words = |text: &str| {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(is_ours);
        words.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let read: BTreeSet<String> = sources().iter().flat_map(|(_, text)| words(text)).collect();
    each_page(|page| words(&page.text).difference(&read).cloned().collect());
    let table = words(&fs::read_to_string(root("CONTRIBUTING.md")).unwrap());
    let missing: Vec<&String> =
        read.difference(&table).filter(|name| !FOR_A_CHILD.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md has no row for {missing:?}");
}

#[test]
fn every_type_and_function_that_the_docs_name_exists() {
    let code: String =
        sources().into_iter().filter(|(path, _)| path.ends_with(".rs")).map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let crates = fs::read_to_string(root("Cargo.toml")).unwrap();
    let is_camel = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase())
    };
    let exists = |word: &str, is_path: bool| {
        let declared = |what: &str| code.contains(&format!("{what} {word}"));
        if is_camel(word) && !is_path {
            ["struct", "enum", "trait", "type"].into_iter().any(declared)
        } else {
            words.contains(word)
        }
    };
    each_page(|page| {
        if !page.path.starts_with("docs/") {
            return Vec::new();
        }
        let is_name = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_missing = |span: &&str| {
            let path: Vec<&str> = span.trim_end_matches("()").trim_end_matches('!').split("::").collect();
            let is_code = path.len() > 1 || span.ends_with("()") || span.ends_with('!') || is_camel(path[0]);
            let is_of_a_crate = crates.contains(&format!("\n{} = ", path[0]));
            let last = path.len() - 1;
            is_code
                && path.iter().all(|word| !word.is_empty() && is_name(word))
                && !is_of_a_crate
                && path.iter().enumerate().any(|(at, word)| !exists(word, at == last && last > 0))
        };
        page.spans().filter(is_missing).map(str::to_owned).collect()
    });
}

/// "`undo()` (`bins/add-nic/apply/mod.rs`)", "`judged()` in `bins/netns-trace/verdict/seen.rs`".
#[test]
fn what_a_page_places_in_a_file_is_declared_there() {
    let sources = sources();
    let mut placed = 0;
    for page in pages().iter().filter(|page| page.path.starts_with("docs/")) {
        let parts: Vec<&str> = page.text.split('`').collect();
        for part in parts.windows(3).skip(1).step_by(2) {
            let [name, between, file] = part else { continue };
            let source = sources.iter().find(|(path, _)| path == file);
            let (Some((_, source)), " in " | " (") = (source, *between) else { continue };
            let last = name.trim_end_matches("()").rsplit("::").next().unwrap();
            let declared = |what: &str| source.contains(&format!("{what} {last}"));
            let is_there = ["fn", "struct", "enum", "trait", "type", "const"].into_iter().any(declared);
            assert!(is_there, "{}: {name} is not in {file}", page.path);
            placed += 1;
        }
    }
    assert!(placed >= 10, "only {placed} names are placed: are they still found?");
}

#[test]
fn the_code_leads_to_each_decision_and_to_no_page_that_is_not_there() {
    let names = |text: &str| {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c)));
        let words =
            words.map(|word| word.trim_end_matches('.')).filter(|word| word.starts_with("docs/decisions/"));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let in_rooms = |path: &str| path.starts_with("bins/") || path.starts_with("common/");
    let sources = sources().into_iter().filter(|(path, _)| in_rooms(path));
    let named: BTreeSet<String> = sources.flat_map(|(_, text)| names(&text)).collect();
    let decisions = pages().into_iter().map(|page| page.path);
    let decisions =
        decisions.filter(|path| path.starts_with("docs/decisions/") && !path.ends_with("/README.md"));
    assert_eq!(named, decisions.collect());
}

/// The README is short: it says what the tools are for, and repeats examples that are proved where the guide has them.
#[test]
fn the_readme_is_read_in_a_minute_and_shows_only_what_the_guide_has() {
    let (readme, guide) =
        (fs::read_to_string(root("README.md")).unwrap(), fs::read_to_string(root("docs/guide.md")).unwrap());
    let words = readme.split_whitespace().count();
    assert!(words <= 1200, "{words} words");
    let line = |heading: &str| readme.lines().position(|line| line == heading).unwrap() + 1;
    assert!(line("## Install") <= 25 && line("## The tools") <= 40);
    let examples: Vec<&str> = readme.split("\n\n").filter(|block| block.starts_with("    # ")).collect();
    assert!(examples.len() >= 4, "{examples:#?}");
    for example in examples {
        assert!(guide.contains(example), "docs/guide.md lacks:\n{example}");
    }
}

/// What tests/layers checks, as the page draws it: for a tool its layers in a line, for the library a line for each, the
/// lowest last.
#[test]
fn the_architecture_draws_the_layers_that_are_checked() {
    let table = fs::read_to_string(root("tests/layers/main.rs")).unwrap();
    let page = fs::read_to_string(root("docs/architecture.md")).unwrap();
    let drawn: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(" │ ")).collect();
    let in_words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    for house in table.split("root: \"").skip(1) {
        let (name, rest) = house.split_once('"').unwrap();
        let layers = rest.split("layers: &[").nth(1).unwrap().split("private:").next().unwrap();
        let layers = layers.split("&[").map(quoted).filter(|names| !names.is_empty());
        let layers: Vec<Vec<String>> = layers.collect();
        match name.strip_prefix("bins/") {
            Some(_) if layers.is_empty() => {}
            Some(tool) => {
                let line: Vec<String> = layers.iter().map(|names| names.join(", ")).collect();
                let line = format!("{tool}: {}", line.join(" < "));
                assert!(in_words(&page).contains(&line), "docs/architecture.md lacks: {line}");
            }
            None => {
                let above =
                    layers.iter().rev().filter(|names| names[0] != "lib").map(|names| names.join("  "));
                let starts = above.zip(&drawn).all(|(names, line)| line.starts_with(&format!("{names}  ")));
                assert!(starts && drawn.len() + 1 == layers.len(), "{drawn:#?} is not {layers:?}");
            }
        }
    }
}

/// Fails with what `wrong` finds on any page.
fn each_page(wrong: impl Fn(&Page) -> Vec<String>) {
    let found: Vec<String> = pages()
        .iter()
        .flat_map(|page| wrong(page).into_iter().map(|what| format!("{}: {what}", page.path)))
        .collect();
    assert!(found.is_empty(), "not there:\n{}", found.join("\n"));
}

/// `bins/TOOL/`, `docs/decisions/*`.
fn is_placeholder(word: &str) -> bool {
    let in_capitals = |part: &str| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase());
    word.contains('*')
        || word.split(['/', '.']).rev().skip(usize::from(word.ends_with(".md"))).any(in_capitals)
}

fn pages() -> Vec<Page> {
    let all =
        files(&root(""), 1).into_iter().chain(files(&root("docs"), 9)).chain(files(&root(".github"), 9));
    let paths = all.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages: Vec<Page> = paths
        .map(|path| Page { text: fs::read_to_string(&path).unwrap(), path: in_checkout(&path) })
        .collect();
    assert!(pages.iter().any(|page| page.path == "README.md"), "no pages");
    pages
}

/// What pages speak of: path and text of code and scripts, but for this file.
fn sources() -> Vec<(String, String)> {
    let folders =
        ["bins", "common", "tests", "benches", "fuzz"].into_iter().flat_map(|folder| files(&root(folder), 9));
    let text = |path: PathBuf| Some((in_checkout(&path), fs::read_to_string(&path).ok()?));
    folders.chain([root("Makefile")]).filter(|path| !path.ends_with("pages.rs")).filter_map(text).collect()
}

/// Files, and folders at the last level, to a depth of `levels`.
fn files(folder: &Path, levels: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let below = |entry: fs::DirEntry| {
        let is_folder = entry.file_type().unwrap().is_dir();
        let skipped = entry.file_name() == ".git" || entry.path().join("CACHEDIR.TAG").exists();
        match (is_folder, levels) {
            _ if skipped => Vec::new(),
            (true, 2..) => files(&entry.path(), levels - 1),
            _ => vec![entry.path()],
        }
    };
    entries.flat_map(below).collect()
}

fn folder(path: PathBuf) -> Option<String> {
    path.is_dir().then(|| in_checkout(&path))
}

fn in_checkout(path: &Path) -> String {
    path.strip_prefix(root("")).unwrap().to_str().unwrap().to_owned()
}

fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
