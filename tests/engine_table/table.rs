//! The table: a row for each engine and each way it is, a column for each state of a container.

use std::fmt::Write as _;
use std::io::Write as _;

use support::ground::Suite;

/// The states, in the order of the columns.
pub const STATES: [&str; 6] = ["running", "paused", "exited", "created", "shared", "host"];

/// What the tools made of one container.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The engine's PID, state and netns.
    Right,
    /// Status 2, naming the engine, which could not be asked.
    CannotTell,
    /// Anything else, and what it was.
    Wrong(String),
    /// The same, listed in `KNOWN`.
    Known,
    /// The engine has no such state.
    NotThere,
}

struct Row {
    engine: String,
    way: &'static str,
    cells: Vec<Verdict>,
}

/// One suite's.
pub struct Table {
    suite: String,
    versions: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub fn of(suite: &Suite) -> Table {
        Table { suite: suite.to_string(), versions: Vec::new(), rows: Vec::new() }
    }

    pub fn version(&mut self, version: &str) {
        self.versions.push(version.to_owned());
    }

    /// Of each engine.
    pub fn versions(&self) -> String {
        self.versions.join(", ")
    }

    /// `cells` in the order of `STATES`.
    pub fn row(&mut self, engine: &str, way: &'static str, cells: Vec<Verdict>) {
        self.rows.push(Row { engine: engine.to_owned(), way, cells });
    }

    /// Each wrong cell, and what was said there.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in &self.rows {
            for (state, cell) in STATES.iter().zip(&row.cells) {
                if let Verdict::Wrong(what) = cell {
                    wrong.push(format!("{}: {}, {}, {state}: {what}", self.suite, row.engine, row.way));
                }
            }
        }
        wrong
    }

    /// Prints it, though the test passes; and adds it to the file `NETNS_TOOLBOX_TABLE`, which the set-up shows at the end.
    pub fn show(&self) {
        let text = self.text();
        let _ = std::io::stderr().write_all(text.as_bytes());
        if let Some(file) = std::env::var_os("NETNS_TOOLBOX_TABLE").filter(|file| !file.is_empty()) {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.suite, self.versions());
        let mut line = |engine: &str, way: &str, cells: &[&str]| {
            let cells: String = cells.iter().map(|cell| format!("{cell:<14}")).collect();
            let _ = writeln!(text, "{}", format!("  {engine:<18}{way:<10}{cells}").trim_end());
        };
        line("ENGINE", "IT", &STATES.map(|state| state.to_uppercase()).each_ref().map(String::as_str));
        for row in &self.rows {
            let words: Vec<_> = row.cells.iter().map(Verdict::word).collect();
            line(&row.engine, row.way, &words);
        }
        text
    }
}

impl Verdict {
    /// As it is with the reason why that cell is known to be wrong, if there is one.
    pub fn or_known(self, reason: Option<&str>) -> Verdict {
        match (self, reason) {
            (Verdict::Wrong(_), Some(_)) => Verdict::Known,
            (_, Some(reason)) => Verdict::Wrong(format!("it is right, and listed in KNOWN: {reason}")),
            (verdict, None) => verdict,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Verdict::Right => "ok",
            Verdict::CannotTell => "cannot tell",
            Verdict::Wrong(_) => "WRONG",
            Verdict::Known => "wrong, known",
            Verdict::NotThere => "-",
        }
    }
}
