//! Shows an explanation: for people within the width of their terminal, and as JSON.

use std::io::{self, Write};

use common::failure::Failure;
use common::output::{one_line, table, table_of_sentences, wrapped};

use super::explanation::Explanation;

/// What a terminal of 80 columns shows of a line.
const LINE: usize = 80;

/// Prints it all on standard output.
pub fn show(explanation: &Explanation, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        return Ok(common::json::pretty(&mut out, explanation)?);
    }
    writeln!(out, "{}\n", namespaces(explanation))?;
    if !explanation.rules.is_empty() {
        writeln!(out, "{}\n", rules(explanation))?;
    }
    if !explanation.steps.is_empty() {
        writeln!(out, "{}\n", steps(explanation))?;
    }
    if let Some(exposed) = &explanation.exposure {
        let text = format!("{}: {}.", if exposed.safe { "Safe" } else { "Warning" }, one_line(&exposed.why));
        writeln!(out, "{}", wrapped(&text, Some(LINE), 0))?;
    }
    let all_in_all =
        if explanation.permitted { "All rules that can be checked are met." } else { "It would fail." };
    writeln!(out, "{all_in_all}")?;
    explanation.hints.iter().try_for_each(|hint| writeln!(out, "hint: {}", one_line(hint)))?;
    Ok(())
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

fn namespaces(explanation: &Explanation) -> String {
    let header = ["KIND", "OURS", "TARGET'S", "STATE", "OWNER", "OF-UID", "CAP_SYS_ADMIN"];
    let mut shown = table(header, &[1, 2, 4, 5]);
    for row in &explanation.namespaces {
        shown.add_row([
            row.kind.to_string(),
            or_dash(row.ours_inode),
            or_dash(row.target_inode),
            row.state.as_str().to_owned(),
            or_dash(row.owner_inode),
            or_dash(row.owner_uid),
            or_dash(row.cap_sys_admin.map(yes_or_no)),
        ]);
    }
    shown.trim_fmt()
}

fn rules(explanation: &Explanation) -> String {
    let mut shown = table_of_sentences(["MET", "RULE", "WHY"], &[], 1);
    for line in &explanation.rules {
        let met = line.met.map_or("?", yes_or_no);
        shown.add_row([met.to_owned(), one_line(&line.rule).into_owned(), one_line(&line.why).into_owned()]);
    }
    shown.trim_fmt()
}

fn steps(explanation: &Explanation) -> String {
    let mut shown = table_of_sentences(["STEP", "WHAT WOULD BE DONE"], &[0], 1);
    for (at, step) in explanation.steps.iter().enumerate() {
        shown.add_row([(at + 1).to_string(), one_line(step).into_owned()]);
    }
    shown.trim_fmt()
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
