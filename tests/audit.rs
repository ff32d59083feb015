//! What can be known without a network of what we are built from: `make audit` asks for advisories too.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Crates that are there in two versions, and none of them ends in a tool: `syn` runs in the compiler.
const TWICE: [&str; 1] = ["syn"];
/// What compiles C, or links what others have compiled.
const COMPILERS_OF_C: [&str; 6] = ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "system-deps"];

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The texts of the list `key` of deny.toml, which stands on one line.
fn denys(key: &str) -> Vec<String> {
    let text = read("deny.toml");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = [")).unwrap();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All packages, as `cargo metadata` lists them for the targets that deny.toml names.
fn packages() -> Vec<Value> {
    let mut packages: BTreeMap<String, Value> = BTreeMap::new();
    for target in denys("targets") {
        let ran = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
        for package in metadata["packages"].as_array().unwrap() {
            packages.insert(package["id"].as_str().unwrap().to_owned(), package.clone());
        }
    }
    packages.into_values().collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether an SPDX expression is met by what is allowed.
fn is_allowed(license: &str, allowed: &[&str]) -> bool {
    let license = license.replace('/', " OR ");
    if allowed.contains(&license.trim()) {
        return true;
    }
    let split = |by: &str| -> Option<Vec<String>> {
        let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
        for word in license.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
            match word {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 && word == by {
                parts.push(std::mem::take(&mut part));
            } else {
                part = format!("{part} {word}");
            }
        }
        parts.push(part);
        (parts.len() > 1).then_some(parts)
    };
    // AND binds more tightly: SPDX, annex D.4.
    if let Some(parts) = split("OR") {
        return parts.iter().any(|part| is_allowed(part, allowed));
    }
    if let Some(parts) = split("AND") {
        return parts.iter().all(|part| is_allowed(part, allowed));
    }
    let inner = license.trim().strip_prefix('(').and_then(|license| license.strip_suffix(')'));
    inner.is_some_and(|inner| is_allowed(inner, allowed))
}

#[test]
fn every_dependency_is_of_crates_io_and_of_a_licence_that_is_allowed() {
    let allowed = denys("allow");
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    for package in packages() {
        let source = package["source"].as_str();
        let is_own = source.is_none() && name(&package).starts_with("netns-toolbox");
        assert!(is_own || source == Some(CRATES_IO), "{} is from {source:?}", name(&package));
        let license = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(license, &allowed), "{}: {license:?}", name(&package));
    }
    assert!(!is_allowed("GPL-3.0-only", &allowed) && !is_allowed("MIT AND GPL-3.0-only", &allowed));
    assert!(!is_allowed("", &allowed) && is_allowed("(GPL-2.0 OR MIT) AND Unicode-3.0", &allowed));
}

#[test]
fn what_is_locked_has_a_checksum_and_one_version() {
    let lock = read("Cargo.lock");
    for package in lock.split("[[package]]").skip(1) {
        let is_own = !package.contains("\nsource = ");
        let is_checked = package.contains(&format!("\nsource = \"{CRATES_IO}\"\nchecksum = \""));
        assert!(is_own && package.contains("\nname = \"netns-toolbox") || is_checked, "{package}");
    }
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for package in packages() {
        *versions.entry(name(&package).to_owned()).or_default() += 1;
    }
    let twice: Vec<&str> =
        versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name.as_str()).collect();
    assert_eq!(twice, TWICE);
}

/// `make msrv` compiles with that compiler, where there is one; this is known everywhere.
#[test]
fn no_dependency_declares_a_newer_compiler_than_we_do() {
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let manifest = read("Cargo.toml");
    let ours = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    let ours = version(ours.trim_end_matches('"'));
    let newer: Vec<String> = packages()
        .iter()
        .filter_map(|package| Some((name(package), package["rust_version"].as_str()?)))
        .filter(|(_, theirs)| version(theirs)[..2] > ours[..2])
        .map(|(name, theirs)| format!("{name} {theirs}"))
        .collect();
    assert!(newer.is_empty(), "newer than {ours:?}: {newer:?}");
}

#[test]
fn nothing_compiles_c_or_links_a_library_of_others() {
    for package in packages() {
        assert!(!COMPILERS_OF_C.contains(&name(&package)), "{}", name(&package));
        assert!(package["links"].is_null(), "{} links a library", name(&package));
        let root = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        for target in package["targets"].as_array().unwrap() {
            if target["kind"][0] == "custom-build" {
                let script = fs::read_to_string(target["src_path"].as_str().unwrap()).unwrap();
                let calls_one = ["cc::Build", "cmake::Config", "\"gcc\"", "\"clang\"", "rustc-link-lib"];
                // libc names the C library of its target, which is there anyway.
                let is_libc = name(&package) == "libc";
                assert!(is_libc || !calls_one.iter().any(|call| script.contains(call)), "{}", root.display());
            }
        }
    }
}

/// All files of Rust below `directory`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_compiler_refuses_unsafe_code_everywhere_but_in_sys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What is forbidden cannot be allowed again further down: rustc's E0453.
    let library = read("common/src/lib.rs");
    let lines: Vec<&str> = library.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("mod ")) {
        let is_forbidden = at > 0 && lines[at - 1] == "#[forbid(unsafe_code)]";
        assert!(is_forbidden != (*line == "pub mod sys;"), "{line}");
    }
    for tool in support::tools::names() {
        let main = read(&format!("bins/{tool}/main.rs"));
        assert!(main.lines().any(|line| line == "#![forbid(unsafe_code)]"), "{tool}");
    }
    let allowing =
        ["bins", "common/src"].into_iter().flat_map(|place| sources(&root.join(place))).filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code")
        });
    assert_eq!(allowing.collect::<Vec<_>>(), [root.join("common/src/sys.rs")]);
}

/// The functions of a source file, each with its text. What the language itself calls, an `impl Drop`, has its type's name.
fn functions(text: &str) -> BTreeMap<&str, String> {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    let (mut of_type, mut last) = ("", "");
    for line in text.lines() {
        let words: Vec<&str> = line.split([' ', '(', '<', '{']).filter(|word| !word.is_empty()).collect();
        if let ["impl", "Drop" | "Deref", "for", name, ..] = words[..] {
            of_type = name;
        } else if line.starts_with("impl") {
            of_type = "";
        }
        let is_prefix =
            |word: &&str| ["pub", "super)", "crate)", "const", "unsafe", "extern", "\"C\""].contains(word);
        let rest: Vec<&str> = words.into_iter().skip_while(is_prefix).collect();
        if let ["fn", name, ..] = rest[..] {
            last = if of_type.is_empty() { name } else { of_type };
        }
        found.entry(last).or_default().push_str(line);
    }
    found
}

/// Whether a text has that name as a word.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

#[test]
fn each_function_with_unsafe_code_is_called_by_a_test_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tests, mut code) = (String::new(), BTreeMap::new());
    let files = sources(&root.join("common/src/sys")).into_iter().chain([root.join("common/src/sys.rs")]);
    let texts: Vec<(PathBuf, String)> =
        files.map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    for (file, text) in &texts {
        let (before, beside) = match file.ends_with("tests.rs") {
            true => ("", text.as_str()),
            false => text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, "")),
        };
        tests.push_str(beside);
        code.extend(functions(before).into_iter().map(|(name, body)| ((file, name), body)));
    }
    let is_tried = |name: &str| {
        let mut reached = BTreeSet::from([name]);
        // Those that call it, and those that call them.
        loop {
            let calls = |body: &str| reached.iter().any(|name| names(body, name));
            let more: Vec<&str> =
                code.iter().filter(|(_, body)| calls(body)).map(|((_, name), _)| *name).collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                return reached.iter().any(|name| names(&tests, name));
            }
        }
    };
    let unsafe_ones: Vec<_> = code.iter().filter(|(_, body)| body.contains("unsafe {")).collect();
    assert!(unsafe_ones.len() > 30, "{} functions: are they still found?", unsafe_ones.len());
    let untried: Vec<_> =
        unsafe_ones.iter().filter(|((_, name), _)| !is_tried(name)).map(|(key, _)| key).collect();
    assert!(untried.is_empty(), "no test of common::sys calls {untried:#?}");
}

/// Options stop at the door: what is typed is parsed once. `common::typed` repeats it in hints, and decides nothing by it.
#[test]
fn the_command_line_is_read_at_the_door_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reads = |file: &PathBuf| fs::read_to_string(file).unwrap().contains("env::args");
    let all = ["bins", "common/src"].into_iter().flat_map(|place| sources(&root.join(place)));
    let doors = ["main.rs", "common/src/cli.rs", "common/src/typed.rs"];
    let inside: Vec<PathBuf> =
        all.filter(reads).filter(|file| !doors.iter().any(|door| file.ends_with(door))).collect();
    assert_eq!(inside, [""; 0].map(PathBuf::from));
}
