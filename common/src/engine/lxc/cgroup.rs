//! The first process of a container as control groups have it, for a monitor that cannot be asked. LXC's names of groups
//! are `lxc.payload.NAME` (`lxc/NAME` before 4.0, and on Proxmox), with `-1` and so on where that exists, beside the group
//! of PID 1 for containers of root (`src/lxc/cgroups/cgfsng.c`).
//!
//! A name says nothing by itself. The process counts if its parent is the container's monitor: one of root's processes,
//! which holds the very socket that listens under the container's name. The container cannot make itself such a parent.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{Pid, Uid};

use super::super::{ContainerState, Proof, state};
use super::monitor::FirstProcess;
use crate::mountinfo::{self, Mount};
use crate::namespace::{self, NamespaceKind};
use crate::process::{Process, ProcessError};

/// A container's first process is at its top, or where systemd puts itself, `init.scope`.
const MOST_GROUPS: usize = 64;
const MOST_PROCESSES: usize = 1024;

/// Any user may make any number of sockets, and each is a line.
const MOST_BYTES: u64 = 64 << 20;

/// A container whose process was found by its control group.
pub(super) struct CgroupContainer {
    pub(super) state: ContainerState,
    pub(super) first: FirstProcess,
}

/// Where LXC makes the groups of root's containers, in one hierarchy: every one that is there has them. Beside PID 1,
/// without the scope that systemd has put itself into.
pub(in super::super) fn group_of_host() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/1/cgroup").ok()?;
    let mountinfo = mountinfo::own().ok()?;
    let is_v2 = |mount: &Mount<'_>| mount.file_system == b"cgroup2";
    let is_systemds = |mount: &Mount<'_>| mount.super_options.ends_with(b"name=systemd");
    let mut mounts: Vec<_> = mountinfo::mounts(&mountinfo).collect();
    mounts.retain(|mount| is_v2(mount) || is_systemds(mount));
    mounts.sort_by_key(|mount| !is_v2(mount));
    // Of a mount that another one covers, nothing is there.
    mounts.iter().find_map(|mount| {
        // `0::/init.scope`, `1:name=systemd:/init.scope`
        let controllers = if is_v2(mount) { ":" } else { "name=systemd:" };
        let group = groups.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(controllers))?;
        let below = Path::new(group.trim_end_matches("init.scope")).strip_prefix(mount.root()).ok()?;
        Some(mount.path().join(below)).filter(|group| group.join("cgroup.procs").is_file())
    })
}

/// The container of root that is called `name`, and whose monitor listens under the abstract name `command`.
pub(super) fn container(name: &OsStr, command: &[u8]) -> Option<CgroupContainer> {
    let called = groups().into_iter().filter(|(group, _)| may_be_of(group.as_bytes(), name.as_bytes()));
    let mut found = called.filter_map(|(_, group)| in_group(&group));
    found.find(|(theirs, _)| theirs == command).map(|(_, container)| container)
}

/// The names under which the monitors of all containers of root listen, in whatever network namespace that is.
pub(super) fn commands() -> Vec<Vec<u8>> {
    groups().into_iter().filter_map(|(_, group)| in_group(&group)).map(|(command, _)| command).collect()
}

/// What the groups of containers are called after, and where they are.
fn groups() -> Vec<(OsString, PathBuf)> {
    let Some(top) = group_of_host() else { return vec![] };
    let of_today = names(&top).into_iter().filter_map(|group| {
        let name = group.as_bytes().strip_prefix(b"lxc.payload.")?;
        Some((OsStr::from_bytes(name).to_owned(), top.join(&group)))
    });
    let old = top.join("lxc");
    let of_old = names(&old).into_iter().map(|name| (name.clone(), old.join(name)));
    of_today.chain(of_old).collect()
}

/// The directories in a directory of the kernel's.
fn names(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.map(|entry| entry.file_name()).collect()
}

/// Whether a group called so can be of the container `name`: `NAME`, or `NAME-1` where that was taken.
fn may_be_of(group: &[u8], name: &[u8]) -> bool {
    let Some(rest) = group.strip_prefix(name) else { return false };
    match rest {
        [] => true,
        [b'-', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The container in this group, and under which name its monitor listens.
fn in_group(group: &Path) -> Option<(Vec<u8>, CgroupContainer)> {
    processes(group).into_iter().find_map(|pid| {
        let process = Process::open(pid).ok().filter(|process| process.is_init().unwrap_or(false))?;
        let command = listens_under(&monitor_of(&process)?)?;
        let proof = Proof {
            start_time_ticks: Some(process.start_time_ticks().ok()?),
            pidfd_inode: process.pidfd_inode(),
            ..Proof::word_of(Uid::from_raw(0))
        };
        let is_paused = is_frozen(group) || is_in_frozen_group(pid).unwrap_or(false);
        let state = if is_paused { ContainerState::Paused } else { ContainerState::Running };
        Some((command, CgroupContainer { state, first: FirstProcess { pid, proof } }))
    })
}

/// The processes in the group and in those below it, as far as a first one can be.
fn processes(group: &Path) -> Vec<Pid> {
    let (mut groups, mut processes) = (vec![group.to_owned()], Vec::new());
    let mut next = 0;
    while next < groups.len() && processes.len() < MOST_PROCESSES {
        let lines = state::of_kernel(&groups[next].join("cgroup.procs")).unwrap_or_default();
        // 0 is a process of a PID namespace that we do not see.
        let pids =
            String::from_utf8_lossy(&lines).lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>();
        processes.extend(pids.into_iter().filter(|pid| *pid > 0).map(Pid::from_raw));
        let below = names(&groups[next]).into_iter().map(|name| groups[next].join(name)).collect::<Vec<_>>();
        groups.extend(below);
        groups.truncate(MOST_GROUPS);
        next += 1;
    }
    processes.truncate(MOST_PROCESSES);
    processes
}

/// Its parent, if that is root's and in our PID namespace: nothing in a container is both.
fn monitor_of(process: &Process) -> Option<Process> {
    let parent = Process::open(*process.ancestors().ok()?.get(1)?).ok()?;
    let ours = namespace::own_identity(NamespaceKind::Pid).ok()?;
    let is_here = parent.namespace_identity(NamespaceKind::Pid).ok()? == ours;
    let is_roots = parent.status().ok()?.ruid == 0;
    // What was read is of the parent if the child, which is still there, is still its child.
    let is_parent = process.ancestors().ok()?.get(1) == Some(&parent.pid()) && parent.is_alive();
    (is_here && is_roots && is_parent).then_some(parent)
}

/// The abstract name under which that monitor listens; `None` if it listens under none, or it cannot be told which.
fn listens_under(monitor: &Process) -> Option<Vec<u8>> {
    let held = held_sockets(monitor).ok()?;
    let sockets = monitor.open_file("net/unix", OFlag::O_RDONLY).ok()?;
    let mut lines = BufReader::new(File::from(sockets).take(MOST_BYTES));
    let (mut line, mut found) = (Vec::new(), Vec::new());
    while lines.read_until(b'\n', &mut line).ok()? > 0 {
        found.extend(listener(&line).filter(|(inode, _)| held.contains(inode)));
        line.clear();
    }
    // A line break in another user's name can make a second line of any content.
    match <[_; 1]>::try_from(found) {
        Ok([(_, name)]) => Some(name),
        Err(_) => None,
    }
}

/// The inodes of the sockets among its descriptors.
fn held_sockets(process: &Process) -> Result<Vec<u64>, ProcessError> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid())).into_iter().flatten().flatten();
    let inode = |link: PathBuf| {
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse().ok()
    };
    let inodes = descriptors.filter_map(|entry| inode(fs::read_link(entry.path()).ok()?)).collect();
    match process.is_alive() {
        true => Ok(inodes),
        false => Err(ProcessError::Gone(process.pid())),
    }
}

/// Inode and name of a socket that listens under an abstract name, from a line of `/proc/net/unix`: `Num RefCount Protocol
/// Flags Type St Inode Path`, proc_pid_net(5).
pub(super) fn listener(line: &[u8]) -> Option<(u64, Vec<u8>)> {
    const LISTENS: &[u8] = b"00010000";
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    // A short inode has spaces before it, and a name may have them anywhere.
    let (mut fields, mut rest) = ([line; 7], line);
    for field in &mut fields {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ')?;
        (*field, rest) = rest.split_at(end);
    }
    let (flags, inode) = (fields[3], std::str::from_utf8(fields[6]).ok()?.parse().ok()?);
    let name = rest.strip_prefix(b" @")?;
    (flags == LISTENS).then(|| (inode, name.to_vec()))
}

/// Whether all of the group is frozen, as control groups of version 2 tell it (Linux 5.2).
fn is_frozen(group: &Path) -> bool {
    let events = state::of_kernel(&group.join("cgroup.events")).unwrap_or_default();
    events.split(|byte| *byte == b'\n').any(|line| line == b"frozen 1")
}

/// Whether it is frozen, as the freezer of version 1 tells it, which LXC takes where both versions are mounted.
fn is_in_frozen_group(pid: Pid) -> Option<bool> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.split_once(':')?.1.strip_prefix("freezer:"))?;
    let mountinfo = mountinfo::own().ok()?;
    let is_freezer = |mount: &Mount<'_>| {
        mount.file_system == b"cgroup"
            && mount.super_options.split(|byte| *byte == b',').any(|word| word == b"freezer")
    };
    let state = mountinfo::mounts(&mountinfo).filter(is_freezer).find_map(|mount| {
        let below = Path::new(group).strip_prefix(mount.root()).ok()?;
        state::of_kernel(&mount.path().join(below).join("freezer.state"))
    });
    state.map(|state| state.starts_with(b"FROZEN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_of_the_container_that_it_is_called_after_or_one_more_of_that_name() {
        for (group, is_its) in
            [("web", true), ("web-1", true), ("web-", false), ("web-a", false), ("webs", false)]
        {
            assert_eq!(may_be_of(group.as_bytes(), b"web"), is_its, "{group}");
        }
    }

    #[test]
    fn of_the_sockets_of_a_network_those_that_listen_under_an_abstract_name_are_read() {
        let line = |line: &str| {
            listener(line.as_bytes()).map(|(inode, name)| (inode, String::from_utf8(name).unwrap()))
        };
        let monitor =
            "000000004b3b1f35: 00000002 00000000 00010000 0001 01 59587 @/var/lib/lxc/web/command\n";
        assert_eq!(line(monitor), Some((59587, "/var/lib/lxc/web/command".to_owned())));
        let spaces = "0000000000000000: 00000002 00000000 00010000 0001 01   587 @a name \n";
        assert_eq!(line(spaces), Some((587, "a name ".to_owned())));
        for other in [
            "0000000000000000: 00000003 00000000 00000000 0001 03 59588 @/var/lib/lxc/web/command",
            "0000000000000000: 00000002 00000000 00010000 0001 01 59587 /run/docker.sock",
            "0000000000000000: 00000003 00000000 00000000 0001 03 1501",
            "Num       RefCount Protocol Flags    Type St Inode Path",
            "",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_that_listens_is_known_by_its_descriptors() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let name = format!("/var/lib/lxc/{}/command", std::process::id());
        let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let own = Process::open(Pid::this()).unwrap();
        let inodes = held_sockets(&own).unwrap();
        let sockets = fs::read("/proc/self/net/unix").unwrap();
        let mut lines = sockets.split(|byte| *byte == b'\n').filter_map(listener);
        assert!(lines.any(|(inode, found)| found == name.as_bytes() && inodes.contains(&inode)));
    }
}
