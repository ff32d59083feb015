//! The prompt of a shell that was started without a PROGRAM: it shows which container it is in. No file is written, and the
//! shell reads all of the user's own files first.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// The variable that programs which make their own prompt can read.
const VARIABLE: &str = "NSENTER_RS_TARGET";

/// What is shown before the prompt; `None` where nobody sees one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    target: String,
}

impl Prompt {
    /// For a shell in `target`, as it was typed, if the shell's input and messages are a terminal's.
    pub fn of(target: &str) -> Option<Prompt> {
        let is_seen = io::stdin().is_terminal() && io::stderr().is_terminal();
        is_seen.then(|| Prompt { target: harmless(target) })
    }

    /// Has `shell` show it. What it inherits of `environment` is kept.
    ///
    /// Variables for the prompt itself would be set by the files that the shell reads at its start. Those here come
    /// after these files: `PROMPT_COMMAND` of bash(1) before each prompt, `ENV` of dash(1), ash and ksh(1) after the profile
    /// (POSIX, sh, ENVIRONMENT VARIABLES), `--init-command` of fish(1) after its configuration. zsh(1) has nothing of that kind: it
    /// gets the prompt at the right, RPS1, which few files set.
    pub fn show(&self, shell: &Path, environment: &[(OsString, OsString)], command: &mut Command) {
        let before = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let target = &self.target;
        command.env(VARIABLE, target);
        match shell.file_name().and_then(OsStr::to_str) {
            Some("bash") => {
                let mut run = OsString::from(in_front(target));
                if let Some(theirs) = before("PROMPT_COMMAND").filter(|theirs| !theirs.is_empty()) {
                    run = [theirs.as_os_str(), OsStr::new("\n"), &run].into_iter().collect();
                }
                command.env("PROMPT_COMMAND", run);
            }
            Some("zsh") => {
                command.env("RPS1", format!("({target})"));
            }
            Some("fish") => {
                command.args(["--init-command", &of_fish(target)]);
            }
            _ => {
                if let Ok(file) = startup_file(target, before("ENV").map(OsString::as_os_str)) {
                    command.env("ENV", file);
                }
            }
        }
    }
}

/// Characters that no shell and no prompt takes for anything but themselves.
fn harmless(target: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
    target.chars().take(64).map(|c| if plain(c) { c } else { '?' }).collect()
}

/// Puts the target before the prompt, if it is not there yet.
fn in_front(target: &str) -> String {
    format!("case $PS1 in '({target}) '*) ;; *) PS1='({target}) '\"$PS1\" ;; esac")
}

fn of_fish(target: &str) -> String {
    format!(
        "functions --query fish_prompt; and functions --copy fish_prompt nsenter_rs_prompt; \
         function fish_prompt; echo -n '({target}) '; functions --query nsenter_rs_prompt; and nsenter_rs_prompt; end"
    )
}

/// A file in memory that the shell reads as the one that `ENV` names: first the user's, if there is one, then the prompt.
fn startup_file(target: &str, users: Option<&OsStr>) -> io::Result<OsString> {
    // Not closed at exec: the shell opens it by its number.
    let mut file = File::from(memfd_create("prompt", MFdFlags::empty())?);
    let number = file.as_raw_fd();
    let theirs = match users.and_then(OsStr::to_str).filter(|users| !users.is_empty()) {
        Some(users) => format!("ENV='{}'; [ -r \"$ENV\" ] && . \"$ENV\"\n", users.replace('\'', r"'\''")),
        None => "unset ENV\n".to_owned(),
    };
    // dash takes 10 and more in `exec 10<&-` for a command.
    let close = if number < 10 { format!("exec {number}<&-\n") } else { String::new() };
    let text = format!("{theirs}{}\n{close}", in_front(target));
    file.write_all(text.as_bytes())?;
    std::mem::forget(file);
    Ok(format!("/proc/self/fd/{number}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_more_than_text_for_a_shell() {
        assert_eq!(harmless("docker:web-1.a"), "docker:web-1.a");
        assert_eq!(harmless("a'$(reboot)%\\\n"), "a???reboot????");
        assert!(harmless(&"a".repeat(1000)).len() <= 64);
    }
}
