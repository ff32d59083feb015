//! A look at the host: the map with names, and what there is to say about what could not be seen.

use std::collections::HashMap;

use common::cli::FindSession;
use common::failure::{self, Failure, Status, say};
use common::find::{KnownHost, host};
use common::map::{HostMap, LookDepth, MappedNetns, NetnsNames};
use common::namespace::NamespaceKind;
use common::process::Process;
use nix::unistd::Pid;

use crate::named_map::NamedMap;
use crate::request::Request;
use crate::tool::TOOL;

/// The host as one look saw it.
#[derive(Debug)]
pub struct HostLook {
    pub map: NamedMap,
    /// `Failed` where an engine could not be asked, so that containers may be missing.
    pub status: Status,
}

/// Reads everything, and says on stderr what could not be seen.
///
/// # Errors
/// When not even `/proc` and our own network can be read.
pub fn look(request: &Request, session: &FindSession) -> Result<HostLook, Failure> {
    let known = host(LookDepth::Whole, &session.engines)?;
    if request.find.verbose {
        session.say_heard(TOOL);
        known.api_errors.iter().for_each(|why| say(TOOL, why));
    }
    if !request.format.quiet {
        notes(&known).iter().for_each(|note| say(TOOL, note));
    }
    let KnownHost { map, errors, .. } = known;
    let status = if errors.is_empty() { Status::Yes } else { Status::Failed };
    failure::report_all(TOOL, errors.into_iter().map(Failure::from));
    Ok(HostLook { map: named(map), status })
}

/// The map with the names of its namespaces.
pub fn named(map: HostMap) -> NamedMap {
    let commands = map.namespaces.iter().filter_map(command).collect::<HashMap<_, _>>();
    let names = NetnsNames::of(&map, &commands);
    NamedMap::new(map, names)
}

/// What could not be seen, in a line each.
fn notes(known: &KnownHost) -> Vec<String> {
    let mut notes = Vec::new();
    if !known.map.unseen.is_empty() {
        notes.push(format!("not looked at: {}", known.map.unseen));
    }
    if !known.unplaced.is_empty() {
        let names: Vec<String> = known.unplaced.iter().map(|container| container.target()).collect();
        notes.push(format!("in a network namespace that was not looked at: {}", names.join(", ")));
    }
    notes
}

/// The program of the process that stands for a namespace without a container and without a name.
fn command(netns: &MappedNetns) -> Option<(Pid, String)> {
    if netns.is_own || !netns.containers.is_empty() || !netns.names.is_empty() {
        return None;
    }
    let pid = *netns.processes.first()?;
    let process = Process::open(pid).ok()?;
    // Another process may have the PID by now.
    process.namespace_identity(NamespaceKind::Net).ok().filter(|now| now.inode == netns.inode)?;
    let command = process.read("comm").ok()?;
    let command = String::from_utf8_lossy(&command);
    Some((pid, command.trim_end_matches('\n').to_owned()))
}
