//! The jobs that look once: a look at the host, and the view of it that was asked for.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use common::cli::FindSession;
use common::failure::{self, Failure, Status};
use common::find::hold;
use common::map::MappedNetns;
use common::namespace::NamespaceKind;

use crate::changes::changes;
use crate::document::MapDocument;
use crate::kinds;
use crate::look::{HostLook, look};
use crate::meaning::{WordMeaning, meaning};
use crate::named_map::{LinkAt, NamedMap};
use crate::request::{MapWord, Request};
use crate::saved::SavedMap;
use crate::tool::TOOL;
use crate::view::namespaces::ContainersInside;
use crate::view::{self, path::ends};
use crate::watch;

/// A map that `--json` wrote is smaller, whatever the host.
const MOST_BYTES: u64 = 1 << 30;

/// A line for each interface, or everything as JSON.
pub fn interfaces(all: bool, request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    if request.format.json {
        json(&map, map.map.namespaces.iter())?;
        return Ok(status);
    }
    let empty: Vec<_> = map.map.namespaces.iter().filter(|netns| netns.links.is_empty()).collect();
    let listed = view::interfaces::listed(&map, all);
    print(&view::interfaces::table(&map, &listed, &empty, request.format.quiet))?;
    Ok(status)
}

/// What each word means, in their order; why others mean nothing is reported. The status is the worst.
pub fn words(words: &[MapWord], request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let HostLook { map, mut status } = look(request, &session)?;
    let mut meant = Vec::new();
    for word in words {
        match meaning(word, &map, &session) {
            Ok(meaning) => meant.push(meaning),
            Err(failure) => {
                failure::report(TOOL, &failure);
                status = status.max(failure.status);
            }
        }
    }
    if request.format.json {
        let is_meant = |netns: &&MappedNetns| meant.iter().any(|meaning| meaning.is_in(netns));
        json(&map, map.map.namespaces.iter().filter(is_meant))?;
        return Ok(status);
    }
    for (at, meaning) in meant.iter().enumerate() {
        if at > 0 {
            writeln!(io::stdout())?;
        }
        print(&in_words(meaning, &map, request))?;
    }
    Ok(status)
}

fn in_words(meaning: &WordMeaning<'_>, map: &NamedMap, request: &Request) -> String {
    let quiet = request.format.quiet;
    match meaning {
        WordMeaning::Links(links) => view::interfaces::table(map, links, &[], quiet),
        WordMeaning::Netns(netns) => {
            format!("{}\n\n{}", view::netns::head(map, netns), view::netns::interfaces(map, netns, quiet))
        }
    }
}

/// Bridges, and what is plugged into them.
pub fn bridges(request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    print(&view::bridges::table(&map, request.format.quiet))?;
    Ok(status)
}

/// Everything as a tree.
pub fn tree(request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    print(&view::tree::tree(&map))?;
    Ok(status)
}

/// The way between what two words mean.
pub fn path(words: &[MapWord; 2], request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let HostLook { map, status } = look(request, &session)?;
    let [from, to] = words;
    let [from, to] = [end(from, &map, &session)?, end(to, &map, &session)?];
    let names = [&from, &to].map(|links| links.first().map(|link| map.who(link.netns)).unwrap_or_default());
    match view::path::path(&map, &from, &to) {
        Some(way) => {
            print(&view::path::table(&map, &way, request.format.quiet))?;
            Ok(status)
        }
        // What was not seen may be a way.
        None if !map.map.unseen.is_empty() => {
            let why = format_args!("no way was seen, but not everything was looked at: {}", map.map.unseen);
            Err(Failure::failed(names.join(" to "), why))
        }
        None => Err(Failure::no(names.join(" to "), "no veth pair, bridge or router leads there")),
    }
}

/// The interfaces that a way can begin or end at.
fn end<'a>(word: &MapWord, map: &'a NamedMap, session: &FindSession) -> Result<Vec<LinkAt<'a>>, Failure> {
    let links = match meaning(word, map, session)? {
        WordMeaning::Links(links) => links,
        WordMeaning::Netns(netns) => ends(netns),
    };
    match links.is_empty() {
        true => Err(Failure::no(word, "has no interface but loopback")),
        false => Ok(links),
    }
}

/// Namespaces of all kinds.
pub fn namespaces(request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    let all = kinds::read()?;
    let mut inside = ContainersInside::new();
    for container in map.map.namespaces.iter().flat_map(|netns| &netns.containers) {
        // One that has ended meanwhile is in none.
        let Ok(found) = hold(container.clone()) else { continue };
        let Some(process) = found.process() else { continue };
        for kind in NamespaceKind::ALL {
            if let Ok(identity) = process.namespace_identity(kind) {
                inside.entry((kind, identity.inode)).or_default().push(container);
            }
        }
    }
    match request.format.json {
        true => common::json::pretty(&mut io::stdout(), &view::namespaces::entries(&all, &inside))?,
        false => print(&view::namespaces::table(&all, &inside, request.format.quiet))?,
    }
    Ok(status)
}

/// What changed since `file` was written; status 1 if anything did.
pub fn diff(file: &Path, request: &Request) -> Result<Status, Failure> {
    let name = file.display().to_string();
    let mut text = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().take(MOST_BYTES).read_to_end(&mut text),
        false => File::open(file).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text)),
    };
    read.map_err(|error| Failure::failed(&name, &error).caused_by(error))?;
    let old = SavedMap::read(&name, &text)?;
    let HostLook { map, status } = look(request, &request.find.session())?;
    let mut new = SavedMap::of(&map);
    if status != Status::Yes {
        new = new.with_known_containers(&old);
    }
    let changes = changes(&old, &new);
    watch::print(&changes, request.format)?;
    Ok(if changes.is_empty() { status } else { status.max(Status::No) })
}

fn json<'a>(map: &'a NamedMap, namespaces: impl Iterator<Item = &'a MappedNetns> + Clone) -> io::Result<()> {
    common::json::pretty(&mut io::stdout(), &MapDocument::of(map, namespaces))
}

fn print(text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(io::stdout(), "{text}") }
}
