//! The evidence of `--why`: what is read of every network namespace beside its links, for the judge.

mod engines;
mod names;
mod ports;
mod settings;

use common::cli::FindSession;
use common::diagnose::host::{HostFacts, NetnsFacts};
use common::failure::Failure;
use common::firewall::{NamedSet, NetnsFilters};
use common::map::{MappedNetns, UnseenNamespaces, Visit, WantedDetails, details, walk};
use common::netns::Home;

use crate::named_map::NamedMap;

/// What `details` calls packet filters where it could not read them.
const FILTERS: &str = "packet filters";

/// Everything that the judge asks of the host, and what could not be read, a line each.
#[derive(Debug)]
pub struct HostEvidence {
    pub facts: HostFacts,
    pub not_read: Vec<String>,
}

/// Reads it. The namespaces are those of the map; one that has come since is left out.
///
/// # Errors
/// When not even our own network can be read.
pub fn collect(map: &NamedMap, session: &FindSession) -> Result<HostEvidence, Failure> {
    let mut not_read = Vec::new();
    let home = Home::current()?;
    let walk = walk(|visit| {
        let Some(netns) = map.netns(visit.entry.identity.inode) else { return Ok(None) };
        let (facts, why) = read(&home, &visit, netns);
        not_read.extend(why.into_iter().map(|why| format!("{}: {why}", map.who(netns))));
        Ok(Some((netns.inode, facts)))
    })?;
    // Processes that are hidden were told of with the map.
    let unseen = UnseenNamespaces { processes: 0, ..walk.unseen };
    not_read.extend((!unseen.is_empty()).then(|| unseen.to_string()));
    let mut facts =
        HostFacts { map: map.map.clone(), netns: walk.seen.into_iter().collect(), ..HostFacts::default() };
    for netns in &map.map.namespaces {
        let known = facts.netns.entry(netns.inode).or_default();
        known.name = map.who(netns);
        known.target = netns.target();
    }
    facts.stale_names = names::stale(&map.map)?;
    engines::expectations(&mut facts, session);
    not_read.extend(ports::read(&mut facts)?);
    not_read.sort();
    not_read.dedup();
    Ok(HostEvidence { facts, not_read })
}

/// What is read of one namespace, and what of it could not be.
fn read(home: &Home, visit: &Visit<'_>, netns: &MappedNetns) -> (NetnsFacts, Vec<String>) {
    let has_bridge = netns.links.iter().any(|link| link.link.is_bridge());
    let wanted = WantedDetails {
        routes: true,
        neighbours: true,
        fdb: has_bridge,
        // Programs have to be run for them: only where packets are forwarded.
        firewall: netns.is_own || has_bridge,
        ..WantedDetails::default()
    };
    let (mut facts, mut why) = (NetnsFacts::default(), Vec::new());
    match details(&visit.namespace, wanted) {
        Ok(read) => {
            let of_filters = |(what, _): &(&str, String)| *what == FILTERS;
            let is_whole = !read.not_read.iter().any(of_filters);
            why.extend(read.not_read.iter().map(|(what, why)| format!("{what}: {why}")));
            facts.routes = read.routes;
            facts.neighbours = read.neighbours;
            facts.fdb = read.fdb;
            facts.filters = read.firewall.map(|chains| {
                let sets =
                    home.inside(&visit.namespace, || NamedSet::read_mentioned(&chains)).unwrap_or_default();
                NetnsFilters { chains, sets, is_whole, unread: read.unread }
            });
        }
        Err(error) => why.push(error.to_string()),
    }
    if let Err(errno) = home.inside(&visit.namespace, || settings::read(&mut facts, netns)) {
        why.push(std::io::Error::from(errno).to_string());
    }
    (facts, why)
}
