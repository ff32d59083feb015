//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

#[allow(rustdoc::broken_intra_doc_links, reason = "help texts put what is optional into brackets")]
mod cli;
mod each;
mod enter;
mod explain;
mod habits;
mod host_tools;
mod identity;
mod judge;
mod memory;
mod notes;
mod plan;
mod run;
mod status;
mod steps;
mod tool;
mod unreadable;
mod wanted;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use enter::apply;
use enter::sealed::{self, SealedCopy};
use enter::snapshot;
use enter::source::EntrySource;
use host_tools::{HostTools, KitLifetime, NotOpened, Trust};
use identity::fence::Fence;
use nix::fcntl::OFlag;
use plan::Plan;
use run::parent_death::ParentDeathSignal;
use run::pty::Pty;
use status::OWN_FAILURE;
use tool::{MANUAL, TOOL};
use wanted::words::as_clap_reads_them;
use wanted::{CommandLine, Wanted};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(status) = host_tools::shim::program_behind_our_name(&words) {
        return status;
    }
    let typed = CommandLine::from(words);
    parse_from(MANUAL, as_clap_reads_them(typed.words().iter().cloned()))
        .and_then(|cli| enter_and_run(&cli, &typed))
        .unwrap_or_else(|failure| {
            failure::report(TOOL, &failure);
            ExitCode::from(OWN_FAILURE)
        })
}

fn enter_and_run(cli: &Cli, typed: &CommandLine) -> Result<ExitCode, Failure> {
    let has_target = cli.target.is_some() || cli.each.each.is_some();
    let wanted = Wanted::new(cli, typed)
        .map_err(|failure| if has_target { failure } else { habits::without_target(typed, failure) })?;
    habits::refuse(&wanted)?;
    match &wanted.each {
        Some(each) => {
            if wanted.comes_near_target() {
                seal(wanted.host_tools, &wanted);
            }
            each::run(each, &wanted, |source, parent| enter(source, &wanted, Some(parent)))
        }
        None => enter(EntrySource::open(&wanted)?, &wanted, None),
    }
}

/// Enters, in the same way for one TARGET and for each of many.
fn enter(
    source: EntrySource,
    wanted: &Wanted,
    parent: Option<&ParentDeathSignal>,
) -> Result<ExitCode, Failure> {
    if wanted.explains {
        return explain::explain(wanted, &source);
    }
    let (snapshot, shield) = snapshot::take(&source, wanted)?;
    let plan = Plan::make(wanted, &snapshot);
    if plan.sealed && parent.is_none() {
        seal(plan.host_tools.is_some(), wanted);
    }
    notes::say(&plan, wanted, &source)?;
    let pty = if plan.pty { Some(Pty::open()?) } else { None };
    if let Some(pty) = &pty {
        pty.give(&plan, &source);
    }
    let host_tools = match host_tools(&plan, wanted, &source) {
        Ok(host_tools) => host_tools,
        Err(NotOpened::Failed(failure)) => return Err(failure),
        Err(NotOpened::Program(name, error)) => {
            return Ok(run::program::not_run_of_host(wanted, &plan, Path::new(&name), &error));
        }
    };
    let inside = apply::enter(&plan, source, host_tools, shield)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "the container's seccomp filter is not applied to the program");
    }
    run::program::run(wanted, &plan, inside, parent, pty)
}

/// Starts us again from a copy that no process can write to; goes on if we are that copy.
fn seal(takes_tools: bool, wanted: &Wanted) {
    let copy = if takes_tools { SealedCopy::SameFile } else { SealedCopy::InMemory };
    sealed::run_from(copy, wanted.command_line.words());
}

/// What is taken along of the host, where the program is to be the host's in another root.
fn host_tools(plan: &Plan, wanted: &Wanted, source: &EntrySource) -> Result<Option<HostTools>, NotOpened> {
    let Some(mode) = plan.host_tools else { return Ok(None) };
    let trust = Trust::of(wanted);
    // Without a process it cannot be known what the container may do.
    if trust != Trust::All && plan.fence.is_none() {
        return Err(NotOpened::Failed(judge::refused::unfenced()));
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = || source.process().ok()?.open_file("root", flags).ok();
    let target = if trust == Trust::Programs { root() } else { None };
    let host_tools = HostTools::open(mode, &wanted.program, trust, target, KitLifetime::Kept)?;
    let called = wanted.target.as_ref().map(ToString::to_string);
    let power = plan.fence.as_ref().map(Fence::power);
    let refused = power.and_then(|power| host_tools.refused(power, called.as_deref()));
    refused.map_or(Ok(Some(host_tools)), |refused| Err(NotOpened::Failed(refused)))
}
