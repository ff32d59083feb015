//! `--ports` and `:8080`: who listens where. Of the map only names are needed, so links are read only for JSON.

use std::collections::HashMap;
use std::io::{self, Write};

use common::cli::FindSession;
use common::failure::{self, Failure, Status, say};
use common::find::{ContainerList, FindError, host, list};
use common::map::{HostMap, LookDepth, MappedNetns};
use common::ports::{self, AddressNeed, PortLine, PortNames, PortsSnapshot};
use common::target::Target;
use common::typed::with_sudo_for_users;

use crate::document::MapDocument;
use crate::look::named;
use crate::request::{PortsWord, Request};
use crate::stack::hidden_sockets;
use crate::tool::TOOL;
use crate::view;

/// All ports, or those of what the words mean; why others mean nothing is reported. The status is the worst.
pub fn ports(words: &[PortsWord], request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let (listing, mut status) = containers(request, &session)?;
    let is_asked = |word: &PortsWord| matches!(word, PortsWord::Place(place) if place.address.is_some());
    let need = if words.iter().any(is_asked) { AddressNeed::Asked } else { AddressNeed::Forwarded };
    let snapshot = ports::read(need, LookDepth::Whole)?;
    if !request.format.quiet {
        not_looked_at(&snapshot).iter().for_each(|note| say(TOOL, note));
    }
    let names = names(&listing, &snapshot);
    let mut lines = Vec::new();
    if words.is_empty() {
        lines = ports::lines(&snapshot, &names);
    }
    for word in words {
        match meant(word, &snapshot, &names, &session) {
            // One that several words mean is shown once.
            Ok(found) => {
                let new = found.into_iter().filter(|line| !lines.contains(line)).collect::<Vec<_>>();
                lines.extend(new);
            }
            Err(failure) => {
                failure::report(TOOL, &failure);
                status = status.max(failure.status);
            }
        }
    }
    // A word without a port has its own message.
    if lines.is_empty() && status == Status::Yes && !request.format.quiet {
        say(TOOL, "no ports");
    }
    show(&lines, words.is_empty(), request, &session)?;
    Ok(status)
}

/// The lines of all ports, for a picture. Which engines could not be asked is said with the map.
pub fn all(session: &FindSession) -> Result<Vec<PortLine>, Failure> {
    let listing = list(None, &session.engines).unwrap_or_default();
    let snapshot = ports::read(AddressNeed::Forwarded, LookDepth::Whole)?;
    let names = names(&listing, &snapshot);
    Ok(ports::lines(&snapshot, &names))
}

fn show(lines: &[PortLine], are_all: bool, request: &Request, session: &FindSession) -> Result<(), Failure> {
    if request.format.json {
        // What is to be said of containers and of what was not seen has been said.
        let map = named(host(LookDepth::Whole, &session.engines)?.map);
        let is_shown =
            |netns: &&MappedNetns| are_all || lines.iter().any(|line| line.netns_inode == netns.inode);
        let namespaces: Vec<&MappedNetns> = map.map.namespaces.iter().filter(is_shown).collect();
        let document = MapDocument::of(&map, &namespaces, &[]).with_ports(lines);
        return Ok(common::json::pretty(&mut io::stdout(), &document)?);
    }
    let text = view::ports::table(lines, request.format.quiet);
    if !text.is_empty() {
        writeln!(io::stdout(), "{text}")?;
    }
    Ok(())
}

/// The lines that a word means.
fn meant(
    word: &PortsWord,
    snapshot: &PortsSnapshot,
    names: &PortNames,
    session: &FindSession,
) -> Result<Vec<PortLine>, Failure> {
    match word {
        PortsWord::Place(place) => Ok(ports::lines_at(place, snapshot, names)?),
        PortsWord::Of(target) => of_netns(target, snapshot, names, session),
    }
}

/// The ports of one namespace, and those that lead to it.
fn of_netns(
    target: &Target,
    snapshot: &PortsSnapshot,
    names: &PortNames,
    session: &FindSession,
) -> Result<Vec<PortLine>, Failure> {
    let found = session.find(TOOL, target)?;
    let inode = found.netns_identity().map(|identity| identity.inode);
    let is_read = |inode: &u64| snapshot.namespaces.iter().any(|netns| netns.inode == *inode);
    let Some(inode) = inode.filter(is_read) else {
        let what = "its network namespace could not be looked at, or has just ended";
        return Err(Failure::failed(target, what).hint(with_sudo_for_users()));
    };
    let mut lines = ports::lines(snapshot, names);
    lines.retain(|line| {
        line.netns_inode == inode || line.to.as_ref().is_some_and(|to| to.netns_inode == Some(inode))
    });
    Ok(lines)
}

/// All containers, and whether every engine could be asked.
fn containers(request: &Request, session: &FindSession) -> Result<(ContainerList, Status), Failure> {
    let listing = match list(None, &session.engines) {
        Err(FindError::NoEngine { .. }) => ContainerList::default(),
        listing => listing?,
    };
    if request.find.verbose {
        session.say_heard(TOOL);
        listing.api_errors.iter().for_each(|why| say(TOOL, why));
    }
    let ContainerList { containers, errors, api_errors } = listing;
    let status = if errors.is_empty() { Status::Yes } else { Status::Failed };
    failure::report_all(TOOL, errors.into_iter().map(Failure::from));
    Ok((ContainerList { containers, errors: vec![], api_errors }, status))
}

/// What could not be looked at, in a line each.
fn not_looked_at(snapshot: &PortsSnapshot) -> Vec<String> {
    let mut notes = Vec::new();
    if !snapshot.unseen.is_empty() {
        notes.push(format!("not looked at: {}", snapshot.unseen));
    }
    if snapshot.holders.hidden > 0 {
        notes.push(hidden_sockets(snapshot.holders.hidden));
    }
    notes
}

/// The names of containers and processes, and of namespaces as the other views have them.
fn names(listing: &ContainerList, snapshot: &PortsSnapshot) -> PortNames {
    let mut containers: HashMap<u64, Vec<_>> = HashMap::new();
    for known in &listing.containers {
        if let Some(netns) = known.process.netns_inode {
            containers.entry(netns).or_default().push(known.container.clone());
        }
    }
    let bare = snapshot.namespaces.iter().map(|netns| MappedNetns {
        inode: netns.inode,
        is_own: netns.is_own,
        names: netns.names.clone(),
        processes: netns.processes.clone(),
        containers: containers.remove(&netns.inode).unwrap_or_default(),
        ..MappedNetns::default()
    });
    let map = named(HostMap { namespaces: bare.collect(), ..HostMap::default() });
    let labels = map.map.namespaces.iter().map(|netns| (netns.inode, map.who(netns)));
    PortNames { labels: labels.collect(), ..PortNames::of(listing, snapshot) }
}
