//! One function for each kind of request, from finding to reporting.

use std::error::Error;
use std::fmt::Display;
use std::fs;

use common::cli::FindSession;
use common::failure::{self, Failure, Status};
use common::find::{FindError, VerifiedContainer, hold, host_network, list_ours};
use common::namespace::NamespaceError;
use common::netns::{self, NetnsError};
use common::target::{LinkName, Target};
use common::typed::with_sudo;

use crate::apply::{self, Wanted};
use crate::links::{NetnsLink, NetnsLinks, read_all};
use crate::plan::{Plan, default_name, one_of_each, refuse_host};
use crate::report;
use crate::request::Request;
use crate::state::LinkState;
use crate::tool::TOOL;

/// Does one thing after the other, reports each failure, and returns the worst status.
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

/// Links each target: the only one under `name`, if there is one.
pub fn link_each(targets: &[Target], name: Option<&LinkName>, request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    each(targets, |target| link(target, name, (request, &session)))
}

/// Makes an empty namespace.
pub fn make(name: &LinkName, lo: bool) -> Result<Status, Failure> {
    apply::make(name, lo)?;
    report::path(name)?;
    Ok(Status::Yes)
}

/// Links one target and prints the path of its link.
fn link(
    target: &Target,
    name: Option<&LinkName>,
    (request, session): (&Request, &FindSession),
) -> Result<(), Failure> {
    let found = session.find_to_act(TOOL, target)?;
    let name = match name {
        Some(name) => name.clone(),
        None => default_name(target, found.container.as_ref())?,
    };
    let wanted = Wanted::of(found)?;
    if !request.host && wanted.netns.identity() == host_network()? {
        return Err(refuse_host(target));
    }
    let plan = apply::link(&name, &wanted, request.force)?;
    say_linked(&name, &wanted, target, plan, request);
    report::path(&name)
}

/// Says what was done. That a symbolic link was there is said always: it ends with its process, and has no record.
fn say_linked(name: &LinkName, wanted: &Wanted, target: &impl Display, plan: Plan, request: &Request) {
    if plan == Plan::Symlink {
        let path = netns::path(name);
        let end = fs::read_link(&path).unwrap_or_default();
        let what = format_args!(
            "is a symbolic link to {}, the right network; left as it is, --force replaces it",
            end.display()
        );
        let hint = common::hint!("netns-link --force {} --as {}", target, name);
        failure::report(TOOL, &Failure::no(path.display(), what).hint(hint));
    }
    let as_before = if plan == Plan::Nothing { ", as before" } else { "" };
    say(request, format_args!("{name}: {}{as_before}", wanted.netns));
}

/// Links every running container, each network namespace once, and never the host's.
pub fn link_all(request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    // Links are not made of other users' containers: their engines are asked only for whether there are none but theirs.
    let listing = list_ours(&session.engines).or_else(|_| common::find::list(None, &session.engines))?;
    let errors = if listing.errors.is_empty() { Status::Yes } else { Status::Failed };
    failure::report_all(TOOL, listing.errors.into_iter().map(Failure::from));
    let host = host_network()?;
    let status = each(one_of_each(&listing.containers, Some(host)), |known| {
        link_known(known, request).map_err(|failure| match needs_root(&failure) {
            // So does each of the others.
            true => {
                failure::report(TOOL, &failure.hint(with_sudo()));
                Failure::already_said(Status::Failed)
            }
            false => failure,
        })
    })?;
    Ok(status.max(errors))
}

fn link_known(known: &VerifiedContainer, request: &Request) -> Result<(), Failure> {
    let name = default_name(&known.container.target(), Some(&known.container))?;
    let wanted = Wanted::of(hold(known.container.clone())?)?;
    let plan = apply::link(&name, &wanted, request.force)?;
    say_linked(&name, &wanted, &known.container.target(), plan, request);
    report::path(&name)
}

fn needs_root(failure: &Failure) -> bool {
    let Some(source) = failure.source() else { return false };
    let in_netns = source.downcast_ref().is_some_and(|why| matches!(why, NetnsError::NotPermitted { .. }));
    in_netns || source.downcast_ref().is_some_and(|why| matches!(why, NamespaceError::NotPermitted { .. }))
}

/// Removes the links of these names.
pub fn remove_each(names: &[LinkName], request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    each(names, |name| remove(name, (request, &session)))
}

/// Removes the link of that name or, when there is none, the links of the container of that name or ID.
fn remove(name: &LinkName, (request, session): (&Request, &FindSession)) -> Result<(), Failure> {
    if apply::unlink(name, request.force)? {
        say(request, format_args!("{name}: removed"));
        return Ok(());
    }
    let mut removed = false;
    for link in read_all(&session.engines)?.links {
        if is_of(&link, name.as_str()) && apply::unlink_exactly(&link)? {
            say(request, format_args!("{}: removed", link.name));
            removed = true;
        }
    }
    if !removed {
        let what = "no such link, and no container of that name has one: nothing to remove";
        failure::say(TOOL, format_args!("{name}: {what}"));
    }
    Ok(())
}

fn is_of(link: &NetnsLink, word: &str) -> bool {
    let owner = link.record.as_ref().and_then(|record| record.container.as_ref());
    owner.is_some_and(|owner| {
        owner.name == word || owner.id == word || (word.len() >= 12 && owner.id.starts_with(word))
    })
}

/// Removes all links made by netns-link.
pub fn remove_all(request: &Request) -> Result<Status, Failure> {
    remove_where(request, |_| true)
}

/// Removes stale links made by netns-link.
pub fn prune(request: &Request) -> Result<Status, Failure> {
    let is_stale = |link: &NetnsLink| {
        matches!(link.state, LinkState::Restarted | LinkState::Pinned | LinkState::Dangling)
    };
    remove_where(request, is_stale)
}

fn remove_where(request: &Request, which: impl Fn(&NetnsLink) -> bool) -> Result<Status, Failure> {
    let links = if_complete(read_all(&request.find.session().engines)?)?;
    each(links.iter().filter(|link| link.is_ours() && which(link)), |link| {
        if apply::unlink_exactly(link)? { report::path(&link.name) } else { Ok(()) }
    })
}

/// All links, if every engine could be asked: no container counts as gone because its engine does not answer.
fn if_complete(links: NetnsLinks) -> Result<Vec<NetnsLink>, Failure> {
    match links.errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(links.links),
    }
}

/// Shows all links; an engine that could not be asked is named, and its links are judged without it.
pub fn list(request: &Request) -> Result<Status, Failure> {
    let read = read_all(&request.find.session().engines)?;
    for error in read.errors {
        failure::report(TOOL, &error.into());
    }
    report::list(read.links.iter(), request.json)?;
    Ok(Status::Yes)
}

/// Shows stale links; status 1 if there are any.
pub fn check(request: &Request) -> Result<Status, Failure> {
    let links = if_complete(read_all(&request.find.session().engines)?)?;
    let wrong: Vec<&NetnsLink> = links.iter().filter(|link| !link.state.is_good()).collect();
    if request.json || !wrong.is_empty() {
        report::list(wrong.iter().copied(), request.json)?;
    }
    Ok(if wrong.is_empty() { Status::Yes } else { Status::No })
}

/// Updates stale links made by netns-link to what their containers run in now.
pub fn refresh(request: &Request) -> Result<Status, Failure> {
    let links = if_complete(read_all(&request.find.session().engines)?)?;
    let stale = links
        .into_iter()
        .filter(|link| link.is_ours() && matches!(link.state, LinkState::Restarted | LinkState::Dangling));
    let host = host_network()?;
    each(stale, |link| match &link.container {
        Some(known) if known.container.pid.is_some() => {
            let wanted = Wanted::of(hold(known.container.clone())?)?;
            if !request.host && wanted.netns.identity() == host {
                return Err(refuse_host(&link.name));
            }
            if apply::relink(&link, &wanted)? { report::path(&link.name) } else { Ok(()) }
        }
        Some(known) => Err(FindError::NotRunning(Box::new(known.container.clone())).into()),
        None => Err(Failure::no(&link.name, "its container is gone")
            .hint(common::hint!("netns-link --rm {}", link.name))),
    })
}

fn say(request: &Request, message: std::fmt::Arguments<'_>) {
    if request.find.verbose {
        failure::say(TOOL, message);
    }
}
