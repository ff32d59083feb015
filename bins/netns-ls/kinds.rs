//! Namespaces of all eight kinds, read from the processes that are in them and the mounts of their files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::mountinfo;
use common::namespace::{Namespace, NamespaceId, NamespaceKind, own_identity};
use common::process::Process;
use nix::sys::stat::stat;
use nix::unistd::{Pid, Uid};

/// A namespace, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindredNamespace {
    pub kind: NamespaceKind,
    pub inode: u64,
    /// Whether the tool itself is in it.
    pub is_own: bool,
    /// By ascending PID.
    pub processes: Vec<Pid>,
    /// The program of the first of them.
    pub command: Option<String>,
    /// The user that owns the user namespace that owns it; nothing where the kernel does not tell.
    pub owner: Option<Uid>,
    /// Where its file is mounted.
    pub mounts: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Holders {
    processes: Vec<Pid>,
    mounts: Vec<PathBuf>,
}

/// All that a process that we may look at is in, or that are mounted where we can see it; by kind, our own first.
///
/// # Errors
/// When there is no `/proc`.
pub fn read() -> Result<Vec<KindredNamespace>, Failure> {
    let mut holders: BTreeMap<(NamespaceKind, NamespaceId), Holders> = BTreeMap::new();
    for pid in pids()? {
        for kind in NamespaceKind::ALL {
            // It has ended, or is hidden from us, or the kernel has no such kind.
            let Ok(stat) = stat(file_of(pid, kind).as_path()) else { continue };
            holders.entry((kind, NamespaceId::from(&stat))).or_default().processes.push(pid);
        }
    }
    let mountinfo =
        mountinfo::own().map_err(|error| Failure::failed("/proc/thread-self/mountinfo", error))?;
    for (kind, path) in mountinfo::mounts(&mountinfo).filter_map(|mount| mounted(&mount)) {
        let Ok(stat) = stat(&path) else { continue };
        let mounts = &mut holders.entry((kind, NamespaceId::from(&stat))).or_default().mounts;
        if !mounts.contains(&path) {
            mounts.push(path);
        }
    }
    let mut all: Vec<KindredNamespace> = holders
        .into_iter()
        .map(|((kind, identity), holders)| KindredNamespace::of(kind, identity, holders))
        .collect();
    all.sort_by_key(|one| (one.kind, !one.is_own, one.inode));
    Ok(all)
}

impl KindredNamespace {
    fn of(kind: NamespaceKind, identity: NamespaceId, holders: Holders) -> Self {
        let Holders { processes, mounts } = holders;
        let first = processes.first().copied();
        let way = first.map(|pid| file_of(pid, kind)).or_else(|| mounts.first().cloned());
        KindredNamespace {
            kind,
            inode: identity.inode,
            is_own: own_identity(kind).is_ok_and(|own| own == identity),
            command: first.and_then(|pid| command(pid, kind, identity)),
            owner: way.and_then(|way| owner(&way, kind, identity)),
            processes,
            mounts,
        }
    }
}

fn pids() -> Result<Vec<Pid>, Failure> {
    let entries = fs::read_dir("/proc").map_err(|error| Failure::failed("/proc", error))?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut pids: Vec<Pid> = numbers.map(Pid::from_raw).collect();
    pids.sort_unstable();
    Ok(pids)
}

fn file_of(pid: Pid, kind: NamespaceKind) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/{kind}"))
}

/// The kind of namespace that is mounted there, if one is.
fn mounted(mount: &mountinfo::Mount<'_>) -> Option<(NamespaceKind, PathBuf)> {
    if mount.file_system != b"nsfs" {
        return None;
    }
    let root = mount.root();
    let (word, _) = root.to_str()?.split_once(":[")?;
    let kind = NamespaceKind::ALL.into_iter().find(|kind| kind.as_str() == word)?;
    Some((kind, mount.path()))
}

/// The program of a process that is still in that namespace: another one may have its PID by now.
fn command(pid: Pid, kind: NamespaceKind, identity: NamespaceId) -> Option<String> {
    let process = Process::open(pid).ok()?;
    process.namespace_identity(kind).ok().filter(|now| *now == identity)?;
    let command = process.read("comm").ok()?;
    Some(String::from_utf8_lossy(&command).trim_end_matches('\n').to_owned())
}

fn owner(way: &Path, kind: NamespaceKind, identity: NamespaceId) -> Option<Uid> {
    let namespace = Namespace::open(way, kind).ok().filter(|now| now.identity() == identity)?;
    match kind {
        NamespaceKind::User => namespace.owner_uid().ok(),
        _ => namespace.owner().ok()?.owner_uid().ok(),
    }
}
