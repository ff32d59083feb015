//! Many containers at once: which of them match a pattern, those that share namespaces taken together, and the name of each.

mod choice;
mod glob;
mod pattern;

use std::collections::HashMap;

pub use choice::{Chosen, NamespaceSet, chosen};
pub use glob::{Glob, GlobError};
pub use pattern::{Pattern, PatternError};

use crate::cli::FindConfig;
use crate::engine::{Container, EngineSession};
use crate::failure::{self, Failure, Status};
use crate::find::{ContainerList, FindError, VerifiedContainer, list_matching, list_of_user};
use crate::output::quotable;
use crate::process::Process;

/// The containers that match `word`, the pattern as it was typed: each set of namespaces once, and whether every engine could
/// be asked. Errors meanwhile are printed, and with `-v` also which containers share `what`.
///
/// # Errors
/// When none of the pattern's engines is on this host, and when no container matches.
pub fn find(
    (tool, word, what): (&str, &str, &str),
    pattern: &Pattern,
    options: FindConfig,
    mut place: impl FnMut(&Container, &Process) -> Option<NamespaceSet>,
) -> Result<(Vec<Chosen>, bool), Failure> {
    let mut places = HashMap::new();
    let session = options.session();
    let listing = listing(pattern, &session.engines, |container, process| {
        places.extend(place(container, process).map(|place| (container.key(), place)));
    })?;
    let all_were_asked = listing.errors.is_empty();
    if options.verbose {
        session.say_heard(tool);
        listing.api_errors.iter().for_each(|why| failure::say(tool, why));
    }
    failure::report_all(tool, listing.errors.into_iter().map(Failure::from));
    let (containers, left_out) = without_needless(pattern, listing.containers, all_were_asked);
    if options.verbose && left_out > 0 {
        failure::say(
            tool,
            format_args!("{word}: also matches {left_out} containers of other users, which are left out"),
        );
    }
    let (running, stopped): (Vec<_>, Vec<_>) =
        containers.into_iter().partition(|known| known.container.pid.is_some());
    let chosen = chosen(pattern, running, &places);
    if chosen.is_empty() {
        // An engine that could not be asked may have some: it was said which, and nothing else is known.
        if !all_were_asked {
            return Err(Failure::already_said(Status::Failed));
        }
        let stopped = stopped.iter().filter(|known| pattern.fits(&known.container)).count();
        return Err(no_match(word, stopped));
    }
    for one in chosen.iter().filter(|one| options.verbose && !one.also.is_empty()) {
        failure::say(tool, format_args!("{}: {what} {}", one.name, one.also.join(", ")));
    }
    Ok((chosen, all_were_asked))
}

/// Containers of other users are used only if the pattern matches none of root's, and all of root's engines could be asked:
/// whatever their names are, they cannot join root's. Also returns how many matching containers are left out.
fn without_needless(
    pattern: &Pattern,
    containers: Vec<VerifiedContainer>,
    all_were_asked: bool,
) -> (Vec<VerifiedContainer>, usize) {
    if pattern.of_user().is_some() {
        return (containers, 0);
    }
    let fits = |known: &&VerifiedContainer| pattern.fits(&known.container);
    let (others, roots): (Vec<VerifiedContainer>, Vec<VerifiedContainer>) =
        containers.into_iter().partition(|known| known.container.stranger().is_some());
    if all_were_asked && !roots.iter().any(|known| fits(&known)) {
        return (roots.into_iter().chain(others).collect(), 0);
    }
    let left_out = others.iter().filter(fits).count();
    (roots, left_out)
}

/// The failure that no container matches the pattern, which was typed so, and that `stopped` would match if they ran.
pub fn no_match(pattern: &str, stopped: usize) -> Failure {
    let about = quotable(pattern);
    match stopped {
        0 if is_plain(pattern) => Failure::no(about, "no running container matches")
            .hint(crate::sentence!("quote a PATTERN with *, so that the shell does not expand it")),
        0 => Failure::no(about, "no running container matches").hint(crate::hint!("cpid --list")),
        1 => Failure::no(about, "no running container matches, only 1 that is not running")
            .hint(crate::hint!("cpid --list --all")),
        more => {
            Failure::no(about, format_args!("no running container matches, only {more} that are not running"))
                .hint(crate::hint!("cpid --list --all"))
        }
    }
}

/// Whether it has no wildcard, or has none any more because the shell found files that fit.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '['])
}

/// All containers of the engines that the pattern is about; without those of other users where root's has one that fits. `look` is shown those that run.
///
/// # Errors
/// When none of these engines is on this host.
pub fn listing(
    pattern: &Pattern,
    session: &EngineSession,
    mut look: impl FnMut(&Container, &Process),
) -> Result<ContainerList, FindError> {
    if let Some((engine, user)) = pattern.of_user() {
        return list_of_user(engine, user, session, look);
    }
    let fits = |container: &Container| pattern.fits(container);
    let listings = pattern.engines().into_iter();
    let listings = listings.map(|engine| list_matching(engine, session, fits, &mut look));
    let (listings, errors): (Vec<_>, Vec<_>) = listings.partition(Result::is_ok);
    let (absent, closed): (Vec<_>, Vec<_>) =
        errors.into_iter().filter_map(Result::err).partition(FindError::is_absence);
    // One of several that is not here is no error; none of them is. One of which only root may read is named with -v.
    let merged = listings.into_iter().flatten().reduce(|mut all, one| {
        all.containers.extend(one.containers);
        all.errors.extend(one.errors);
        all.api_errors.extend(one.api_errors);
        all
    });
    match (merged, closed.into_iter().chain(absent).collect::<Vec<_>>()) {
        (Some(mut listing), errors) => {
            listing.api_errors.extend(errors.into_iter().filter(|error| !error.is_absence()));
            Ok(listing)
        }
        (None, errors) => errors.into_iter().next().map_or(Ok(ContainerList::default()), Err),
    }
}

#[cfg(test)]
mod tests {
    use super::without_needless;
    use crate::engine::{Container, ContainerState, EngineName, Pod, Proof};
    use crate::find::{ProcessInodes, VerifiedContainer};

    /// What `pattern` fits, and how many are left out.
    fn fitting(pattern: &str, containers: &[&Container], all_were_asked: bool) -> (Vec<String>, usize) {
        let known = |one: &&Container| VerifiedContainer {
            container: (*one).clone(),
            process: ProcessInodes::default(),
        };
        let pattern = pattern.parse().unwrap();
        let (kept, left_out) =
            without_needless(&pattern, containers.iter().map(known).collect(), all_were_asked);
        let kept = kept.iter().filter(|known| pattern.fits(&known.container));
        (kept.map(|known| known.container.name.clone() + &known.container.of_whom()).collect(), left_out)
    }

    #[test]
    fn a_users_container_takes_part_only_where_none_of_roots_fits() {
        let proof = Proof::word_of(nix::unistd::Uid::from_raw(4242));
        let (web, theirs) = (container("web"), Container { proof, ..container("web-x") });
        assert_eq!(fitting("web*", &[&web, &theirs], true), (vec!["web".to_owned()], 1));
        assert_eq!(fitting("web-*", &[&web, &theirs], true), (vec!["web-x of user 4242".to_owned()], 0));
        // A container of root that was not listed may match.
        assert_eq!(fitting("web-*", &[&web, &theirs], false), (vec![], 1));
    }

    /// A container of Docker that runs.
    pub fn container(name: &str) -> Container {
        Container {
            name: name.to_owned(),
            pid: Some(nix::unistd::Pid::from_raw(1)),
            state: ContainerState::Running,
            ..Container::unknown(EngineName::Docker, &format!("{name:0<64}"), nix::unistd::Uid::from_raw(0))
        }
    }

    /// A container of that pod, or with no name the pod's sandbox.
    pub fn in_pod(namespace: &str, pod: &str, name: &str) -> Container {
        Container {
            engine: EngineName::Containerd,
            id: format!("{:0<64}", format!("{namespace}{pod}{name}")),
            pod: Some(Pod {
                namespace: namespace.to_owned(),
                name: pod.to_owned(),
                is_sandbox: name.is_empty(),
            }),
            ..container(if name.is_empty() { pod } else { name })
        }
    }
}
