//! Programs that the kernel runs for packets, and queueing disciplines that somebody has set: listed, not judged. XDP comes with
//! the links themselves; this is what takes more requests.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::AttachedProgram;
use crate::mountinfo::{self, mounts};
use crate::netlink::{Link, NetlinkError, Socket, TrafficDirection};
use crate::sys;

/// Places of a link, and of a control group's sockets and packets, with their numbers: linux/bpf.h, enum bpf_attach_type.
const LINK_HOOKS: [(u32, &str); 2] = [(46, "tcx ingress"), (47, "tcx egress")];
const NETKIT_HOOKS: [(u32, &str); 2] = [(54, "netkit primary"), (55, "netkit peer")];
const CGROUP_HOOKS: [(u32, &str); 13] = [
    (0, "cgroup ingress"),
    (1, "cgroup egress"),
    (2, "cgroup sock_create"),
    (3, "cgroup sock_ops"),
    (8, "cgroup bind4"),
    (9, "cgroup bind6"),
    (10, "cgroup connect4"),
    (11, "cgroup connect6"),
    (14, "cgroup sendmsg4"),
    (15, "cgroup sendmsg6"),
    (19, "cgroup recvmsg4"),
    (20, "cgroup recvmsg6"),
    (22, "cgroup setsockopt"),
];

/// A program, and the index of the link that it is attached to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkProgram {
    /// The link.
    pub index: u32,
    /// The program.
    pub program: AttachedProgram,
}

/// The programs of all links of the namespace that `socket` belongs to and that this thread is in; and why those of tcx could not
/// be asked for.
pub(super) fn of_links(socket: &mut Socket) -> Result<(Vec<LinkProgram>, Option<String>), NetlinkError> {
    let mut found = FoundPrograms::default();
    for (link, xdp) in socket.links_with_xdp()? {
        xdp.into_iter().for_each(|id| found.bpf(link.index, "xdp", id));
        let is_netkit = link.kind.as_deref() == Some("netkit");
        for (place, hook) in LINK_HOOKS.iter().chain(NETKIT_HOOKS.iter().filter(|_| is_netkit)) {
            found.attached(&link, *place, hook);
        }
    }
    for discipline in socket.queue_disciplines()? {
        if discipline.holds_filters() {
            found.filters(socket, discipline.index)?;
        }
        found.add(discipline.index, "qdisc", None, Some(discipline.kind));
    }
    found.programs.sort();
    let refused = found.refused.map(|errno| match errno {
        Errno::EPERM => "those of tcx: CAP_NET_ADMIN over the host's user namespace is missing".to_owned(),
        errno => format!("those of tcx: {}", std::io::Error::from(errno)),
    });
    Ok((found.programs, refused))
}

#[derive(Debug, Default)]
struct FoundPrograms {
    programs: Vec<LinkProgram>,
    refused: Option<Errno>,
}

impl FoundPrograms {
    fn add(&mut self, index: u32, hook: &str, id: Option<u32>, name: Option<String>) {
        self.programs
            .push(LinkProgram { index, program: AttachedProgram { hook: hook.to_owned(), id, name } });
    }

    fn bpf(&mut self, index: u32, hook: &str, id: u32) {
        self.add(index, hook, Some(id), name_of(id));
    }

    fn attached(&mut self, link: &Link, place: u32, hook: &str) {
        match sys::bpf_programs_of_link(link.index, place) {
            Ok(ids) => ids.into_iter().for_each(|id| self.bpf(link.index, hook, id)),
            // The kernel has no such place, nor any program there; or the link is gone, or of another kind.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {}
            Err(errno) => self.refused = Some(errno),
        }
    }

    fn filters(&mut self, socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
        for (direction, hook) in
            [(TrafficDirection::Ingress, "tc ingress"), (TrafficDirection::Egress, "tc egress")]
        {
            for filter in socket.traffic_filters(index, direction)? {
                let name = filter.program_name.unwrap_or(filter.kind);
                self.add(index, hook, filter.program_id, Some(name));
            }
        }
        Ok(())
    }
}

fn name_of(id: u32) -> Option<String> {
    let name = sys::bpf_program_name(id).ok().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// The programs that are run for sockets and packets of the control groups that these processes are in (cgroup v2), those of the groups
/// above included, each once. None where the kernel has no such programs, or does not let us look.
pub fn cgroup_programs(processes: &[Pid]) -> Vec<AttachedProgram> {
    let Ok(mountinfo) = mountinfo::own() else { return Vec::new() };
    let groups = processes.iter().filter_map(|pid| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        group_directory(&mountinfo, Path::new(path))
    });
    let mut programs = Vec::new();
    for group in groups.collect::<BTreeSet<_>>() {
        let Ok(directory) = File::open(group) else { continue };
        for (place, hook) in CGROUP_HOOKS {
            for id in sys::bpf_programs_of_cgroup(directory.as_fd(), place).unwrap_or_default() {
                programs.push(AttachedProgram { hook: hook.to_owned(), id: Some(id), name: name_of(id) });
            }
        }
    }
    programs.sort();
    programs.dedup();
    programs
}

/// Where that control group of cgroup v2 is: `/user.slice` below a mount of the root, or of a group that it is in. Later mounts hide
/// earlier ones.
fn group_directory(mountinfo: &[u8], group: &Path) -> Option<PathBuf> {
    let mounted: Vec<_> = mounts(mountinfo).filter(|mount| mount.file_system == b"cgroup2").collect();
    mounted.iter().rev().find_map(|mount| {
        let below = group.strip_prefix(mount.root()).ok()?;
        Some(mount.path().join(below))
    })
}

impl AttachedProgram {
    /// As it is shown: its hook, and its name or ID. The name is what somebody called it.
    pub fn shown(&self) -> String {
        let name = match (&self.name, self.id) {
            (Some(name), _) => Cow::Borrowed(name.as_str()),
            (None, Some(id)) => Cow::Owned(format!("program {id}")),
            (None, None) => return self.hook.clone(),
        };
        format!("{} {name}", self.hook)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_name_is_shown_by_its_number() {
        let program = AttachedProgram { hook: "xdp".to_owned(), id: Some(7), name: None };
        assert_eq!(program.shown(), "xdp program 7");
        assert_eq!(AttachedProgram { name: Some("drop".to_owned()), ..program }.shown(), "xdp drop");
    }

    #[test]
    fn a_group_is_below_the_last_mount_of_version_2_that_has_it() {
        let lines = b"\
31 30 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 33 0:30 /lab /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let directory = |group: &str| group_directory(lines, Path::new(group));
        assert_eq!(directory("/lab/web"), Some(PathBuf::from("/sys/fs/cgroup/unified/web")));
        assert_eq!(directory("/labs/web"), Some(PathBuf::from("/sys/fs/cgroup/unified/labs/web")));
        assert_eq!(group_directory(b"", Path::new("/web")), None);
    }
}
