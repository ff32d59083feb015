//! Namespaces of all kinds, as lsns(8) shows them, with their containers and owners: a table, or JSON.

use std::collections::HashMap;

use common::engine::Container;
use common::map::{ContainerNames, HOST};
use common::namespace::NamespaceKind;
use common::output::{self, one_line};
use serde::Serialize;

use super::interfaces::shown;
use super::link_words::NOTHING;
use crate::kinds::KindredNamespace;

const HEADER: [&str; 7] = ["KIND", "INODE", "PROCESSES", "PID", "COMMAND", "OWNER", "WHO"];

/// The columns that a narrow terminal omits, in this order: OWNER, COMMAND, PROCESSES, PID.
const SPARED: [usize; 4] = [5, 4, 2, 3];

/// The containers whose first process is in a namespace of that kind and number.
pub type ContainersInside<'a> = HashMap<(NamespaceKind, u64), Vec<&'a Container>>;

/// One of them in JSON.
#[derive(Debug, Serialize)]
pub struct NamespaceEntry<'a> {
    kind: NamespaceKind,
    inode: u64,
    is_own: bool,
    processes: Vec<i32>,
    command: Option<&'a str>,
    owner_uid: Option<u32>,
    mounts: Vec<String>,
    containers: &'a [&'a Container],
}

/// A table of them.
pub fn table(all: &[KindredNamespace], inside: &ContainersInside<'_>, quiet: bool) -> String {
    let names = ContainerNames::of(distinct(inside).into_iter());
    let mut table = output::table(HEADER, &[1, 2, 3]);
    for one in all {
        let or_dash = |words: Option<String>| words.unwrap_or_else(|| NOTHING.to_owned());
        table.add_row([
            one.kind.to_string(),
            one.inode.to_string(),
            one.processes.len().to_string(),
            or_dash(one.processes.first().map(ToString::to_string)),
            or_dash(one.command.as_deref().map(|command| one_line(command).into_owned())),
            or_dash(one.owner.map(|owner| match owner.is_root() {
                true => "root".to_owned(),
                false => format!("user {owner}"),
            })),
            one_line(&who(one, inside, &names)).into_owned(),
        ]);
    }
    shown(table, &SPARED, quiet)
}

/// The same as JSON.
pub fn entries<'a>(all: &'a [KindredNamespace], inside: &'a ContainersInside<'a>) -> Vec<NamespaceEntry<'a>> {
    let entry = |one: &'a KindredNamespace| NamespaceEntry {
        kind: one.kind,
        inode: one.inode,
        is_own: one.is_own,
        processes: one.processes.iter().map(|pid| pid.as_raw()).collect(),
        command: one.command.as_deref(),
        owner_uid: one.owner.map(|owner| owner.as_raw()),
        mounts: one.mounts.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
        containers: inside.get(&(one.kind, one.inode)).map_or(&[][..], Vec::as_slice),
    };
    all.iter().map(entry).collect()
}

/// Each container once, in however many kinds of namespaces it is.
fn distinct<'a>(inside: &ContainersInside<'a>) -> Vec<&'a Container> {
    let all = inside.values().flatten().map(|container| (container.key(), *container));
    all.collect::<HashMap<_, _>>().into_values().collect()
}

fn who(one: &KindredNamespace, inside: &ContainersInside<'_>, names: &ContainerNames) -> String {
    let containers = inside.get(&(one.kind, one.inode));
    let containers: Vec<Container> = containers.into_iter().flatten().map(|one| (*one).clone()).collect();
    let names = names.of_all(&containers);
    let host = one.is_own.then(|| HOST.to_owned());
    let place = || one.mounts.first().map(|path| path.to_string_lossy().into_owned());
    let words: Vec<String> = host.into_iter().chain(names).collect();
    match words.is_empty() {
        true => place().unwrap_or_else(|| NOTHING.to_owned()),
        false => words.join(","),
    }
}
