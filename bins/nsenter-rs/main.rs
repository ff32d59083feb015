//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod beside;
mod capabilities;
mod cgroup;
#[allow(rustdoc::broken_intra_doc_links, reason = "help texts put what is optional into brackets")]
mod cli;
mod confine;
mod credentials;
mod descriptors;
mod each;
mod elsewhere;
mod environment;
mod explain;
mod exposure;
mod facts;
mod fence;
mod habits;
mod hardening;
mod host_tools;
mod label;
mod limits;
mod memory;
mod notes;
mod passwd;
mod place;
mod plan;
mod pty;
mod reap;
mod refused;
mod rules;
mod run;
mod script;
mod sealed;
mod seccomp;
mod source;
mod status;
mod steps;
mod streams;
mod supervise;
mod tool;
mod unreadable;
mod view;
mod wanted;
mod words;

use std::path::Path;
use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use fence::Fence;
use host_tools::{HostTools, Keep, NotOpened, Trust};
use nix::fcntl::OFlag;
use plan::Plan;
use pty::Pty;
use sealed::Copy;
use source::Source;
use status::OWN_FAILURE;
use supervise::Leash;
use tool::TOOL;
use wanted::Wanted;

fn main() -> ExitCode {
    if let Some(status) = host_tools::shim::program_behind_our_name() {
        return status;
    }
    parse_from(words::as_clap_reads_them(std::env::args_os()))
        .and_then(|cli| enter_and_run(&cli))
        .unwrap_or_else(|failure| {
            failure::report(TOOL, &failure);
            ExitCode::from(OWN_FAILURE)
        })
}

fn enter_and_run(cli: &Cli) -> Result<ExitCode, Failure> {
    let wanted = Wanted::new(cli).map_err(|failure| habits::without_target(cli, failure))?;
    habits::refuse(cli, &wanted)?;
    match &wanted.each {
        Some(pattern) => {
            if wanted.comes_near_target() {
                sealed::run_from(if wanted.host_tools { Copy::SameFile } else { Copy::InMemory });
            }
            each::run(cli, &wanted, pattern, |source, leash| enter(source, &wanted, cli, Some(leash)))
        }
        None => enter(Source::open(cli, &wanted)?, &wanted, cli, None),
    }
}

/// The way in, the same for one TARGET and for each of many.
fn enter(source: Source, wanted: &Wanted, cli: &Cli, leash: Option<&Leash>) -> Result<ExitCode, Failure> {
    if cli.running.explain {
        return explain::explain(cli, wanted, &source);
    }
    let plan = Plan::make(wanted, &source.snapshot(wanted)?);
    if plan.sealed && leash.is_none() {
        sealed::run_from(if plan.host_tools.is_some() { Copy::SameFile } else { Copy::InMemory });
    }
    notes::say(&plan, wanted, &source, cli)?;
    let pty = if plan.pty { Some(Pty::open()?) } else { None };
    if let Some(pty) = &pty {
        pty.give(&plan, &source);
    }
    let called = cli.target.as_ref().map(ToString::to_string);
    let host_tools = match host_tools(&plan, wanted, &source, called.as_deref()) {
        Ok(host_tools) => host_tools,
        Err(NotOpened::Failed(failure)) => return Err(failure),
        Err(NotOpened::Program(name, error)) => {
            return Ok(run::typed_not_run_on_host(Path::new(&name), &error, &plan));
        }
    };
    let inside = apply::enter(&plan, source, host_tools)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "the container's seccomp filter is not applied to the program");
    }
    run::program(&wanted.program, &plan, inside, leash, pty)
}

/// What is taken along of the host, where the program is to be the host's in another root.
fn host_tools(
    plan: &Plan,
    wanted: &Wanted,
    source: &Source,
    called: Option<&str>,
) -> Result<Option<HostTools>, NotOpened> {
    let Some(way) = plan.host_tools else { return Ok(None) };
    let trust = Trust::of(wanted);
    // Where there is no process, nobody can tell what the container may do.
    if trust != Trust::All && plan.fence.is_none() {
        return Err(NotOpened::Failed(refused::unfenced()));
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = || source.process().ok()?.open_file("root", flags).ok();
    let target = if trust == Trust::Programs { root() } else { None };
    let host_tools = HostTools::open(way, &wanted.program, trust, target, Keep::Kept)?;
    let power = plan.fence.as_ref().map(Fence::power);
    let refused = power.and_then(|power| host_tools.refused(power, called));
    refused.map_or(Ok(Some(host_tools)), |refused| Err(NotOpened::Failed(refused)))
}
