//! The jobs that look once: a look at the host, and the view of it that was asked for.

use std::io::{self, Write};
use std::path::Path;

use common::cli::FindSession;
use common::failure::{self, Failure, Status};
use common::find::hold;
use common::map::{MappedNetns, NetnsDetails, WantedDetails};
use common::namespace::NamespaceKind;

use crate::changes::changes;
use crate::document::MapDocument;
use crate::kinds;
use crate::look::{HostLook, look};
use crate::meaning::{WordMeaning, meaning};
use crate::named_map::{LinkAt, NamedMap};
use crate::request::{MapWord, Request};
use crate::saved::SavedMap;
use crate::stack::{NetnsStack, hidden_sockets, is_any};
use crate::tool::TOOL;
use crate::view;
use crate::view::namespaces::ContainersInside;
use crate::view::path::{PathStep, ends};
use crate::view::stack::StackView;
use crate::watch;

/// A line for each interface, or what else is wanted of every namespace; or everything as JSON.
pub fn interfaces(all: bool, request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    let namespaces: Vec<&MappedNetns> = map.map.namespaces.iter().collect();
    if request.format.json || is_any(request.sections) {
        return Ok(status.max(sections(&map, &namespaces, request)?));
    }
    let empty: Vec<&MappedNetns> = namespaces.into_iter().filter(|netns| netns.links.is_empty()).collect();
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
    if request.format.json || is_any(request.sections) {
        let is_meant = |netns: &&MappedNetns| meant.iter().any(|meaning| meaning.is_in(netns));
        let namespaces: Vec<&MappedNetns> = map.map.namespaces.iter().filter(is_meant).collect();
        return Ok(status.max(sections(&map, &namespaces, request)?));
    }
    for (at, meaning) in meant.iter().enumerate() {
        if at > 0 {
            writeln!(io::stdout())?;
        }
        match meaning {
            WordMeaning::Links(links) => {
                print(&view::interfaces::table(&map, links, &[], request.format.quiet))?;
            }
            WordMeaning::Netns(netns) => in_full(&map, netns, request)?,
        }
    }
    Ok(status)
}

/// Everything in one namespace: a part after the other.
fn in_full(map: &NamedMap, netns: &MappedNetns, request: &Request) -> Result<(), Failure> {
    let quiet = request.format.quiet;
    if netns.links.is_empty() {
        return Ok(print(&format!("{}\n\nit could not be looked at", view::netns::head(map, netns)))?);
    }
    let mut parts = vec![view::netns::head(map, netns), view::netns::interfaces(map, netns, quiet)];
    // As many as a server has hide the rest: --sockets shows them.
    let wanted = WantedDetails { sockets: false, ..WantedDetails::ALL };
    let (stacks, _) = read_stacks(map, &[netns], wanted, !quiet)?;
    let view = StackView { map, stacks: &stacks, with_who: false, quiet };
    let has = |part: fn(&NetnsDetails) -> bool| stacks.iter().any(|stack| part(&stack.details));
    let none = |is_read: bool, words: &str| is_read.then(|| words.to_owned());
    parts.extend(view.routes().or_else(|| none(has(|details| details.routes.is_some()), "no routes")));
    parts.extend(view.rules(false));
    parts.extend(
        view.neighbours().or_else(|| none(has(|details| details.neighbours.is_some()), "no neighbours")),
    );
    parts.extend(view.fdb());
    parts.extend(view.programs());
    let filters = view::filters::chains(map, &stacks, (false, false));
    parts.extend(filters.or_else(|| none(has(|details| details.firewall.is_some()), "no packet filters")));
    Ok(print(&parts.join("\n\n"))?)
}

/// Whether a part of a namespace's stack was read.
type IsRead = fn(&NetnsDetails) -> bool;

/// The parts that are wanted of these namespaces; as JSON with everything else.
fn sections(map: &NamedMap, namespaces: &[&MappedNetns], request: &Request) -> Result<Status, Failure> {
    let wanted = request.sections;
    let (stacks, status) = match is_any(wanted) {
        true => read_stacks(map, namespaces, wanted, true)?,
        false => (Vec::new(), Status::Yes),
    };
    if request.format.json {
        common::json::pretty(&mut io::stdout(), &MapDocument::of(map, namespaces, &stacks))?;
        return Ok(status);
    }
    let with_who = namespaces.len() != 1;
    let view = StackView { map, stacks: &stacks, with_who, quiet: request.format.quiet };
    let rules = if wanted.rules { view.rules(true) } else { None };
    let filters = view::filters::chains(map, &stacks, (true, with_who));
    let parts: [(_, IsRead, _); 7] = [
        ("routes", |details| details.routes.is_some(), view.routes()),
        ("rules", |details| details.rules.is_some(), rules),
        ("neighbours", |details| details.neighbours.is_some(), view.neighbours()),
        ("forwarding entries", |details| details.fdb.is_some(), view.fdb()),
        ("attached programs", |details| details.programs.is_some(), view.programs()),
        ("sockets", |details| details.sockets.is_some(), view.sockets()),
        ("packet filters", |details| details.firewall.is_some(), filters),
    ];
    for (what, is_read, part) in &parts {
        // Of what could not be read it is not known that there is none.
        if part.is_none() && !stacks.is_empty() && stacks.iter().all(|stack| is_read(&stack.details)) {
            say_none(what, request);
        }
    }
    print(&parts.into_iter().filter_map(|(_, _, part)| part).collect::<Vec<_>>().join("\n\n"))?;
    Ok(status)
}

/// Says that there is nothing to list: nothing at all would look like a failure.
fn say_none(what: &str, request: &Request) {
    if !request.format.quiet {
        failure::say(TOOL, format_args!("no {what}"));
    }
}

/// Reads what is wanted of each; `Failed` if something could not be read, which is said with `notes`.
fn read_stacks<'a>(
    map: &NamedMap,
    namespaces: &[&'a MappedNetns],
    wanted: WantedDetails,
    notes: bool,
) -> Result<(Vec<NetnsStack<'a>>, Status), Failure> {
    let (mut stacks, mut status) = (Vec::new(), Status::Yes);
    // What has not even loopback could not be entered, and that is said.
    for netns in namespaces.iter().filter(|netns| !netns.links.is_empty()) {
        match NetnsStack::read(netns, wanted) {
            Ok(Some(stack)) => {
                for (what, why) in stack.details.unknown() {
                    status = Status::Failed;
                    if notes {
                        failure::say(TOOL, format_args!("{}: {what}: {why}", map.who(netns)));
                    }
                }
                stacks.push(stack);
            }
            // It has ended since.
            Ok(None) => {}
            Err(failure) => {
                failure::report(TOOL, &failure.within(map.who(netns)));
                status = Status::Failed;
            }
        }
    }
    if wanted.sockets {
        NetnsStack::look_for_holders(&mut stacks)?;
        let hidden = stacks.first().map_or(0, |stack| stack.holders.hidden);
        if notes && hidden > 0 {
            failure::say(TOOL, hidden_sockets(hidden));
        }
    }
    Ok((stacks, status))
}

/// Everything: a tree, and a table of bridges, say a part of it.
fn all_as_json(map: &NamedMap, status: Status) -> Result<Status, Failure> {
    let namespaces: Vec<&MappedNetns> = map.map.namespaces.iter().collect();
    common::json::pretty(&mut io::stdout(), &MapDocument::of(map, &namespaces, &[]))?;
    Ok(status)
}

/// Bridges, and what is plugged into them.
pub fn bridges(request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    if request.format.json {
        return all_as_json(&map, status);
    }
    let table = view::bridges::table(&map, request.format.quiet);
    if table.is_empty() {
        say_none("bridges", request);
    }
    print(&table)?;
    Ok(status)
}

/// Everything as a tree.
pub fn tree(request: &Request) -> Result<Status, Failure> {
    let HostLook { map, status } = look(request, &request.find.session())?;
    if request.format.json {
        return all_as_json(&map, status);
    }
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
    let way = view::path::path(&map, &from, &to);
    if request.format.json {
        let way = way.as_deref().unwrap_or_default();
        let is_on_it = |netns: &&MappedNetns| way.iter().any(|(link, _)| link.netns.inode == netns.inode);
        let namespaces: Vec<&MappedNetns> = map.map.namespaces.iter().filter(is_on_it).collect();
        let mut document = MapDocument::of(&map, &namespaces, &[]);
        // Where not everything was looked at, it is not known that there is none.
        if !way.is_empty() || map.map.unseen.is_empty() {
            document = document.with_path(way, &map);
        }
        common::json::pretty(&mut io::stdout(), &document)?;
    }
    match way {
        Some(_) if request.format.json => Ok(status),
        Some(way) => {
            let routes = way.iter().find(|(_, step)| *step == Some(PathStep::Routed));
            if let Some((link, _)) = routes.filter(|_| !request.format.quiet) {
                let who = map.who(link.netns);
                failure::say(
                    TOOL,
                    format_args!("whether {who} routes this, and its filters let it pass, was not looked at"),
                );
            }
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
        WordMeaning::Netns(netns) if netns.links.is_empty() => {
            return Err(Failure::failed(word, "its network namespace could not be looked at"));
        }
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
    let old = SavedMap::read(file)?;
    let HostLook { map, status } = look(request, &request.find.session())?;
    let mut new = SavedMap::of(&map);
    if status != Status::Yes {
        new = new.with_known_containers(&old);
    }
    let changes = changes(&old, &new);
    watch::print(&changes, request.format)?;
    Ok(if changes.is_empty() { status } else { status.max(Status::No) })
}

fn print(text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(io::stdout(), "{text}") }
}
