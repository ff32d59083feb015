//! netns-link: names a container's network namespace under /run/netns, so that ip(8) knows it.
#![forbid(unsafe_code)]

mod cli;
mod plan;

use std::io::Write;
use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use common::netns::{self, Registry};
use common::target::{LinkName, Target};
use plan::Plan;

const TOOL: &str = "netns-link";

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let wanted: Cli = parse()?;
    if wanted.link_name.is_some() && wanted.targets.len() != 1 {
        return Err(Failure::trouble("--as", "one name serves one TARGET")
            .hint("netns-link TARGET --as NAME, once for each"));
    }
    let mut status = Status::Yes;
    let mut each = |result: Result<(), Failure>| {
        if let Err(failure) = result {
            failure::report(TOOL, &failure);
            status = status.max(failure.status);
        }
    };
    wanted.rm.iter().for_each(|name| each(unlink(name, &wanted)));
    wanted.targets.iter().for_each(|target| each(link(target, &wanted)));
    Ok(status)
}

/// Links one target and prints the path of its link.
fn link(target: &Target, wanted: &Cli) -> Result<(), Failure> {
    let found = wanted.find.find(TOOL, target)?;
    let name = match &wanted.link_name {
        Some(name) => name.clone(),
        None => plan::default_name(target, &found)?,
    };
    let netns = found.into_netns()?;
    let registry = Registry::open()?;
    let plan = Plan::make(&name, netns.identity(), registry.entry(&name)?)?;
    if plan == Plan::Link {
        registry.bind(&name, &netns)?;
    }
    say(wanted, format_args!("{name}: {netns}{}", if plan == Plan::Nothing { ", as before" } else { "" }));
    Ok(writeln!(std::io::stdout(), "{}", netns::path(&name).display())?)
}

fn unlink(name: &LinkName, wanted: &Cli) -> Result<(), Failure> {
    // Nothing is made, not even the directory, in order to find nothing in it.
    let removed = netns::entry(name)? != netns::Entry::Free && Registry::open()?.unbind(name)?;
    say(wanted, format_args!("{name}: {}", if removed { "removed" } else { "was gone already" }));
    Ok(())
}

fn say(wanted: &Cli, message: std::fmt::Arguments<'_>) {
    if wanted.find.verbose {
        failure::say(TOOL, message);
    }
}
