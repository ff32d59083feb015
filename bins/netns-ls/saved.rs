//! A map as far as two of them are compared: one of now, or one that `--json` has written.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use common::failure::Failure;
use common::map::LinkEnd;
use serde::Deserialize;

use crate::document::SCHEMA;
use crate::named_map::{LinkAt, NamedMap, links_of};
use crate::view::link_words::{address, state};

/// No map is larger: one of 4,000 namespaces has 6 MiB.
const MOST_BYTES: u64 = 256 << 20;

/// A map, in words that stay the same from one call to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SavedMap {
    pub namespaces: Vec<SavedNetns>,
}

/// What a file says about its own format.
#[derive(Debug, Deserialize)]
struct WithSchema {
    schema: Option<String>,
}

/// A namespace of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedNetns {
    pub inode: u64,
    pub name: String,
    pub is_own: bool,
    pub containers: Vec<SavedContainer>,
    pub links: Vec<SavedLink>,
}

/// A container of it, as far as one is told from another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedContainer {
    pub engine: String,
    pub id: String,
    pub name: String,
    /// The user that it belongs to, if that is not root.
    #[serde(default)]
    pub owner: Option<u32>,
}

/// A link of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedLink {
    pub ifname: String,
    pub ifindex: u32,
    pub kind: Option<String>,
    pub mac: Option<String>,
    pub mtu: u32,
    pub state: String,
    pub addresses: Vec<String>,
    pub master: Option<String>,
    pub peer: Option<SavedEnd>,
    pub lower: Option<SavedEnd>,
}

/// The other end of a veth, or the link below.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedEnd {
    pub netns_inode: Option<u64>,
    pub ifname: Option<String>,
    pub ifindex: Option<u32>,
}

impl SavedMap {
    /// The map as it is now.
    pub fn of(map: &NamedMap) -> Self {
        let netns = |netns| SavedNetns::of(map, netns);
        SavedMap { namespaces: map.map.namespaces.iter().map(netns).collect() }
    }

    /// What `--json` has written into `file`; standard input if that is `-`.
    ///
    /// # Errors
    /// When it cannot be read, or is anything else.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let (name, source): (_, Box<dyn Read>) = match file.as_os_str() == "-" {
            true => ("standard input".to_owned(), Box::new(io::stdin())),
            false => {
                let name = file.display().to_string();
                let opened = File::open(file);
                (
                    name.clone(),
                    Box::new(opened.map_err(|error| Failure::failed(name, &error).caused_by(error))?),
                )
            }
        };
        let mut text = Vec::new();
        let read = source.take(MOST_BYTES + 1).read_to_end(&mut text);
        read.map_err(|error| Failure::failed(&name, &error).caused_by(error))?;
        SavedMap::of_text(&name, &text)
    }

    /// The map that `text` is; `name` is what messages call the file.
    fn of_text(name: &str, text: &[u8]) -> Result<Self, Failure> {
        let is_not = |why: fmt::Arguments<'_>| {
            let what = format_args!("is not what netns-ls --json prints: {why}");
            Failure::failed(name, what).hint(common::hint!("netns-ls --json >map.json"))
        };
        if text.len() as u64 > MOST_BYTES {
            return Err(is_not(format_args!("larger than {} MiB", MOST_BYTES >> 20)));
        }
        let syntax = |error: &serde_json::Error| match error.is_eof() {
            true if text.is_empty() => is_not(format_args!("it is empty")),
            true => is_not(format_args!("it ends in the middle, at line {}", error.line())),
            false => is_not(format_args!("no JSON, at line {} column {}", error.line(), error.column())),
        };
        match serde_json::from_slice(text) {
            Ok(WithSchema { schema: Some(schema) }) if schema == SCHEMA => {}
            Ok(WithSchema { schema: Some(schema) }) => {
                return Err(is_not(format_args!("its schema is {schema:?}, and not {SCHEMA:?}")));
            }
            Err(error) if !error.is_data() => return Err(syntax(&error).caused_by(error)),
            _ => return Err(is_not(format_args!("it has no schema"))),
        }
        // What serde says of a field names types of ours, which tell nobody anything.
        serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = format_args!("a field is missing or of another type, at line {line} column {column}");
            is_not(what).caused_by(error)
        })
    }

    /// The same, with the containers that `old` had where some engine could not be asked now.
    #[must_use]
    pub fn with_known_containers(mut self, old: &SavedMap) -> Self {
        for netns in &mut self.namespaces {
            let Some(before) = old.netns(netns.inode).filter(|before| before.is_own == netns.is_own) else {
                continue;
            };
            let is_missing = |one: &&SavedContainer| !netns.containers.iter().any(|two| one.is_same_as(two));
            let missing: Vec<SavedContainer> = before.containers.iter().filter(is_missing).cloned().collect();
            if !missing.is_empty() {
                netns.containers.extend(missing);
                netns.name.clone_from(&before.name);
            }
        }
        self
    }

    /// The same, with the namespaces of `old` that are there and could not be read now: `net:[4026532254]`.
    #[must_use]
    pub fn with_unread(mut self, old: &SavedMap, unread: &[String]) -> Self {
        for netns in self.namespaces.iter_mut().filter(|netns| netns.links.is_empty()) {
            // Each has loopback at least.
            let before = old.netns(netns.inode).filter(|before| before.is_own == netns.is_own);
            netns.links = before.map_or_else(Vec::new, |before| before.links.clone());
        }
        let is_missing = |netns: &&SavedNetns| {
            unread.contains(&format!("net:[{}]", netns.inode)) && self.netns(netns.inode).is_none()
        };
        let missing: Vec<SavedNetns> = old.namespaces.iter().filter(is_missing).cloned().collect();
        self.namespaces.extend(missing);
        self
    }

    /// The namespace with that inode.
    pub fn netns(&self, inode: u64) -> Option<&SavedNetns> {
        self.namespaces.iter().find(|netns| netns.inode == inode)
    }
}

impl SavedNetns {
    fn of(map: &NamedMap, netns: &common::map::MappedNetns) -> Self {
        let container = |container: &common::engine::Container| SavedContainer {
            engine: container.engine.to_string(),
            id: container.id.clone(),
            name: container.name.clone(),
            owner: Some(container.proof.claimed_by)
                .filter(|owner| !owner.is_root())
                .map(|owner| owner.as_raw()),
        };
        SavedNetns {
            inode: netns.inode,
            name: map.who(netns),
            is_own: netns.is_own,
            containers: netns.containers.iter().map(container).collect(),
            links: links_of(netns).map(|link| SavedLink::of(map, link)).collect(),
        }
    }

    /// Whether both have a container in them that is the same one.
    pub fn shares_container(&self, other: &SavedNetns) -> bool {
        let is_in = |one: &SavedContainer| other.containers.iter().any(|two| one.is_same_as(two));
        self.containers.iter().any(is_in)
    }
}

impl SavedContainer {
    /// Whether it is the same one, whatever it is called by now.
    pub fn is_same_as(&self, other: &SavedContainer) -> bool {
        (&self.engine, &self.id, self.owner) == (&other.engine, &other.id, other.owner)
    }
}

impl SavedLink {
    fn of(map: &NamedMap, at: LinkAt<'_>) -> Self {
        let link = &at.mapped.link;
        let end = at.mapped.end.map(|end| match end {
            LinkEnd::Known(place) => SavedEnd {
                netns_inode: Some(place.netns),
                ifname: map.at(place).map(LinkAt::name),
                ifindex: Some(place.index),
            },
            LinkEnd::Unseen { index } => SavedEnd { netns_inode: None, ifname: None, ifindex: index },
        });
        let (peer, lower) = if link.is_veth() { (end, None) } else { (None, end) };
        SavedLink {
            ifname: at.name(),
            ifindex: link.index,
            kind: link.kind.clone(),
            mac: link.mac.map(|mac| mac.to_string()),
            mtu: link.mtu_bytes,
            state: state(link).to_owned(),
            addresses: at.mapped.addresses.iter().map(address).collect(),
            master: map.master(at).map(LinkAt::name),
            peer,
            lower,
        }
    }
}
