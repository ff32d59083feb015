//! nsenter-rs: runs a program of the host in the namespaces of a process or container.
#![forbid(unsafe_code)]

mod apply;
mod beside;
mod capabilities;
mod cgroup;
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
mod hardening;
mod host_tools;
mod label;
mod limits;
mod passwd;
mod plan;
mod pty;
mod refused;
mod rules;
mod run;
mod sealed;
mod source;
mod steps;
mod supervise;
mod view;
mod wanted;
mod words;

use std::path::Path;
use std::process::ExitCode;

use cli::Cli;
use common::cli::parse_from;
use common::failure::{self, Failure};
use common::namespace::Kind;
use common::view::Resolver;
use exposure::Exposure;
use host_tools::{HostTools, NotOpened};
use label::Module;
use plan::Plan;
use pty::Pty;
use source::Source;
use supervise::Leash;
use wanted::Wanted;

const TOOL: &str = "nsenter-rs";

/// Statuses other than this one belong to the program that we run, as in util-linux.
const OWN_FAILURE: u8 = 1;

const OPENS_THE_HOST: &str = "note: while the program runs, processes of the container can reach the host's files through \
                              it: -m gives it the container's, and without -p they do not see it";

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
    let wanted = Wanted::new(cli)?;
    match &wanted.each {
        Some(pattern) => {
            if wanted.comes_near_target() && !wanted.host_tools {
                sealed::run_from_copy();
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
    if let Some(note) = plan.note {
        failure::say(TOOL, note);
    }
    if cli.find.verbose && cli.identity.follow_context && !Module::SELinux.is_on() {
        failure::say(TOOL, "SELinux is not in use here: there is no context to follow");
    }
    if cli.find.verbose {
        names(&plan, &source)?;
    }
    if cli.find.verbose && plan.comes_near_target() {
        failure::say(TOOL, source.exposure(wanted)?);
    }
    for note in source.resolver().filter(|_| cli.find.verbose).into_iter().flat_map(Resolver::notes) {
        failure::say(TOOL, note);
    }
    // Host tools are for where nobody reaches us, and children are to find us in the file that we came from.
    let alone = leash.is_none() && plan.host_tools.is_none();
    if alone && plan.comes_near_target() && may_be_reached(&source, wanted, &plan) {
        sealed::run_from_copy();
    }
    let pty = if plan.pty { Some(Pty::open()?) } else { None };
    if let Some(pty) = &pty {
        pty.give(&plan, &source);
    }
    if let (true, Some(way)) = (cli.find.verbose, plan.host_tools) {
        failure::say(TOOL, format_args!("--host-tools: {way}"));
    }
    let host_tools = match host_tools(&plan, wanted, &source) {
        Ok(host_tools) => host_tools,
        Err(NotOpened::Failed(failure)) => return Err(failure),
        Err(NotOpened::Program(name, error)) => return Ok(run::not_run_on_host(Path::new(&name), &error)),
    };
    if weakened_in_hosts_root(&plan, &source, wanted) {
        failure::say(TOOL, OPENS_THE_HOST);
    }
    let inside = apply::enter(&plan, source, host_tools)?;
    if plan.confinement.as_ref().is_some_and(|confinement| confinement.seccomp) {
        failure::say(TOOL, "note: the container's seccomp filter is not applied to the program");
    }
    run::program(&wanted.program, &plan, inside, leash, pty)
}

/// Whether somebody in there may take hold of us; where nobody can tell, as of a namespace without its process, they
/// may. So may a program of the container, which can have our file run once more and then show it to whom it likes; but
/// for one that can do all there is to do on this machine, and needs no file of ours for it.
fn may_be_reached(source: &Source, wanted: &Wanted, plan: &Plan) -> bool {
    source.standing(wanted).map_or(true, |standing| {
        !Exposure::of(&standing).is_safe() || (plan.changes_root() && !standing.is_all_powerful())
    })
}

/// Whether the program gets the host's files, the container's processes to look at it, and no power that would keep
/// them from it: its `/proc/PID/root` leads them to the host then.
fn weakened_in_hosts_root(plan: &Plan, source: &Source, wanted: &Wanted) -> bool {
    plan.joins(Kind::Pid)
        && !plan.changes_root()
        && source.standing(wanted).is_ok_and(|standing| Exposure::of(&standing) == Exposure::NoStronger)
}

/// What is taken along of the host, where the program is to be the host's in another root.
fn host_tools(plan: &Plan, wanted: &Wanted, source: &Source) -> Result<Option<HostTools>, NotOpened> {
    let Some(way) = plan.host_tools else { return Ok(None) };
    if !wanted.trust_target {
        let nobody = |_| {
            let why = "without a TARGET nobody can tell whether its processes could read the host's files";
            NotOpened::Failed(Failure::trouble("--host-tools", why).hint("-t NAME, or --trust-target"))
        };
        source.process().map_err(nobody)?;
        let exposure = source.exposure(wanted).map_err(NotOpened::Failed)?;
        if !exposure.is_safe() {
            let refused = Failure::trouble("--host-tools", exposure);
            return Err(NotOpened::Failed(refused.hint(
                "without -p no process of the container sees the program; --trust-target if it may read the host",
            )));
        }
    }
    HostTools::open(way, &wanted.program).map(Some)
}

/// Says what the namespaces of the plan can be named by, besides a file.
fn names(plan: &Plan, source: &Source) -> Result<(), Failure> {
    for &kind in plan.join.kinds() {
        if let Some(handle) = source.handle(kind)? {
            let inode = source.identity(kind)?.inode;
            failure::say(
                TOOL,
                format_args!("{kind}:[{inode}] has the ID {}, the handle {handle}", handle.id()),
            );
        }
    }
    Ok(())
}
