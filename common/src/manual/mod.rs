//! Shows a manual that is part of the program: with man(1), else as plain text.

mod plain;

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

use plain::plain;

use crate::sign::spelled;

/// What all tools share.
const COMMON: &str = include_str!("../../../man/netns-toolbox.7");

/// Shows `page`, and netns-toolbox(7) after it, both in roff(7) with the macros of man(7).
///
/// # Errors
/// Standard output cannot be written.
pub fn show(page: &str) -> io::Result<()> {
    let pages = format!("{page}\n{COMMON}");
    if with_man(&pages) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(spelled(&plain(&pages)).as_bytes())?;
    out.flush()
}

/// Whether man(1) has shown it. What cannot format it ends before it has printed anything.
fn with_man(pages: &str) -> bool {
    // mandoc's man(1) takes `-` for a name, and the minimal images of some distributions have a script that only says so.
    let formats = Command::new("man")
        .args(["-l", "-"])
        .env("MANPAGER", "cat")
        .env("MANWIDTH", "80")
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .and_then(|mut man| {
            drop(man.stdin.take().map(|mut stdin| stdin.write_all(b".TH PROOF 7\n.SH PROOF\nproof\n")));
            man.wait_with_output()
        })
        .is_ok_and(|ran| ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("proof"));
    if !formats {
        return false;
    }
    let mut man = Command::new("man");
    man.args(["-l", "-"]).stdin(Stdio::piped());
    if !io::stdout().is_terminal() {
        man.env("MANWIDTH", "80");
    }
    let Ok(mut man) = man.spawn() else { return false };
    // A reader that has seen enough closes the pipe.
    drop(man.stdin.take().map(|mut stdin| stdin.write_all(pages.as_bytes())));
    man.wait().is_ok_and(|status| status.success())
}
