//! The versions that the table has been right with: the file `proved`, which `make engines` writes and docs/engines.md repeats.

use std::fs;
use std::path::{Path, PathBuf};

use super::table::Table;
use support::ground::Suite;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file() -> PathBuf {
    root().join("tests/engine_table/proved")
}

/// Writes that suite's line; the others stay.
pub fn update(suite: &Suite, table: &Table) {
    let begin = format!("{suite}: ");
    let old = fs::read_to_string(file()).unwrap_or_default();
    let kept = old.lines().filter(|line| !line.starts_with(&begin)).map(str::to_owned);
    let mut lines: Vec<_> = kept.chain([format!("{begin}{}", table.versions())]).collect();
    lines.sort();
    fs::write(file(), lines.join("\n") + "\n").unwrap();
}

#[test]
fn the_page_says_which_versions_are_proved() {
    let page = fs::read_to_string(root().join("docs/engines.md")).unwrap();
    let proved = fs::read_to_string(file()).unwrap();
    assert!(proved.lines().count() > 0);
    for line in proved.lines() {
        let (suite, versions) = line.split_once(": ").expect("SUITE: VERSIONS");
        let row = format!("| {suite} | {versions} |");
        assert!(
            page.contains(&row),
            "make engines has proved other versions than docs/engines.md says; its row is now:\n{row}"
        );
    }
}
