//! Ports: who listens, and which are published.

use common::output::{self, one_line};
use common::ports::PortLine;
use common::sign::ARROW;

use super::interfaces::shown;
use super::link_words::NOTHING;

const HEADER: [&str; 5] = ["WHO", "PORT", "TO", "BY", "STATE"];

/// The columns that a narrow terminal omits, in this order: BY, TO.
const SPARED: [usize; 2] = [3, 2];

/// A line for each port.
pub fn table(lines: &[PortLine], quiet: bool) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = output::table(HEADER, &[]);
    for line in lines {
        let or_nothing = |words: String| if words.is_empty() { NOTHING.to_owned() } else { words };
        table.add_row([
            one_line(&line.netns).into_owned(),
            line.place(),
            line.leads_to().map_or_else(|| NOTHING.to_owned(), |to| format!("{ARROW} {to}")),
            or_nothing(line.by()),
            line.state.clone(),
        ]);
    }
    shown(table, &SPARED, quiet)
}
