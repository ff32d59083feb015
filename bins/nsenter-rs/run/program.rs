//! Starts the program: in our place, or as a child where only a child is in the PID namespace that was joined.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use common::failure::Failure;
use nix::errno::Errno;

use crate::enter::apply::EnteredTarget;
use crate::enter::lookup::DEFAULT_PATH;
use crate::habits;
use crate::identity::passwd::users_shell;
use crate::plan::Plan;
use crate::run::parent_death::ParentDeathSignal;
use crate::run::prompt::Prompt;
use crate::run::pty::Pty;
use crate::run::reap::{self, EndPipe, EndReader};
use crate::run::script;
use crate::run::streams::Streams;
use crate::run::supervise::{self, ShadowTasks};
use crate::status::{not_run, not_run_on_host};
use crate::wanted::Wanted;

/// Runs the program of `wanted`, or the user's shell when there is none, and gives its exit status. A `parent` is what
/// ties us to a parent of our own.
pub fn run(
    wanted: &Wanted,
    plan: &Plan,
    mut inside: EnteredTarget,
    parent: Option<&ParentDeathSignal>,
    pty: Option<Pty>,
) -> Result<ExitCode, Failure> {
    let tied = |parent: Option<&ParentDeathSignal>| {
        parent.filter(|_| plan.kill_child).map_or(Ok(()), ParentDeathSignal::arm)
    };
    // Signals that are sent to a whole process group are not for us to pass on.
    let alone = parent.is_none();
    // With a terminal of its own the program has nothing of the host open.
    let held = plan.fence.is_some() && pty.is_none();
    let streams = if held { Streams::of_ours()? } else { Streams::default() };
    let report = if plan.reaps && pty.is_none() { Some(EndPipe::open()?) } else { None };
    let lowered = plan.is_lowered_before();
    if lowered {
        inside.lower()?;
    }
    let mut start = |parent: Option<&ParentDeathSignal>, report: Option<EndPipe>| {
        inside.show_procfs()?;
        if lowered {
            inside.credentials.go_in()?
        } else {
            inside.take_on()?
        }
        let become_it = |inside: &mut EnteredTarget, parent: Option<&ParentDeathSignal>| {
            if let Some(ready) = &inside.ready {
                ready.set_user();
            }
            tied(parent)?;
            Ok(exec(wanted, plan, inside))
        };
        if !plan.reaps {
            return become_it(&mut inside, parent);
        }
        if report.is_none() {
            tied(parent)?;
        }
        reap::parent_of(alone, plan.kill_child, report, |parent| become_it(&mut inside, Some(parent)))
    };
    if !plan.fork && streams.is_empty() {
        return start(parent, None);
    }
    tied(parent)?;
    let Some(pty) = pty else {
        // Each side of the fork takes its own ends.
        let ends = Cell::new((streams, report));
        let beside = || {
            let (streams, report) = ends.take();
            let reported = report.map_or_else(EndReader::none, EndPipe::heard_here);
            ShadowTasks { carrier: streams.carrier(), reported }
        };
        return supervise::child(alone, beside, |parent| {
            let (streams, report) = ends.take();
            streams.take()?;
            drop(streams);
            start(Some(parent), report)
        });
    };
    pty.child(|parent| start(Some(parent), None))
}

/// Becomes the program; what comes back is why not.
fn exec(wanted: &Wanted, plan: &Plan, inside: &mut EnteredTarget) -> ExitCode {
    if let Some(ready) = inside.ready.take() {
        let name = ready.name().to_owned();
        return not_run_of_host(wanted, plan, &name, &ready.run());
    }
    let (name, error) = match wanted.program.split_first() {
        Some((name, arguments)) => (name.clone(), found(name, arguments, inside)),
        None => shell(wanted, plan, inside),
    };
    let hint = habits::hint(&error, plan, &wanted.command_line);
    not_run(Path::new(&name), &error, hint)
}

/// Becomes the program, or the shell that runs it; what comes back is why not.
fn found(name: &OsStr, arguments: &[OsString], inside: &EnteredTarget) -> io::Error {
    let error = command(name, inside).args(arguments).exec();
    if error.raw_os_error() != Some(Errno::ENOEXEC as i32) {
        return error;
    }
    let path = inside.environment().into_iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or(DEFAULT_PATH.into(), |(_, path)| path);
    if let Some(file) = script::found(name, &path) {
        let shell = command(OsStr::new(script::SHELL), inside).arg(file).args(arguments).exec();
        return if shell.kind() == io::ErrorKind::NotFound { error } else { shell };
    }
    error
}

/// Says that a program of the host which was typed cannot be run, with what helps.
pub fn not_run_of_host(wanted: &Wanted, plan: &Plan, name: &Path, error: &io::Error) -> ExitCode {
    not_run_on_host(name, error, habits::hint(error, plan, &wanted.command_line))
}

/// The user's shell, as a login shell; where we went there may be no such shell, but there is always sh.
fn shell(wanted: &Wanted, plan: &Plan, inside: &EnteredTarget) -> (OsString, io::Error) {
    let shell = users_shell(inside.environment.as_deref(), plan.changes_root());
    let prompt = wanted.target.as_ref().and_then(|target| Prompt::of(&target.to_string()));
    let error = login(&shell, inside, prompt.as_ref()).exec();
    if error.kind() != io::ErrorKind::NotFound || shell == "/bin/sh" {
        return (shell, error);
    }
    (OsString::from("/bin/sh"), login(OsStr::new("/bin/sh"), inside, prompt.as_ref()).exec())
}

fn login(shell: &OsStr, inside: &EnteredTarget, prompt: Option<&Prompt>) -> Command {
    let name = Path::new(shell).file_name().unwrap_or(shell);
    let mut command = command(shell, inside);
    command.arg0(OsString::from_vec([b"-", name.as_bytes()].concat()));
    if let Some(prompt) = prompt {
        prompt.show(Path::new(shell), &inside.environment(), &mut command);
    }
    command
}

// exec through std and not through nix: std takes back that Rust programs start with SIGPIPE ignored, which
// every program we run would inherit.
fn command(name: &OsStr, inside: &EnteredTarget) -> Command {
    let mut command = Command::new(name);
    if let Some(theirs) = &inside.environment {
        command.env_clear().envs(theirs.iter().map(|(name, value)| (name, value)));
    }
    command
}
