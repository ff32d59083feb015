//! Runs the steps of a page in a host of its own: a world with a real Docker, and one bash for the whole page.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::run::Run;
use support::scratch::Scratch;
use support::skip::Missing;
use support::tools;

use crate::compare::shape;
use crate::page::{Form, Step};

/// Where a page's own setting ends with no world: the set-up's words are printed above it.
const NO_WORLD: i32 = 99;

pub fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Runs `script` by bash in a world of its own, with the tools first on its path; standard output and error together.
pub fn in_a_world(script: &str) -> Result<String, Missing> {
    let scratch = Scratch::new();
    let file = scratch.path("page");
    let tools = Path::new(tools::tool("cpid")).parent().unwrap().display();
    let prelude = format!(
        "exec 2>&1 </dev/null; export PATH={tools}:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 COLUMNS=120 HOME=/root
         unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG NETNS_TOOLBOX_WORLD\ncd \"$(mktemp -d)\"\n"
    );
    fs::write(&file, prelude + script).unwrap();
    let inside =
        "[ -n \"${NETNS_TOOLBOX_WORLD-}\" ] && grep -qx docker \"$NETNS_TOOLBOX_WORLD/engines\" || exit 99
        exec \"$NETNS_TOOLBOX_WORLD/enter\" bash \"$0\"";
    let mut world = Command::new(root("tests/setup/with-world"));
    world.args(["docker", "--", "bash", "-c", inside]).arg(&file);
    // As people know it.
    world.env("NETNS_TOOLBOX_BIP", "172.17.0.1/16");
    let ran = world.run_within(Duration::from_secs(300));
    match ran.status.and_then(|status| status.code()) {
        Some(NO_WORLD) => Err(Missing::Fixable(format!("no world with Docker: {}", ran.stderr.trim()))),
        _ => Ok(ran.stdout),
    }
}

/// What each step prints, by its number; of a picture, the picture.
fn run(steps: &[Step], setting: &str) -> Result<HashMap<usize, String>, Missing> {
    let mut script =
        format!("{{\n{setting}\n}} >setting 2>&1 || {{ echo '\u{1}failed'; cat setting; exit 1; }}\n");
    for (at, step) in steps.iter().enumerate() {
        script += &match step {
            Step::Meanwhile(command) => {
                format!("{{\n{command}\n}} >meanwhile 2>&1 || {{ echo '\u{1}failed'; cat meanwhile; }}\n")
            }
            Step::Picture(_) => format!("echo '\u{1}{at}'; netns-ls -q --graph svg; echo '\u{1}end'\n"),
            Step::Paste { command, .. } => {
                format!("echo '\u{1}{at}'; (exit $status); {{\n{command}\n}}; status=$?; echo '\u{1}end'\n")
            }
        };
    }
    let printed = in_a_world(&script)?;
    let mut parts = HashMap::new();
    for part in printed.split('\u{1}').skip(1) {
        let (number, text) = part.split_once('\n').unwrap_or((part, ""));
        assert!(number != "failed", "what the page says has happened meanwhile: {text}");
        if let Ok(number) = number.parse() {
            parts.insert(number, text.to_owned());
        }
    }
    Ok(parts)
}

/// Pastes a page; `setting` makes what the page takes for granted, and `before` has what happens before a command that begins so,
/// where that is no word of the page.
pub fn paste(file: &str, form: Form, setting: &str, before: &[(&str, &str)]) -> Result<(), Missing> {
    let text = fs::read_to_string(root(file)).unwrap();
    let mut steps = Vec::new();
    let mut before = before.iter().peekable();
    for step in form.steps(&text) {
        if let (Step::Paste { command, .. }, Some((begin, script))) = (&step, before.peek())
            && command.starts_with(begin)
        {
            steps.push(Step::Meanwhile((*script).to_owned()));
            before.next();
        }
        steps.push(step);
    }
    assert_eq!(before.next(), None, "{file} has no such command any more");
    let printed = run(&steps, setting)?;
    let is_update = std::env::var_os("UPDATE_PAGES").is_some();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    for (at, step) in steps.iter().enumerate().rev() {
        if matches!(step, Step::Meanwhile(_)) {
            continue;
        }
        let Some(now) = printed.get(&at) else {
            wrong.push(format!("{step:?}: was not reached"));
            continue;
        };
        match step {
            Step::Meanwhile(_) => {}
            Step::Picture(picture) => {
                let path = root("docs").join(picture);
                if is_update {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(&path, now).unwrap();
                }
                let drawn = fs::read_to_string(&path).unwrap_or_default();
                let (drawn, now) = (texts(&drawn), texts(now));
                if drawn != now {
                    wrong.push(format!("{picture}: has {drawn:?}, and now it is {now:?}"));
                }
            }
            Step::Paste { is_session: true, .. } => {}
            Step::Paste { command, printed, lines: place, .. } => {
                let mut now: Vec<&str> = now
                    .lines()
                    .map(str::trim_end)
                    // Those that people have are.
                    .filter(|line| !line.contains("this nsenter-rs is not a static binary"))
                    .collect();
                while now.last().is_some_and(|line| line.is_empty()) {
                    now.pop();
                }
                let same = says_the_same(command, printed, &now);
                if !same && is_update {
                    lines.splice(place.clone(), now.iter().map(|line| form.written(line)));
                } else if !same {
                    wrong.push(format!(
                        "# {command}\nthe page:\n{}\nnow:\n{}",
                        printed.join("\n"),
                        now.join("\n")
                    ));
                }
            }
        }
    }
    if is_update {
        fs::write(root(file), lines.join("\n") + "\n").unwrap();
    }
    wrong.reverse();
    assert!(wrong.is_empty(), "{file} does not do as it says:\n{}", wrong.join("\n\n"));
    Ok(())
}

/// Whether a command printed what the page has. ping ends with an empty line, and no page does; what is made for the width of a terminal
/// is narrower on a page than in a pipe; runs that are at work at once print their lines as they come.
fn says_the_same(command: &str, page: &[String], now: &[&str]) -> bool {
    let lines =
        |lines: Vec<&str>| lines.into_iter().map(shape).filter(|words| !words.is_empty()).collect::<Vec<_>>();
    let (page, now) = (lines(page.iter().map(String::as_str).collect()), lines(now.to_vec()));
    let words = |lines: &[Vec<String>]| sorted(lines.concat());
    page == now
        || (command.contains("--explain") && words(&page) == words(&now))
        || (command.contains("--each") && sorted(page) == sorted(now))
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// The words of a picture, sorted.
fn texts(svg: &str) -> Vec<Vec<String>> {
    let mut texts: Vec<Vec<String>> = svg
        .split("<text")
        .skip(1)
        .filter_map(|text| Some(shape(text.split_once('>')?.1.split('<').next()?)))
        .collect();
    texts.sort();
    texts
}
