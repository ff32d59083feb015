//! What is said on standard error before the program runs: where it runs, and with `--verbose` what was found.

use common::failure::{Failure, say as tell};
use common::view::Resolver;

use crate::TOOL;
use crate::cli::Cli;
use crate::habits;
use crate::label::Module;
use crate::plan::Plan;
use crate::source::Source;
use crate::wanted::Wanted;

const OPENS_THE_HOST: &str = "while the program runs, processes of the container can reach the host's files through \
                              it: -m gives it the container's, and without -p they do not see it";

/// Says it.
pub fn say(plan: &Plan, wanted: &Wanted, source: &Source, cli: &Cli) -> Result<(), Failure> {
    if let Some(note) = habits::note(cli, wanted, plan) {
        tell(TOOL, note);
    }
    if plan.opens_host {
        tell(TOOL, OPENS_THE_HOST);
    }
    if !cli.find.verbose {
        return Ok(());
    }
    if cli.identity.follow_context && !Module::SELinux.is_on() {
        tell(TOOL, "SELinux is not in use here: there is no context to follow");
    }
    for &kind in wanted.namespaces.keys().filter(|kind| !wanted.all && !plan.joins(**kind)) {
        tell(TOOL, format_args!("{kind}:[{}] is ours already", source.identity(kind)?.inode));
    }
    names(plan, source)?;
    if plan.comes_near_target() {
        match plan.exposure {
            Some(exposure) => tell(TOOL, exposure),
            None => tell(
                TOOL,
                "nobody can tell whether processes of the container could take hold of the program",
            ),
        }
    }
    for note in source.resolver().into_iter().flat_map(Resolver::notes) {
        tell(TOOL, note);
    }
    if let Some(way) = plan.host_tools {
        tell(TOOL, format_args!("--host-tools: {way}"));
    }
    Ok(())
}

/// What the namespaces of the plan can be named by, besides a file.
fn names(plan: &Plan, source: &Source) -> Result<(), Failure> {
    for &kind in plan.join.kinds() {
        if let Some(handle) = source.handle(kind)? {
            let inode = source.identity(kind)?.inode;
            tell(TOOL, format_args!("{kind}:[{inode}] has the ID {}, the handle {handle}", handle.id()));
        }
    }
    Ok(())
}
