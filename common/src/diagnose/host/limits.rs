//! What is full: queues of connections, connection tracking, local ports; and Docker's name server, if it is missing.

use super::facts::{FullQueue, HostFacts, NetnsFacts};
use super::{Finding, FindingKind};
use crate::engine::ContainerSource;
use crate::hint;
use crate::output::one_line;
use crate::target::EngineName;

/// Sockets that accept no connection any more.
pub(super) fn queues(facts: &HostFacts) -> Vec<Finding> {
    facts.full_queues.iter().map(|queue| full_queue(facts, queue)).collect()
}

fn full_queue(facts: &HostFacts, queue: &FullQueue) -> Finding {
    let program = match &queue.process {
        Some((pid, name)) => format!(" of {} (PID {pid})", one_line(name)),
        None => String::new(),
    };
    let text = format!(
        "{}: {} connections wait at {}{program}, where {} may: new ones are dropped",
        facts.who(queue.netns),
        queue.queued,
        queue.address,
        queue.most,
    );
    let finding = Finding::of(FindingKind::BacklogFull, queue.netns, None, text);
    match (&queue.resume, &queue.process) {
        (Some(resume), _) => finding.fixed_by([Some(resume.clone())]).advised("the container is paused"),
        (None, Some((pid, _))) if queue.is_stopped => {
            finding.fixed_by([hint!("kill -CONT {}", pid)]).advised("the process is stopped (SIGSTOP)")
        }
        _ => finding.advised("the program does not accept them fast enough: see whether it hangs, or let it listen with a greater backlog (net.core.somaxconn)"),
    }
}

/// Tables that are full, or nearly, of each namespace.
pub(super) fn tables(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for netns in &facts.map.namespaces {
        let Some(own) = facts.of(netns.inode) else { continue };
        found.extend(conntrack(facts, netns.inode, own));
        found.extend(local_ports(facts, netns.inode, own));
    }
    found
}

fn conntrack(facts: &HostFacts, inode: u64, own: &NetnsFacts) -> Option<Finding> {
    let table = own.conntrack.filter(|table| table.is_nearly_full())?;
    let text = format!(
        "{}: connection tracking has {} of {} connections: when it is full, new ones are dropped",
        facts.who(inode),
        table.used,
        table.most
    );
    let finding = Finding::of(FindingKind::ConntrackFull, inode, None, text);
    let most = table.most.saturating_mul(2);
    // It is one number for all namespaces, and only the first of them can set it.
    Some(finding.fixed_by([hint!("sysctl -w net.netfilter.nf_conntrack_max={}", most)]))
}

fn local_ports(facts: &HostFacts, inode: u64, own: &NetnsFacts) -> Option<Finding> {
    let ports = own.local_ports.filter(|ports| ports.ports.is_nearly_full())?;
    let (first, last) = ports.range;
    let text = format!(
        "{}: {} of the {} local ports from {first} to {last} are in use for connections to {}",
        facts.who(inode),
        ports.ports.used,
        ports.ports.most,
        ports.to
    );
    let finding = Finding::of(FindingKind::LocalPortsFull, inode, None, text);
    let advice = "better let the program use its connections again";
    // Others may listen at ports below 10000.
    let (wide, enough) = (10_000, ports.ports.used.saturating_mul(10) < u64::from(65_535_u16 - 10_000) * 9);
    if first <= wide || !enough {
        return Some(finding.advised(advice));
    }
    let range = format!("net.ipv4.ip_local_port_range={wide} 65535");
    Some(finding.fixed_by([facts.inside(inode, hint!("sysctl -w {}", range))]).advised(advice))
}

/// Containers that ask Docker's name server, which is not there.
pub(super) fn name_servers(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for netns in &facts.map.namespaces {
        let of_docker = netns.containers.iter().find(|container| container.engine == EngineName::Docker);
        let Some(container) =
            of_docker.filter(|_| facts.of(netns.inode).is_some_and(|own| own.lacks_docker_dns))
        else {
            continue;
        };
        let text = format!(
            "{}: /etc/resolv.conf names 127.0.0.11, Docker's name server, and nothing listens there",
            facts.who(netns.inode)
        );
        let finding = Finding::of(FindingKind::DnsMissing, netns.inode, None, text);
        found.push(match container.source {
            ContainerSource::Api => finding.fixed_by([hint!("docker restart {}", container.name)]),
            // It is dockerd that listens there.
            ContainerSource::State => finding.advised("dockerd does not answer: start it"),
        });
    }
    found
}
