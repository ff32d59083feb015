//! What is said on standard error before the program runs: where it runs, and with `--verbose` what was found.

use common::failure::{Failure, say as tell};
use common::namespace::NamespaceKind;
use common::output::one_line;
use common::view::Resolver;

use crate::enter::apply::opens_host;
use crate::enter::source::EntrySource;
use crate::habits;
use crate::identity::label::Module;
use crate::plan::{Plan, Tracer};
use crate::tool::TOOL;
use crate::wanted::Wanted;

/// What fits in a line.
const MOST_NAMED: usize = 5;

const TRUSTED: &str = "--trust-target: the container's files decide what the program loads and runs, and it has all capabilities and files of the caller";

const PRIVILEGED: &str = "the container is privileged (CAP_SYS_ADMIN): its root can take over the program and the host, with or without -H";

/// Says it.
pub fn say(plan: &Plan, wanted: &Wanted, source: &EntrySource) -> Result<(), Failure> {
    if let Some(note) = habits::note(wanted, plan) {
        tell(TOOL, note);
    }
    let sees_host = plan.joins(NamespaceKind::Pid) && !plan.changes_root();
    if let Some(exposure) = plan.exposure.as_ref().filter(|exposure| sees_host && !exposure.is_safe()) {
        opens_host(exposure);
    }
    if plan.host_tools.is_some() && wanted.trust_target {
        tell(TOOL, TRUSTED);
    }
    if let Some(fence) = &plan.fence {
        fence.openings().for_each(|line| tell(TOOL, line));
        if fence.is_ineffective() {
            tell(TOOL, PRIVILEGED);
        } else {
            tracers(&plan.tracers);
        }
    }
    if !wanted.find.verbose {
        return Ok(());
    }
    if wanted.follow_context && !Module::SELinux.is_on() {
        tell(TOOL, "SELinux is not in use: there is no context to follow");
    }
    for &kind in wanted.namespaces.keys().filter(|kind| !wanted.all && !plan.joins(**kind)) {
        tell(TOOL, format_args!("already in {kind}:[{}]", source.identity(kind)?.inode));
    }
    names(plan, source)?;
    if plan.comes_near_target() {
        match &plan.exposure {
            Some(exposure) if sees_host && !exposure.is_safe() => {}
            Some(exposure) => tell(TOOL, exposure),
            None => {
                tell(TOOL, "it is not known whether processes of the container can read or trace the program")
            }
        }
    }
    for note in source.resolver().into_iter().flat_map(Resolver::notes) {
        tell(TOOL, note);
    }
    if let Some(mode) = plan.host_tools {
        tell(TOOL, format_args!("--host-tools: {mode}"));
    }
    Ok(())
}

/// Processes that could trace the program although it cannot be read: `docker exec --privileged`, or an operator's tool.
fn tracers(all: &[Tracer]) {
    let name = |tracer: &Tracer| format!("{} ({})", tracer.pid, one_line(&tracer.name));
    let named = all.iter().take(MOST_NAMED).map(name);
    let named = named.collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => {}
        1..=MOST_NAMED => tell(
            TOOL,
            format_args!(
                "a process in the same PID namespace has CAP_SYS_PTRACE and can take over the program: {named}"
            ),
        ),
        all => {
            let more = all - MOST_NAMED;
            tell(
                TOOL,
                format_args!(
                    "processes in the same PID namespace have CAP_SYS_PTRACE and can take over the program: {named} and {more} more"
                ),
            );
        }
    }
}

/// What the namespaces of the plan can be named by, besides a file.
fn names(plan: &Plan, source: &EntrySource) -> Result<(), Failure> {
    for &kind in plan.join.kinds() {
        if let Some(handle) = source.handle(kind)? {
            let inode = source.identity(kind)?.inode;
            tell(TOOL, format_args!("{kind}:[{inode}] has the ID {}, the handle {handle}", handle.id()));
        }
    }
    Ok(())
}
