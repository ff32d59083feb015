//! netns-link: names a container's network namespace under /run/netns, so that ip(8) knows it.
#![forbid(unsafe_code)]

mod apply;
mod cli;
mod links;
mod plan;
mod report;
mod state;

use std::collections::HashSet;
use std::process::ExitCode;

use apply::Wanted;
use cli::{Cli, Job};
use common::cli::parse;
use common::engine::Container;
use common::failure::{self, Failure, Status};
use common::find::{FindError, Found, hold, list};
use common::namespace::{Kind, own_identity};
use common::target::{LinkName, Target};
use links::{Link, Links, look};
use plan::{Plan, default_name};
use state::State;

const TOOL: &str = "netns-link";

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    let job = cli.job().map_err(|message| Failure {
        status: Status::Trouble,
        message: Some(message),
        hint: None,
    })?;
    match job {
        Job::Link(targets) => each(targets, |target| link(&target, &cli)),
        Job::LinkAll => link_all(&cli),
        Job::New(name) => apply::make(name).and_then(|()| report::path(name)).map(|()| Status::Yes),
        Job::Remove(words) => each(words, |word| remove(word, &cli)),
        Job::RemoveAll => remove_where(&cli, |_| true),
        Job::List => show(&cli, |_| true).map(|_| Status::Yes),
        Job::Check => check(&cli),
        Job::Prune => remove_where(&cli, |link| {
            matches!(link.state, State::Restarted | State::Pinned | State::Dangling)
        }),
        Job::Refresh => refresh(&cli),
    }
}

/// Does one thing after the other, says what went wrong with each, and ends with the worst.
fn each<T>(
    things: impl IntoIterator<Item = T>,
    mut act: impl FnMut(T) -> Result<(), Failure>,
) -> Result<Status, Failure> {
    let mut status = Status::Yes;
    for thing in things {
        match act(thing) {
            Err(failure) if failure.message.is_none() => return Err(failure),
            Err(failure) => {
                failure::report(TOOL, &failure);
                status = status.max(failure.status);
            }
            Ok(()) => {}
        }
    }
    Ok(status)
}

/// Links one target and prints the path of its link.
fn link(target: &Target, cli: &Cli) -> Result<(), Failure> {
    let found = cli.find.find(TOOL, target)?;
    let name = match &cli.link_name {
        Some(name) => name.clone(),
        None => default_name(target, found.container.as_ref())?,
    };
    link_found(&name, found, cli.force, cli)
}

fn link_found(name: &LinkName, found: Found, force: bool, cli: &Cli) -> Result<(), Failure> {
    let (container, process) = (found.container.clone(), found.process().and_then(Wanted::through));
    let wanted = Wanted { netns: found.into_netns()?, container, process };
    let plan = apply::link(name, &wanted, force)?;
    say(
        cli,
        format_args!("{name}: {}{}", wanted.netns, if plan == Plan::Nothing { ", as before" } else { "" }),
    );
    report::path(name)
}

/// Links every running container, each network namespace once, and never the host's.
fn link_all(cli: &Cli) -> Result<Status, Failure> {
    let listing = list(None, cli.find.engine_timeout)?;
    let troubles = each(listing.troubles, |trouble| Err(trouble.into()))?;
    let host = own_identity(Kind::Net)?.inode;
    let mut linked = HashSet::from([host]);
    let mut running: Vec<_> =
        listing.containers.into_iter().filter(|known| known.container.pid.is_some()).collect();
    // A pod's namespace is its sandbox's, whichever of its containers comes first.
    running.sort_by_key(|known| !known.container.pod.as_ref().is_some_and(|pod| pod.is_sandbox));
    running.retain(|known| known.process.netns_inode.is_none_or(|netns| linked.insert(netns)));
    let status = each(running, |known| link_container(known.container, cli))?;
    Ok(status.max(troubles))
}

fn link_container(container: Container, cli: &Cli) -> Result<(), Failure> {
    let name = default_name(&container.engine, Some(&container))?;
    link_found(&name, hold(container)?, cli.force, cli)
}

/// Removes the link of that name or, when there is none, the links of the container of that name or ID.
fn remove(word: &str, cli: &Cli) -> Result<(), Failure> {
    let name: LinkName =
        word.parse().map_err(|error| Failure::trouble(common::output::quotable(word), error))?;
    if apply::unlink(&name, cli.force)? {
        say(cli, format_args!("{name}: removed"));
        return Ok(());
    }
    for link in look(cli.find.engine_timeout)?.links {
        if is_of(&link, word) && apply::unlink(&link.name, false)? {
            say(cli, format_args!("{}: removed", link.name));
        }
    }
    Ok(())
}

fn is_of(link: &Link, word: &str) -> bool {
    let owner = link.record.as_ref().and_then(|record| record.container.as_ref());
    owner.is_some_and(|owner| {
        owner.name == word || owner.id == word || (word.len() >= 12 && owner.id.starts_with(word))
    })
}

fn remove_where(cli: &Cli, which: impl Fn(&Link) -> bool) -> Result<Status, Failure> {
    let links = certain(look(cli.find.engine_timeout)?)?;
    each(links.iter().filter(|link| link.is_ours() && which(link)), |link| {
        if apply::unlink(&link.name, false)? { report::path(&link.name) } else { Ok(()) }
    })
}

/// All links, if every engine could be asked: none is taken for dead because its engine is hung.
fn certain(links: Links) -> Result<Vec<Link>, Failure> {
    match links.troubles.into_iter().next() {
        Some(trouble) => Err(trouble.into()),
        None => Ok(links.links),
    }
}

fn show(cli: &Cli, which: impl Fn(&Link) -> bool) -> Result<Vec<Link>, Failure> {
    let looked = look(cli.find.engine_timeout)?;
    for trouble in looked.troubles {
        failure::report(TOOL, &trouble.into());
    }
    let shown: Vec<Link> = looked.links.into_iter().filter(which).collect();
    report::list(shown.iter(), cli.json)?;
    Ok(shown)
}

fn check(cli: &Cli) -> Result<Status, Failure> {
    let links = certain(look(cli.find.engine_timeout)?)?;
    let wrong: Vec<&Link> = links.iter().filter(|link| !link.state.is_good()).collect();
    if cli.json || !wrong.is_empty() {
        report::list(wrong.iter().copied(), cli.json)?;
    }
    Ok(if wrong.is_empty() { Status::Yes } else { Status::No })
}

fn refresh(cli: &Cli) -> Result<Status, Failure> {
    let links = certain(look(cli.find.engine_timeout)?)?;
    let stale = links
        .into_iter()
        .filter(|link| link.is_ours() && matches!(link.state, State::Restarted | State::Dangling));
    each(stale, |link| match link.container {
        Some(known) if known.container.pid.is_some() => {
            link_found(&link.name, hold(known.container)?, true, cli)
        }
        Some(known) => Err(FindError::NotRunning(Box::new(known.container)).into()),
        None => {
            Err(Failure::no(&link.name, "its container is gone")
                .hint(format!("netns-link --rm {}", link.name)))
        }
    })
}

fn say(cli: &Cli, message: std::fmt::Arguments<'_>) {
    if cli.find.verbose {
        failure::say(TOOL, message);
    }
}
