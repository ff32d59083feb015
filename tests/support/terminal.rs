//! What a program shows on a terminal of so many columns: tmux(1) is the terminal.

use std::process::Command;

use crate::run::Run;
use crate::scratch::unique;
use crate::skip::{Missing, program};
use crate::until::until;

/// Long enough for everything that is shown.
const LINES: &str = "300";
/// Shown when the program has ended.
const END: &str = "end-of-it";

/// What was shown.
#[derive(Debug)]
pub struct Screen {
    /// Each line of the terminal.
    pub lines: Vec<String>,
    /// The lines that were too long for it, whole.
    pub wrapped: Vec<String>,
    /// Each line as the program wrote it, however long.
    pub written: Vec<String>,
}

impl Screen {
    /// Every word, in order.
    pub fn words(&self) -> Vec<&str> {
        self.lines.iter().flat_map(|line| line.split_whitespace()).collect()
    }
}

/// Runs a line of shell in a terminal of this width, to its end. `start` starts a program where the line is to run.
#[track_caller]
pub fn show(start: impl Fn(&str) -> Command, columns: usize, line: &str) -> Result<Screen, Missing> {
    program("tmux", "tmux")?;
    let socket = std::env::temp_dir().join(unique("tmux-"));
    let socket = socket.to_str().unwrap_or_default();
    let control = |words: &[&str]| {
        let mut tmux = start("tmux");
        tmux.args(["-S", socket, "-f", "/dev/null"]).args(words).env("TERM", "screen").run()
    };
    let script = format!("{line}; echo; echo {END}; exec sleep 1000");
    control(&["new-session", "-d", "-x", &columns.to_string(), "-y", LINES, &script]).ok();
    let shown = |words: &[&str]| {
        let text = control(&[&["capture-pane", "-p"], words].concat()).ok().stdout;
        let lines = text.lines().map(|line| line.trim_end().to_owned());
        lines.take_while(|line| line != END).collect::<Vec<_>>()
    };
    until("the program has ended", || {
        control(&["capture-pane", "-p"]).stdout.lines().any(|line| line == END)
    });
    let (mut lines, joined) = (shown(&[]), shown(&["-J"]));
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    control(&["kill-server"]).ok();
    let is_too_long = |line: &&String| line.chars().count() > columns;
    let wrapped = joined.iter().filter(is_too_long).cloned().collect();
    Ok(Screen { lines, wrapped, written: joined })
}
