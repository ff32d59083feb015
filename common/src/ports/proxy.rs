//! Docker's userland proxy: a process for each published port, which connects to the container itself. What it is told to do
//! stands in its command line, and any program can call itself so: it counts for a socket that it listens with, and only if it is
//! root's and in no container.

use std::net::IpAddr;

use crate::find::foreign_ids;
use crate::namespace::{self, NamespaceKind};
use crate::process::Process;
use crate::target::Transport;

/// Where a docker-proxy hands connections on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DockerProxy {
    /// TCP or UDP.
    pub transport: Transport,
    /// The port that it listens at.
    pub host_port: u16,
    /// The container's address.
    pub container_address: IpAddr,
    /// The port there.
    pub container_port: u16,
}

impl DockerProxy {
    /// What the process is told to do, if it is one.
    pub(super) fn of(process: &Process, name: &str) -> Option<Self> {
        // comm is cut off after 15 bytes; "docker-proxy" has 12, "rootlesskit-docker-proxy" is another.
        (name == "docker-proxy" && is_of_the_host(process)).then(|| process.read("cmdline").ok())?.and_then(
            |line| {
                let words: Option<Vec<&str>> =
                    line.split(|byte| *byte == 0).map(|word| std::str::from_utf8(word).ok()).collect();
                DockerProxy::told(&words?)
            },
        )
    }

    /// `docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80`
    fn told(words: &[&str]) -> Option<Self> {
        let value = |option: &str| {
            let at = words.iter().position(|word| word.trim_start_matches('-') == option)?;
            words.get(at + 1).copied()
        };
        let transport = match value("proto")? {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return None,
        };
        Some(DockerProxy {
            transport,
            host_port: value("host-port")?.parse().ok()?,
            container_address: value("container-ip")?.parse().ok()?,
            container_port: value("container-port")?.parse().ok()?,
        })
    }
}

/// Root of our user namespace, in our PID namespace, and in no control group that is called after a container.
fn is_of_the_host(process: &Process) -> bool {
    let is_ours = |kind| {
        let own = namespace::own_identity(kind).ok();
        own.is_some() && process.namespace_identity(kind).ok() == own
    };
    let is_root = process.status().is_ok_and(|status| [status.ruid, status.euid, status.suid] == [0; 3]);
    let is_in_container = || foreign_ids(process).map_or(true, |ids| !ids.is_empty());
    is_root && is_ours(NamespaceKind::User) && is_ours(NamespaceKind::Pid) && !is_in_container()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_command_line_says_where_it_hands_connections_on_to() {
        let line = "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80 -use-listen-fd";
        let words: Vec<&str> = line.split(' ').collect();
        let proxy = DockerProxy::told(&words).unwrap();
        assert_eq!((proxy.transport, proxy.host_port, proxy.container_port), (Transport::Tcp, 8080, 80));
        assert_eq!(proxy.container_address, IpAddr::from([172, 17, 0, 2]));
        for count in [0, 1, 4, 9, 10] {
            assert_eq!(DockerProxy::told(&words[..count]), None);
        }
    }

    #[test]
    fn a_program_that_is_called_something_else_is_none() {
        let own = Process::open(nix::unistd::Pid::this()).unwrap();
        assert_eq!(DockerProxy::of(&own, "nginx"), None);
        assert_eq!(DockerProxy::of(&own, "docker-proxy"), None, "our command line tells nothing of the kind");
    }
}
