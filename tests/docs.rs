//! What a reader reads is what the tools do: manuals and completions are made from each tool's `cli.rs`, and
//! `-h` fits a screen.
//!
//! `make docs` rewrites what is not current. A manual is what clap knows of the tool, and what is written by hand
//! in `man/sections/TOOL.roff`, where a line `.so FILE` takes in that file of the same directory; `.so OPTIONS`
//! takes in what `cli.rs` says, `.so GRAMMAR` what `common/src/target/mod.rs` says of a TARGET, `.so DESTS` what
//! `common/src/target/dest.rs` says of a DEST, and `.so TOOLS` what each tool is for. `netns-toolbox(7)` is of all tools.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use support::skip::{Missing, need};
use support::tools;

#[path = "docs/completions.rs"]
mod completions;
#[path = "docs/hints.rs"]
mod hints;
#[path = "docs/made.rs"]
mod made;
#[path = "docs/numbers.rs"]
mod numbers;

use made::{DESTS, TARGETS, as_roff, common_manual, files_of, grammar, manual, reference, roff};

/// A tool: what its manual and its help are made from.
struct Tool {
    name: &'static str,
    /// Of the manual: 1 for whoever may run it, 8 for root.
    section: char,
    command: fn() -> clap::Command,
}

/// One line for each tool: a module, its `cli.rs`, its name, and the section of its manual.
macro_rules! tools {
    ($($module:ident $path:literal $name:literal $section:literal;)*) => {
        $(
            #[path = $path]
            #[allow(dead_code, unused_imports, reason = "only clap reads what was parsed")]
            mod $module;
        )*

        const TOOLS: &[Tool] = &[
            $(Tool {
                name: $name,
                section: $section,
                command: $module::Cli::command,
            },)*
        ];
    };
}

tools! {
    cpid "../bins/cpid/cli.rs" "cpid" '1';
    nsenter_rs "../bins/nsenter-rs/cli/mod.rs" "nsenter-rs" '1';
    netns_link "../bins/netns-link/cli.rs" "netns-link" '8';
    add_nic "../bins/add-nic/cli.rs" "add-nic" '8';
    netns_ping "../bins/netns-ping/cli.rs" "netns-ping" '1';
    netns_ls "../bins/netns-ls/cli.rs" "netns-ls" '8';
    netns_trace "../bins/netns-trace/cli.rs" "netns-trace" '8';
}

/// How many lines `-h` may have, each of 80 columns at most: a screen of today, with room for the prompt.
const HELP_LINES: usize = 40;

/// What every manual has, in this order, as man-pages(7) asks for; one may have others in between.
const SECTIONS: [&str; 11] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "TARGET",
    "EXIT STATUS",
    "ENVIRONMENT",
    "FILES",
    "EXAMPLES",
    "SECURITY",
    "SEE ALSO",
];

/// The manual of what all tools have in common, without its section and with it.
const COMMON: &str = "netns-toolbox";
const COMMON_MANUAL: &str = "man/netns-toolbox.7";

#[test]
fn manuals_and_completions_are_current() {
    let common = (COMMON_MANUAL.to_owned(), common_manual());
    let made: Vec<(String, String)> = TOOLS.iter().flat_map(files_of).chain([common]).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        for (file, text) in &made {
            fs::create_dir_all(Path::new(&root(file)).parent().unwrap()).unwrap();
            fs::write(root(file), text).unwrap();
        }
    }
    let stale = made.iter().filter(|(file, text)| fs::read_to_string(root(file)).ok().as_ref() != Some(text));
    let stale: Vec<&String> = stale.map(|(file, _)| file).collect();
    assert!(stale.is_empty(), "not what the code says: {stale:?}; `make docs` rewrites them");

    let known: BTreeSet<&String> = made.iter().map(|(file, _)| file).collect();
    let strays: Vec<String> =
        ["man", "completions"].into_iter().flat_map(files_in).filter(|file| !known.contains(file)).collect();
    assert!(strays.is_empty(), "of no tool: {strays:?}");
}

#[test]
fn every_tool_is_documented() {
    let documented: BTreeSet<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    let tools: BTreeSet<&str> = tools::names().into_iter().collect();
    assert_eq!(documented, tools, "the lines of `tools!` here are not the [[bin]]s of Cargo.toml");
    let completed: BTreeSet<&str> = completions::tools().into_iter().collect();
    assert_eq!(
        completed, tools,
        "the lines of OFFERS in tests/docs/completions.rs are not the [[bin]]s of Cargo.toml"
    );
}

#[test]
fn every_manual_has_its_sections_in_order() {
    for tool in TOOLS {
        let manual = manual(tool);
        let sections = manual.lines().filter_map(|line| line.strip_prefix(".SH "));
        let sections = sections.map(|section| section.trim_matches('"'));
        let sections: Vec<&str> = sections.filter(|section| SECTIONS.contains(section)).collect();
        assert_eq!(sections, SECTIONS, "{}", tool.name);
        // clap_mangen shows no text for an option that is hidden from --help and has one paragraph only.
        assert!(!manual.contains(".IP\n.TP"), "{}: an option without text", tool.name);
    }
}

#[test]
fn the_common_manual_has_every_tool_every_engine_and_both_grammars() {
    let manual = common_manual();
    let sections: Vec<&str> = manual.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let of_a_tool = ["SYNOPSIS", "OPTIONS"];
    for section in SECTIONS.into_iter().chain(["ENGINES", "DEST"]).filter(|name| !of_a_tool.contains(name)) {
        let quoted = format!("\"{section}\"");
        assert!(sections.iter().any(|one| *one == section || *one == quoted), "no {section}: {sections:?}");
    }
    for grammar in [grammar(TARGETS), grammar(DESTS)] {
        assert!(manual.contains(&as_roff(&grammar)), "not in {COMMON_MANUAL}: {grammar}");
    }
    // The words of TARGET's second row are those of all engines.
    let engines = section(&manual, "ENGINES");
    let words = common::target::EngineName::ALL.iter().map(ToString::to_string);
    for word in words.chain(["pod", "pid", "netns", "ip", "mac", "veth"].map(str::to_owned)) {
        let is_there =
            |line: &str| line.starts_with(".B") && line.split([' ', '"', ',']).any(|one| one == word);
        assert!(engines.lines().any(is_there), "ENGINES has no {word}");
    }
    let also = section(&manual, "SEE ALSO");
    for tool in TOOLS {
        let entry = reference(tool.name, tool.section);
        assert!(also.contains(&entry), "SEE ALSO has no {entry}");
        let purpose = roff((tool.command)().get_about().unwrap().to_string().trim_end_matches('.'));
        assert!(manual.contains(&purpose), "not in {COMMON_MANUAL}: {purpose}");
        let see = self::manual(tool);
        let see = section(&see, "SEE ALSO");
        assert!(see.contains(&reference(COMMON, '7')), "{}: SEE ALSO has no {COMMON}(7)", tool.name);
    }
}

#[test]
fn every_mention_of_a_manual_of_ours_has_its_section() {
    let ours = TOOLS.iter().map(|tool| (tool.name, tool.section)).chain([(COMMON, '7')]);
    let ours: Vec<(String, char)> = ours.map(|(name, section)| (roff(name), section)).collect();
    for manual in TOOLS.iter().map(manual).chain([common_manual()]) {
        for line in manual.lines().filter(|line| line.starts_with(".BR ")) {
            for (name, section) in &ours {
                let after = line.strip_prefix(&format!(".BR {name} ("));
                let is_right = after.is_none_or(|after| after.starts_with(&format!("{section})")));
                assert!(is_right, "{line}: is in section {section}");
            }
        }
    }
}

/// The text of a section of a manual.
fn section<'a>(manual: &'a str, name: &str) -> &'a str {
    let titles = [format!(".SH {name}\n"), format!(".SH \"{name}\"\n")];
    let after = titles.iter().find_map(|title| manual.split(title.as_str()).nth(1));
    let after = after.unwrap_or_else(|| panic!("no {name}"));
    after.split("\n.SH ").next().unwrap()
}

#[test]
fn help_fits_a_screen_and_ends_with_three_examples() {
    for (tool, option) in TOOLS.iter().flat_map(|tool| [(tool, "-h"), (tool, "--help")]) {
        let help = help(tool, option);
        let lines: Vec<&str> = help.lines().collect();
        let name = tool.name;
        let purpose = (tool.command)().get_about().unwrap().to_string();
        assert_eq!(lines[0], purpose, "{name} --help begins with what it is for");
        let is_short = option == "--help" || lines.len() <= HELP_LINES;
        assert!(is_short, "{name} -h has {} lines", lines.len());
        let wide: Vec<&&str> = lines.iter().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name} --help: wider than 80 columns: {wide:#?}");
        let at = lines.iter().position(|line| *line == "Examples:").unwrap();
        let last = &lines[at..];
        assert!((4..=5).contains(&last.len()), "{name} --help ends with three examples, or four: {last:#?}");
        assert!(last[1..].iter().all(|line| line.starts_with("  ")), "{name} --help: {last:#?}");
    }
}

#[test]
fn help_with_two_dashes_has_every_option_and_h_only_what_it_has_too() {
    for tool in TOOLS {
        let (short, long) = (help(tool, "-h"), help(tool, "--help"));
        let has = |help: &str, option: &str| {
            let mut words = help.split(|c: char| c.is_whitespace() || "[=,".contains(c));
            words.any(|word| word == option)
        };
        for argument in (tool.command)().get_arguments().filter(|argument| !argument.is_hide_set()) {
            let Some(option) = argument.get_long().map(|long| format!("--{long}")) else { continue };
            assert!(has(&long, &option), "{} --help has no {option}", tool.name);
            assert!(!has(&short, &option) || has(&long, &option), "{}: {option}", tool.name);
        }
    }
}

/// The words of a text that are options of `tool`.
fn options_named<'a>(text: &'a str, tool: &str) -> BTreeSet<&'a str> {
    let after = text.split(tool).skip(1).map(|rest| rest.split(['`', '\n', '|', ';']).next().unwrap());
    let words = after.flat_map(|rest| rest.split(|c: char| c.is_whitespace() || "=[]\\\"'".contains(c)));
    words.filter(|word| word.len() > 3 && word.starts_with("--")).collect()
}

#[test]
fn what_the_pages_tell_to_use_stands_in_help() {
    for page in ["README.md", "docs/guide.md", "docs/faq.md", "docs/tour.md"] {
        let text = read(page);
        for tool in TOOLS {
            let long = help(tool, "--help");
            for option in options_named(&text, tool.name) {
                let is_of_the_program = tool.name == "nsenter-rs" && !long.contains(option);
                assert!(long.contains(option) || is_of_the_program, "{page}: {} {option}", tool.name);
            }
        }
    }
}

#[test]
fn the_manual_is_in_the_program() {
    for tool in TOOLS {
        // Without man(1), and with it.
        let plain = manual_shown(tool, "/");
        let by_man = manual_shown(tool, "/usr/bin:/bin");
        for text in [&plain, &by_man] {
            let title = format!("{}({})", tool.name.to_uppercase(), tool.section);
            let begin: String =
                text.lines().filter(|line| !line.is_empty()).take(24).collect::<Vec<_>>().join("\n");
            assert!(begin.contains(&title), "{begin}");
            let examples = help(tool, "-h");
            let first = examples.split("Examples:\n").nth(1).unwrap().lines().next().unwrap();
            let command = first.trim_start().split("  ").next().unwrap();
            assert!(begin.contains(command), "{}: the first screen has no {command}: {begin}", tool.name);
            for heading in ["OPTIONS", "EXAMPLES", "NETNS-TOOLBOX(7)", "ENGINES"] {
                assert!(text.contains(heading), "{} --man has no {heading}", tool.name);
            }
        }
    }
}

fn manual_shown(tool: &Tool, path: &str) -> String {
    let mut command = Command::new(tools::tool(tool.name));
    let ran = command.arg("--man").env("PATH", path).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    let ran = ran.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn no_manual_has_anything_that_mandoc_complains_of() {
    let mandoc = need!(mandoc());
    let pages = files_in("man").into_iter().map(|file| root(&file));
    let ran = Command::new(mandoc).args(["-T", "lint", "-W", "warning"]).args(pages).output().unwrap();
    assert!(ran.status.success() && ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
}

/// mandoc, unpacked where it is not installed.
fn mandoc() -> Result<String, Missing> {
    let found = Command::new(root("tests/setup/packages")).arg("mandoc:mandoc").output().unwrap();
    let said = String::from_utf8(found.stdout).unwrap();
    match said.trim() {
        _ if !found.status.success() => Err(Missing::Fixable("mandoc cannot be fetched".to_owned())),
        "" => Ok("mandoc".to_owned()),
        directory => Ok(format!("{directory}/usr/bin/mandoc")),
    }
}

#[test]
fn the_pages_have_the_same_grammar_and_every_tool() {
    let (readme, targets, guide) = (read("README.md"), read("docs/targets.md"), read("docs/guide.md"));
    for line in grammar(TARGETS).lines() {
        assert!(targets.lines().any(|of_page| of_page == line), "docs/targets.md lacks: {line}");
    }
    for tool in TOOLS {
        let name = tool.name;
        for part in [format!("| `{name}` |"), format!("man/{name}.{}`", tool.section)] {
            assert!(readme.contains(&part), "README.md lacks: {part}");
        }
        let example = format!("    # {name} ");
        assert!(
            guide.lines().any(|line| line.starts_with(&example)),
            "docs/guide.md lacks an example: {example}"
        );
    }
    assert!(readme.contains(&format!("{COMMON_MANUAL}`")), "README.md lacks: {COMMON_MANUAL}");
}

#[test]
fn every_tool_has_a_suite_a_place_in_the_picture_a_line_in_the_changelog_and_a_unit_for_its_watch() {
    let (changelog, architecture) = (read("CHANGELOG.md"), read("docs/architecture.md"));
    let is_file = |file: &str| Path::new(&root(file)).is_file();
    let mut missing = Vec::new();
    for tool in TOOLS {
        let name = tool.name;
        if !changelog.contains(&format!("- `{name}")) {
            missing.push(format!("CHANGELOG.md: a line that begins with {name}"));
        }
        if !architecture.contains(&format!("  bins/{name} ")) {
            missing.push(format!("docs/architecture.md: bins/{name} in the picture"));
        }
        let suite = format!("tests/{}/main.rs", name.replace('-', "_"));
        let unit = format!("contrib/{name}-watch.service");
        let watches = (tool.command)().get_arguments().any(|argument| argument.get_long() == Some("watch"));
        let files = [Some(suite), watches.then_some(unit)];
        missing.extend(files.into_iter().flatten().filter(|file| !is_file(file)));
    }
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

#[test]
fn every_help_has_the_same_grammar() {
    let in_words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows = |file| {
        let text = grammar(file);
        let rows = text.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        rows.map(|row| in_words(&row.replace('`', "").replace(" | ", " "))).collect::<Vec<_>>().join(" ")
    };
    let (targets, dests) = (rows(TARGETS), rows(DESTS));
    let single = rows(DESTS).split("10.1.0.0/24").next().map(|text| text.trim_end().to_owned());
    for tool in TOOLS {
        let help = help(tool, "--help");
        let table = |heading| Some(in_words(help.split(heading).nth(1)?.split("\n\n").next()?));
        assert_eq!(table("\nTARGET:\n").as_ref(), Some(&targets), "{} --help", tool.name);
        let takes_dest = help.contains(" DEST...\n");
        let takes_one = help.contains(" TARGET DEST\n");
        let expected = if takes_one { single.clone() } else { takes_dest.then(|| dests.clone()) };
        assert_eq!(table("\nDEST:\n"), expected, "{} --help", tool.name);
        let manual = manual(tool);
        let dests = as_roff(&grammar(DESTS));
        assert_eq!(manual.contains(&dests), takes_dest, "{}'s manual: the table of DEST", tool.name);
    }
}

#[test]
fn a_cli_uses_only_what_manuals_can_be_made_with() {
    for tool in TOOLS {
        for file in cli_of(tool) {
            for line in read(&file).lines().filter(|line| line.starts_with("use ")) {
                let of = line.split([' ', ':', ';']).nth(1).unwrap();
                assert!(["clap", "std", "common", "super"].contains(&of), "{file}: {line}");
            }
        }
    }
}

/// What the user may say: one file, or a directory of them.
fn cli_of(tool: &Tool) -> Vec<String> {
    let room = format!("bins/{}/cli", tool.name);
    if !Path::new(&root(&room)).is_dir() {
        return vec![format!("{room}.rs")];
    }
    let files = files_in(&room);
    assert!(!files.is_empty(), "{room} is empty");
    files
}

/// What the built tool prints where no terminal says how wide it is.
fn help(tool: &Tool, option: &str) -> String {
    let ran = Command::new(tools::tool(tool.name))
        .arg(option)
        .env("COLUMNS", "80")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

fn files_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root(directory)).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| format!("{directory}/{}", entry.file_name().to_str().unwrap()))
        .collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}
