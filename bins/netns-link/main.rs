//! netns-link: names a container's network namespace under /run/netns, so that ip(8) knows it.
#![forbid(unsafe_code)]

mod apply;
mod changes;
mod cli;
mod links;
mod plan;
mod report;
mod state;
mod tool;
mod watch;

use std::process::ExitCode;

use apply::Wanted;
use cli::{Cli, Job};
use common::cli::parse;
use common::failure::{self, Failure, Status};
use common::find::{FindError, hold, host_network, list};
use common::target::{LinkName, Target};
use links::{Link, Links, look};
use plan::{Plan, default_name, one_of_each, refuse_host};
use state::State;
use tool::TOOL;

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    let job = cli.job().map_err(|message| Failure::in_lines(Status::Trouble, &message))?;
    match job {
        Job::Link(targets) => each(targets, |target| link(&target, &cli)),
        Job::LinkAll => link_all(&cli),
        Job::New(name) => apply::make(name).and_then(|()| report::path(name)).map(|()| Status::Yes),
        Job::Remove(names) => each(names, |name| remove(&name, &cli)),
        Job::RemoveAll => remove_where(&cli, |_| true),
        Job::List => show(&cli, |_| true).map(|_| Status::Yes),
        Job::Check => check(&cli),
        Job::Prune => remove_where(&cli, |link| {
            matches!(link.state, State::Restarted | State::Pinned | State::Dangling)
        }),
        Job::Refresh => refresh(&cli),
        Job::Watch => watch::watch(&cli),
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
            Err(failure) if failure.is_already_said() => return Err(failure),
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
    let found = cli.find.find_to_act(TOOL, target)?;
    let name = match &cli.link_name {
        Some(name) => name.clone(),
        None => default_name(target, found.container.as_ref())?,
    };
    let wanted = Wanted::of(found)?;
    if !cli.host && wanted.netns.identity() == host_network()? {
        return Err(refuse_host(target));
    }
    let plan = apply::link(&name, &wanted, cli.force)?;
    let as_before = if plan == Plan::Nothing { ", as before" } else { "" };
    say(cli, format_args!("{name}: {}{as_before}", wanted.netns));
    report::path(&name)
}

/// Links every running container, each network namespace once, and never the host's.
fn link_all(cli: &Cli) -> Result<Status, Failure> {
    let listing = list(None, cli.find.engine_timeout)?;
    let troubles = each(listing.errors, |trouble| Err(trouble.into()))?;
    let host = host_network()?;
    let status = each(one_of_each(&listing.containers, Some(host)), |known| {
        let name = default_name(&known.container.target(), Some(&known.container))?;
        let wanted = Wanted::of(hold(known.container.clone())?)?;
        apply::link(&name, &wanted, cli.force)?;
        say(cli, format_args!("{name}: {}", wanted.netns));
        report::path(&name)
    })?;
    Ok(status.max(troubles))
}

/// Removes the link of that name or, when there is none, the links of the container of that name or ID.
fn remove(name: &LinkName, cli: &Cli) -> Result<(), Failure> {
    if apply::unlink(name, cli.force)? {
        say(cli, format_args!("{name}: removed"));
        return Ok(());
    }
    let mut removed = false;
    for link in look(cli.find.engine_timeout)?.links {
        if is_of(&link, name.as_str()) && apply::unlink_exactly(&link)? {
            say(cli, format_args!("{}: removed", link.name));
            removed = true;
        }
    }
    if !removed {
        say(cli, format_args!("{name}: was gone already"));
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
        if apply::unlink_exactly(link)? { report::path(&link.name) } else { Ok(()) }
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
    let host = host_network()?;
    each(stale, |link| match &link.container {
        Some(known) if known.container.pid.is_some() => {
            let wanted = Wanted::of(hold(known.container.clone())?)?;
            if !cli.host && wanted.netns.identity() == host {
                return Err(refuse_host(&link.name));
            }
            if apply::relink(&link, &wanted)? { report::path(&link.name) } else { Ok(()) }
        }
        Some(known) => Err(FindError::NotRunning(Box::new(known.container.clone())).into()),
        None => Err(Failure::no(&link.name, "its container is gone")
            .hint(common::hint!("netns-link --rm {}", link.name))),
    })
}

fn say(cli: &Cli, message: std::fmt::Arguments<'_>) {
    if cli.find.verbose {
        failure::say(TOOL, message);
    }
}
