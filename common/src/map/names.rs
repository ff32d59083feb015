//! What each network namespace is called: by its containers, its name, its process; never twice the same. Pure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::{HostMap, MappedNetns};
use crate::engine::{Container, Pod};

/// What the tool's own network namespace is called.
pub const HOST: &str = "host";

/// As many names as help: a line with hundreds is one that nobody can read.
const MOST_NAMES: usize = 8;

/// The name of each namespace of a map, as it came: it is to be escaped before it is shown.
#[derive(Debug, Default)]
pub struct NetnsNames(HashMap<u64, String>);

impl NetnsNames {
    /// The names of all namespaces of `map`; `commands` has the name of the program of processes that may have to stand for one.
    pub fn of(map: &HostMap, commands: &HashMap<Pid, String>) -> Self {
        let containers = ContainerNames::of(map.namespaces.iter().flat_map(|netns| &netns.containers));
        let named = map.namespaces.iter().map(|netns| {
            let name = if netns.is_own { HOST.to_owned() } else { name(netns, &containers, commands) };
            (netns.inode, name)
        });
        NetnsNames(named.collect())
    }

    /// What the namespace is called; one that is not on the map by its number.
    pub fn of_netns(&self, inode: u64) -> String {
        self.0.get(&inode).cloned().unwrap_or_else(|| by_number(inode))
    }
}

fn name(netns: &MappedNetns, containers: &ContainerNames, commands: &HashMap<Pid, String>) -> String {
    containers
        .of_all(&netns.containers)
        .or_else(|| by_path(&netns.names))
        .or_else(|| by_process(&netns.processes, commands))
        .unwrap_or_else(|| by_number(netns.inode))
}

fn by_number(inode: u64) -> String {
    format!("net:[{inode}]")
}

/// The TARGET that means it: `netns:blue`, or the path of its file.
fn by_path<P: AsRef<Path>>(names: &[P]) -> Option<String> {
    let path = names.first()?.as_ref();
    let name = path.strip_prefix(crate::netns::DIRECTORY).ok();
    Some(match name.filter(|name| name.components().count() == 1) {
        Some(name) => format!("netns:{}", name.display()),
        None => path.display().to_string(),
    })
}

fn by_process(processes: &[Pid], commands: &HashMap<Pid, String>) -> Option<String> {
    let pid = processes.first()?;
    Some(match commands.get(pid) {
        Some(command) => format!("pid:{pid} ({command})"),
        None => format!("pid:{pid}"),
    })
}

/// What containers are called where all of them are shown beside each other.
#[derive(Debug, Default)]
pub struct ContainerNames(HashMap<String, usize>);

impl ContainerNames {
    /// Counts the names, so that two of one name can be distinguished.
    pub fn of<'a>(containers: impl Iterator<Item = &'a Container>) -> Self {
        let mut count = HashMap::new();
        containers.for_each(|container| *count.entry(short(container)).or_default() += 1);
        ContainerNames(count)
    }

    /// The name of one: if another has the same, the TARGET that means this one.
    pub fn of_one(&self, container: &Container) -> String {
        let name = short(container);
        match self.0.get(&name) {
            Some(2..) => container.target() + &container.of_whom(),
            _ => name,
        }
    }

    /// The names of all that share a namespace; of a pod its own name.
    pub fn of_all(&self, containers: &[Container]) -> Option<String> {
        let mut names = Vec::new();
        for container in containers {
            let name = match pod_of(container, containers) {
                Some(pod) => format!("{}/{}", pod.namespace, pod.name),
                None => self.of_one(container),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let more = match names.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(MOST_NAMES);
        (!names.is_empty()).then(|| names.join(",") + &more)
    }
}

/// The pod that the container belongs to, if its sandbox is there too: that holds the network.
fn pod_of<'a>(container: &'a Container, all: &[Container]) -> Option<&'a Pod> {
    let pod = container.pod.as_ref()?;
    let is_its_sandbox =
        |other: &Pod| other.is_sandbox && other.namespace == pod.namespace && other.name == pod.name;
    all.iter().filter_map(|other| other.pod.as_ref()).any(is_its_sandbox).then_some(pod)
}

fn short(container: &Container) -> String {
    container.full_name() + &container.of_whom()
}

impl MappedNetns {
    /// The TARGET that means it; nothing of our own namespace, and where there is none.
    pub fn target(&self) -> Option<String> {
        if self.is_own {
            return None;
        }
        if let Some(container) = self.containers.first() {
            return Some(container.target());
        }
        let by_hand = |path: &PathBuf| {
            let name = path.strip_prefix(crate::netns::DIRECTORY).ok()?.to_str()?;
            (!name.contains('/')).then(|| format!("netns:{name}"))
        };
        let named = self.names.iter().find_map(by_hand);
        let path = || self.names.first().and_then(|path| path.to_str()).map(str::to_owned);
        named.or_else(|| self.processes.first().map(|pid| format!("pid:{pid}"))).or_else(path)
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;
    use crate::target::EngineName;

    fn container(engine: EngineName, name: &str) -> Container {
        Container {
            name: name.to_owned(),
            ..Container::unknown(engine, &format!("{name}-{engine}"), Uid::from_raw(0))
        }
    }

    fn names(namespaces: Vec<MappedNetns>) -> Vec<String> {
        let inodes: Vec<u64> = namespaces.iter().map(|netns| netns.inode).collect();
        let map = HostMap { namespaces, ..HostMap::default() };
        let commands = HashMap::from([(Pid::from_raw(7), "sleep".to_owned())]);
        let names = NetnsNames::of(&map, &commands);
        inodes.into_iter().map(|inode| names.of_netns(inode)).collect()
    }

    fn netns(inode: u64) -> MappedNetns {
        MappedNetns { inode, ..MappedNetns::default() }
    }

    #[test]
    fn a_namespace_is_called_by_what_means_it_best() {
        let pids = vec![Pid::from_raw(7), Pid::from_raw(8)];
        let paths = vec![PathBuf::from("/run/netns/blue"), PathBuf::from("/x")];
        let all = vec![
            MappedNetns {
                is_own: true,
                containers: vec![container(EngineName::Docker, "hostnet")],
                ..netns(1)
            },
            MappedNetns {
                containers: vec![container(EngineName::Docker, "web")],
                names: paths.clone(),
                ..netns(2)
            },
            MappedNetns { names: paths.clone(), processes: pids.clone(), ..netns(3) },
            MappedNetns { names: vec![PathBuf::from("/run/docker/netns/1")], ..netns(4) },
            MappedNetns { processes: pids, ..netns(5) },
            MappedNetns { processes: vec![Pid::from_raw(9)], ..netns(6) },
            netns(7),
        ];
        let expected =
            ["host", "web", "netns:blue", "/run/docker/netns/1", "pid:7 (sleep)", "pid:9", "net:[7]"];
        assert_eq!(names(all), expected);
        assert_eq!(NetnsNames::default().of_netns(9), "net:[9]");
    }

    #[test]
    fn two_containers_of_one_name_are_distinguished_and_those_that_share_are_all_named() {
        let docker = |name: &str| container(EngineName::Docker, name);
        let all = vec![
            MappedNetns { containers: vec![docker("web"), docker("side")], ..netns(2) },
            MappedNetns { containers: vec![container(EngineName::Podman, "web")], ..netns(3) },
            MappedNetns { containers: (0..10).map(|at| docker(&format!("c{at}"))).collect(), ..netns(4) },
        ];
        let expected = ["docker:web,side", "podman:web", "c0,c1,c2,c3,c4,c5,c6,c7 and 2 more"];
        assert_eq!(names(all), expected);
    }

    #[test]
    fn a_pod_is_called_by_its_name_while_its_sandbox_is_there() {
        let in_pod = |name: &str, is_sandbox| Container {
            pod: Some(Pod { namespace: "prod".to_owned(), name: "shop".to_owned(), is_sandbox }),
            ..container(EngineName::Containerd, name)
        };
        let all =
            vec![MappedNetns { containers: vec![in_pod("pause", true), in_pod("app", false)], ..netns(2) }];
        assert_eq!(names(all), ["prod/shop"]);
        let all = vec![MappedNetns { containers: vec![in_pod("app", false)], ..netns(2) }];
        assert_eq!(names(all), ["prod/shop/app"]);
    }
}
