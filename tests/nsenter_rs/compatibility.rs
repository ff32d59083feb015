//! The table COMPATIBILITY of the manual: that it has a row for everything, and that each row has its proof.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::util_linux;
use support::run::Run;

const TABLE: &str = "man/sections/nsenter-rs-compatibility.roff";

/// A row, as the manual shows it, and the tests that its comment names.
struct Row {
    cells: Vec<String>,
    proofs: Vec<String>,
}

fn rows() -> Vec<Row> {
    let table = read(TABLE);
    let (_, table) = table.split_once(".TS\n").unwrap();
    let (table, _) = table.split_once(".TE\n").unwrap();
    let rows = table.split(".\\\" proved by ").skip(1).map(|row| {
        let (proofs, row) = row.split_once('\n').unwrap();
        let plain = ["T{\n", "\nT}", "\\fB", "\\fR", "\\&"]
            .iter()
            .fold(row.to_owned(), |row, mark| row.replace(mark, ""));
        let cells = plain.replace("\\-", "-").split('|').map(|cell| cell.trim().to_owned()).collect();
        Row { cells, proofs: proofs.split(", ").map(str::to_owned).collect() }
    });
    rows.collect()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The words of a text that are long options.
fn long_options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
}

#[test]
fn every_option_of_util_linux_has_a_row() {
    let in_table: BTreeSet<String> = rows().iter().flat_map(|row| long_options(&row.cells[0])).collect();
    // Those of 2.42, as the tool itself knows them, and whatever the installed one has.
    let source = read("bins/nsenter-rs/wanted/words.rs");
    let known = source.split("OF_UTIL_LINUX: ").nth(1).unwrap().split("];").next().unwrap();
    let known = long_options(known);
    assert_eq!(in_table, known, "{TABLE} and words.rs");
    let ours = long_options(&read("completions/nsenter-rs.bash"));
    let missing: Vec<&String> = known.difference(&ours).collect();
    assert!(missing.is_empty(), "nsenter-rs has no {missing:?}");
    let help = Command::new(util_linux()).arg("--help").run().ok();
    let options = help.stdout.lines().filter(|line| line.trim_start().starts_with('-'));
    let installed: BTreeSet<String> =
        options.flat_map(|line| long_options(line).into_iter().next()).collect();
    assert!(installed.len() > 15, "{help}");
    let new: Vec<&String> = installed.difference(&known).collect();
    assert!(new.is_empty(), "{new:?} of the installed nsenter: not in words.rs");
}

#[test]
fn every_row_says_something_and_names_tests_that_there_are() {
    let rows = rows();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in &rows {
        let what = &row.cells[0];
        assert_eq!(row.cells.len(), 3, "{what}: {:?}", row.cells);
        assert!(row.cells.iter().all(|cell| cell.len() > 3), "{what}: {:?}", row.cells);
        for proof in &row.proofs {
            let (module, test) = proof.rsplit_once("::").unwrap_or_else(|| panic!("{what}: {proof:?}"));
            let tests = read(&format!("tests/nsenter_rs/{}.rs", module.replace("::", "/")));
            assert!(tests.contains(&format!("#[test]\nfn {test}() {{")), "{what}: there is no test {proof}");
        }
    }
}
