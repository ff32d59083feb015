//! What is made for each tool: its manual, and its completions; and the manual of what all tools have in common.

use std::collections::BTreeSet;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::completions;
use crate::{COMMON, TOOLS, Tool, read};

/// Of what the manuals say, as each names it: changed with the version.
const DATE: &str = "2026-12-01";

/// Everything that is made for one tool: path in the checkout, and text.
pub fn files_of(tool: &Tool) -> Vec<(String, String)> {
    let completion = |shell| completions::completion(&(tool.command)(), tool.name, shell);
    let name = tool.name;
    vec![
        (format!("man/{name}.{}", tool.section), manual(tool)),
        (format!("completions/{name}.bash"), completion(Shell::Bash)),
        (format!("completions/_{name}"), completion(Shell::Zsh)),
        (format!("completions/{name}.fish"), completion(Shell::Fish)),
    ]
}

pub fn manual(tool: &Tool) -> String {
    let man = Man::new((tool.command)());
    let sections = by_hand(&format!("{}.roff", tool.name), &options(tool, &man));
    // The first line tells man(1) that tbl(1) is needed.
    let preprocessors = if sections.contains("\n.TS\n") { "'\\\" t\n" } else { "" };
    let mut page = format!(
        "{preprocessors}.\\\" Made from bins/{0}/cli.rs and man/sections/{0}.roff by `make docs`; edit those.\n\
         .ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n",
        tool.name
    );
    let (title, version) = (tool.name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    page += &format!(".TH {title} {} {DATE} \"netns-toolbox {version}\" netns-toolbox\n", tool.section);
    page += &part(|out| man.render_name_section(out));
    page += &synopsis(&(tool.command)());
    page + &with_first_examples(&sections, &(tool.command)())
}

/// Every form of the command line, as `-h` has them.
fn synopsis(command: &clap::Command) -> String {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let lines = usage.trim_start_matches("Usage:").lines().map(|line| format!("{}\n", roff(line.trim())));
    format!(".SH SYNOPSIS\n.nf\n{}.fi\n", lines.collect::<String>())
}

/// The three examples of `-h` after the first paragraph: what most people look into a manual for stands on its first screen.
fn with_first_examples(sections: &str, command: &clap::Command) -> String {
    let after = command.get_after_help().unwrap().to_string();
    let examples = after.split("Examples:\n").nth(1).unwrap();
    let lines = examples.lines().map(|line| format!("{}\n", roff(line.trim_start())));
    let block = format!(".PP\n.EX\n{}.EE\n", lines.collect::<String>());
    let (first, rest) = sections.split_once("\n.PP\n").unwrap();
    format!("{first}\n{block}.PP\n{rest}")
}

/// What all tools have in common: made from `man/sections` alone.
pub fn common_manual() -> String {
    format!(
        ".\\\" Made from man/sections/{COMMON}.roff by `make docs`; edit that.\n\
         .ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n\
         .TH {} 7 {DATE} \"netns-toolbox {}\" netns-toolbox\n{}",
        COMMON.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        by_hand(&format!("{COMMON}.roff"), "")
    )
}

/// Each tool, and what it is for.
fn purposes() -> String {
    let line = |tool: &Tool| {
        let purpose = (tool.command)().get_about().unwrap().to_string();
        let purpose = roff(purpose.trim_end_matches('.'));
        format!(".TP\n{}\n{purpose}.\n", reference(tool.name, tool.section))
    };
    TOOLS.iter().map(line).collect()
}

/// As SEE ALSO has a manual of ours.
pub fn reference(name: &str, section: char) -> String {
    format!(".BR {} ({section})", roff(name))
}

/// A file of `man/sections`, with what it takes in and without its comments.
fn by_hand(file: &str, options: &str) -> String {
    let text = read(&format!("man/sections/{file}"));
    let lines =
        text.lines().filter(|line| !line.starts_with(".\\\"")).map(|line| match line.strip_prefix(".so ") {
            Some("OPTIONS") => options.to_owned(),
            Some("GRAMMAR") => as_roff(&grammar(TARGETS)),
            Some("DESTS") => as_roff(&grammar(DESTS)),
            Some("TOOLS") => purposes(),
            Some(file) => by_hand(file, options),
            None => format!("{line}\n"),
        });
    lines.collect()
}

/// One part of what clap_mangen makes, without the definition that it puts before each.
fn part(render: impl Fn(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|line| !line.contains(".ds Aq")).map(|line| format!("{line}\n")).collect()
}

/// clap_mangen makes a section of each help heading, in capitals, and leaves paragraphs to blank lines.
fn options(tool: &Tool, man: &Man) -> String {
    let command = (tool.command)();
    let headings: BTreeSet<&str> = command.get_arguments().filter_map(|arg| arg.get_help_heading()).collect();
    let subsection = |line: &str| {
        let section = line.strip_prefix(".SH ")?.trim_matches('"');
        headings.iter().find(|heading| heading.to_uppercase() == section)
    };
    let lines = part(|out| man.render_options_section(out));
    let lines = lines.lines().map(|line| match subsection(line) {
        Some(heading) => format!(".SS \"{heading}\"\n"),
        None if line.is_empty() => ".IP\n".to_owned(),
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// Where the grammar of a TARGET is.
pub const TARGETS: &str = "common/src/target/mod.rs";
/// Where that of a DEST is.
pub const DESTS: &str = "common/src/target/dest.rs";

/// What a file says of a grammar: a table, and what is true of it today.
pub fn grammar(file: &str) -> String {
    let source = read(file);
    let docs = source.lines().map_while(|line| line.strip_prefix("//!"));
    let docs = docs.map(|line| line.strip_prefix(' ').unwrap_or(line));
    docs.skip_while(|line| !line.starts_with('|')).map(|line| format!("{line}\n")).collect()
}

pub fn as_roff(grammar: &str) -> String {
    let lines = grammar.lines().filter(|line| *line != "| form | means |" && *line != "|---|---|");
    lines
        .map(|line| match line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) {
            Some(row) => {
                let (form, means) = row.split_once(" | ").unwrap();
                format!(".TP\n{}\n{}\n", roff(form), roff(means))
            }
            None if line.is_empty() => ".PP\n".to_owned(),
            None => format!("{}\n", roff(line)),
        })
        .collect()
}

/// Markdown's code spans as bold words that are not hyphenated.
pub fn roff(markdown: &str) -> String {
    let escaped = markdown.replace('\\', "\\e").replace('-', "\\-");
    let parts = escaped.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("\\fB\\%{part}\\fR") } else { part.to_owned() }).collect()
}
