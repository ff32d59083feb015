//! What is wrong about imports: that they climb, and that they go in circles.

use std::collections::{BTreeMap, BTreeSet};

/// For each file those that it takes anything from.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// A line for each import of a higher layer, of another one in the same line, or of one that others may not import; and for
/// each file that is in no layer.
pub fn climbing(imports: &Imports, layers: &[&[&str]], private: &[(&str, &[&str])]) -> Vec<String> {
    let rank = |file: &str| layers.iter().position(|line| line.contains(&layer_of(file)));
    let mut wrong = Vec::new();
    for (file, others) in imports {
        let Some(own) = rank(file) else {
            wrong.push(format!("{file} is in no layer"));
            continue;
        };
        for other in others.iter().filter(|other| layer_of(other) != layer_of(file)) {
            if rank(other).is_some_and(|theirs| theirs >= own) {
                wrong.push(format!("{file} imports {other}, which is not below it"));
            }
            let allowed = private.iter().find(|(layer, _)| *layer == layer_of(other));
            if allowed.is_some_and(|(_, allowed)| !allowed.contains(&layer_of(file))) {
                wrong.push(format!("{file} imports {other}, which is not for it"));
            }
        }
    }
    wrong
}

/// The folder of a file, or its own name beside `main.rs`.
fn layer_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The files that reach each other, circle by circle.
pub fn circles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (file.as_str(), reached_from(file, imports))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (file, others) in &reached {
        let circle: BTreeSet<String> = others
            .iter()
            .filter(|other| reached[**other].contains(file))
            .map(|other| (*other).to_owned())
            .collect();
        if circle.contains(*file) && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reached_from<'a>(file: &str, imports: &'a Imports) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = imports[file].iter().map(String::as_str).collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(imports[file].iter().map(String::as_str));
        }
    }
    reached
}
