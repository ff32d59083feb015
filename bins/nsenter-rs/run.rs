//! Starts the program: in our place, or as a child where only a child is in the PID namespace that was joined.

use std::cell::Cell;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use common::failure::{Failure, report};
use common::hint::Hint;
use nix::errno::Errno;
use nix::unistd::{User, getuid};

use crate::apply::Inside;
use crate::habits;
use crate::passwd;
use crate::plan::Plan;
use crate::pty::Pty;
use crate::reap::{self, Report, Reported};
use crate::script;
use crate::streams::Streams;
use crate::supervise::{self, Beside, Leash};
use crate::tool::TOOL;

/// What shells say of a program that is there but cannot be run, and of one that is not there.
pub const CANNOT_RUN: u8 = 126;
pub const NOT_FOUND: u8 = 127;

/// What confstr(3) gives for _CS_PATH, which exec goes by where there is no $PATH.
pub const DEFAULT_PATH: &str = "/bin:/usr/bin";

const MISSING_ON_HOST: &str = "no such program on the host";

/// Runs `program`, or the user's shell when there is none, and gives its exit status. A `leash` is what ties us to
/// a parent of our own.
pub fn program(
    program: &[OsString],
    plan: &Plan,
    mut inside: Inside,
    leash: Option<&Leash>,
    pty: Option<Pty>,
) -> Result<ExitCode, Failure> {
    let tied = |leash: Option<&Leash>| leash.filter(|_| plan.kill_child).map_or(Ok(()), Leash::put_on);
    // Signals that are sent to a whole process group are not for us to pass on.
    let alone = leash.is_none();
    // With a terminal of its own the program has nothing of the host open.
    let held = plan.fence.is_some() && pty.is_none();
    let streams = if held { Streams::of_ours()? } else { Streams::default() };
    let report = if plan.reaps && pty.is_none() { Some(Report::open()?) } else { None };
    let lowered = plan.is_lowered_before();
    if lowered {
        inside.lower()?;
    }
    let mut start = |leash: Option<&Leash>, report: Option<Report>| {
        inside.look_around()?;
        if lowered {
            inside.credentials.go_in()?
        } else {
            inside.take_on()?
        }
        let become_it = |inside: &mut Inside, leash: Option<&Leash>| {
            if let Some(ready) = &inside.ready {
                ready.become_somebody();
            }
            tied(leash)?;
            Ok(exec(program, plan, inside))
        };
        if !plan.reaps {
            return become_it(&mut inside, leash);
        }
        if report.is_none() {
            tied(leash)?;
        }
        reap::parent_of(alone, plan.kill_child, report, |leash| become_it(&mut inside, Some(leash)))
    };
    if !plan.fork && streams.is_empty() {
        return start(leash, None);
    }
    tied(leash)?;
    let Some(pty) = pty else {
        // Each side of the fork takes its own ends.
        let ends = Cell::new((streams, report));
        let beside = || {
            let (streams, report) = ends.take();
            let reported = report.map_or_else(Reported::none, Report::heard_here);
            Beside { carrier: streams.carrier(), reported }
        };
        return supervise::child(alone, beside, |leash| {
            let (streams, report) = ends.take();
            streams.take()?;
            drop(streams);
            start(Some(leash), report)
        });
    };
    pty.child(|leash| start(Some(leash), None))
}

/// Becomes the program; what comes back is why not.
fn exec(program: &[OsString], plan: &Plan, inside: &mut Inside) -> ExitCode {
    if let Some(ready) = inside.ready.take() {
        let name = ready.name().to_owned();
        return typed_not_run_on_host(&name, &ready.run(), plan);
    }
    let (name, error) = match program.split_first() {
        Some((name, arguments)) => (name.clone(), found(name, arguments, inside)),
        None => shell(plan, inside),
    };
    let hint = habits::hint(&error, plan);
    not_run(Path::new(&name), &error, "no such program", hint)
}

/// Becomes the program, or the shell that runs it; what comes back is why not.
fn found(name: &OsStr, arguments: &[OsString], inside: &Inside) -> io::Error {
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

/// The same of a program that was looked for on the host.
pub fn not_run_on_host(name: &Path, error: &io::Error) -> ExitCode {
    not_run(name, error, MISSING_ON_HOST, None)
}

/// The same of one that was typed, with what helps.
pub fn typed_not_run_on_host(name: &Path, error: &io::Error, plan: &Plan) -> ExitCode {
    let hint = habits::hint(error, plan).filter(|hint| *hint != habits::FROM_THE_ROOT);
    not_run(name, error, MISSING_ON_HOST, hint)
}

/// Says why a program could not be run, and gives the status that shells give for that.
fn not_run(name: &Path, error: &io::Error, missing: &str, hint: Option<Hint>) -> ExitCode {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let why = if is_missing { missing.to_owned() } else { error.to_string() };
    let failure = Failure::trouble(name.display(), why);
    report(TOOL, &failure.hint(hint));
    ExitCode::from(if is_missing { NOT_FOUND } else { CANNOT_RUN })
}

/// The user's shell, as a login shell; where we went there may be no such shell, but there is always sh.
fn shell(plan: &Plan, inside: &Inside) -> (OsString, io::Error) {
    let shell = users_shell(inside.environment.as_deref(), plan.changes_root());
    let error = login(&shell, inside).exec();
    if error.kind() != io::ErrorKind::NotFound || shell == "/bin/sh" {
        return (shell, error);
    }
    (OsString::from("/bin/sh"), login(OsStr::new("/bin/sh"), inside).exec())
}

/// What is run without a PROGRAM: $SHELL of the environment that the program gets, or the password file's.
pub fn users_shell(environment: Option<&[(OsString, OsString)]>, changes_root: bool) -> OsString {
    let chosen = match environment {
        Some(theirs) => theirs.iter().find(|(name, _)| name == "SHELL").map(|(_, shell)| shell.clone()),
        None => env::var_os("SHELL"),
    };
    let chosen = chosen.filter(|shell| !shell.is_empty());
    // On the host users may come from elsewhere than its password file.
    let of_passwd = || match changes_root {
        true => passwd::shell_of(getuid().as_raw()),
        false => User::from_uid(getuid()).ok()?.map(|user| user.shell.into_os_string()),
    };
    chosen.or_else(of_passwd).unwrap_or_else(|| OsString::from("/bin/sh"))
}

fn login(shell: &OsStr, inside: &Inside) -> Command {
    let name = Path::new(shell).file_name().unwrap_or(shell);
    let mut command = command(shell, inside);
    command.arg0(OsString::from_vec([b"-", name.as_bytes()].concat()));
    command
}

// exec through std and not through nix: std takes back that Rust programs start with SIGPIPE ignored, which
// every program we run would inherit.
fn command(name: &OsStr, inside: &Inside) -> Command {
    let mut command = Command::new(name);
    if let Some(theirs) = &inside.environment {
        command.env_clear().envs(theirs.iter().map(|(name, value)| (name, value)));
    }
    command
}
