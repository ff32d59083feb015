//! What engines say of the networks of the matrix's containers.

use std::collections::HashMap;

use common::cli::{FindConfig, FindSession};
use common::engine::Container;
use common::failure::say;
use common::find::{self, NetworkAnswers};
use common::namespace::NamespaceId;

use super::expected::{ExpectedNetwork, faults};
use super::network::Network;
use super::node::Node;
use crate::network::netns::TargetNetns;
use crate::request::Families;
use crate::tool::TOOL;

/// The containers that share a network, and the networks that their engines say they are on; `None` if none tells.
type EngineNetworks = (Vec<Container>, Option<Vec<ExpectedNetwork>>);

/// What was said of each network.
pub struct EngineWords {
    told: HashMap<NamespaceId, EngineNetworks>,
    session: FindSession,
    /// Whether all engines that tell of networks could be asked.
    pub all_were_told: bool,
}

impl EngineWords {
    /// Asks about those of `running` that are in one of these networks: a pod's is its sandbox's, whatever container stands
    /// for it.
    pub fn ask<'a>(
        running: Vec<(Container, NamespaceId)>,
        held: impl Iterator<Item = &'a TargetNetns>,
        config: FindConfig,
    ) -> Self {
        let session = config.session();
        let mut told: HashMap<NamespaceId, EngineNetworks> =
            held.map(|inside| (inside.netns.identity(), (Vec::new(), None))).collect();
        let (containers, netns): (Vec<_>, Vec<_>) =
            running.into_iter().filter(|(_, netns)| told.contains_key(netns)).unzip();
        let NetworkAnswers { networks, errors } = find::networks(&containers, &session.engines);
        for error in &errors {
            say(TOOL, format_args!("{error}: networks are not compared with what they should be"));
        }
        for ((container, netns), networks) in containers.into_iter().zip(netns).zip(networks) {
            let Some((sharing, all)) = told.get_mut(&netns) else { continue };
            if let Some(networks) = networks {
                let engine = container.engine_word();
                let expected =
                    networks.into_iter().map(|network| ExpectedNetwork { engine: engine.clone(), network });
                all.get_or_insert_default().extend(expected);
            }
            sharing.push(container);
        }
        EngineWords { told, session, all_were_told: errors.is_empty() }
    }

    /// What was said of the network with this identity.
    pub fn of(&mut self, netns: NamespaceId) -> EngineNetworks {
        self.told.remove(&netns).unwrap_or_default()
    }

    /// Finds what is not as engines say.
    pub fn compare(&self, nodes: &mut [Node], families: Families) {
        self.find_default_routes(nodes, families);
        for node in nodes {
            node.faults = faults(&node.network, &node.expected, families, &node.inside.target.to_string());
        }
    }

    /// Whether a network brings a default route, Docker does not say where it names its router: an internal one has one too,
    /// and brings none. One container that has that default route proves it; else the engine is asked about the network.
    fn find_default_routes(&self, nodes: &mut [Node], families: Families) {
        let brings: Vec<(String, String)> = nodes.iter().flat_map(proven).collect();
        let mut asked: HashMap<(String, String), Option<bool>> = HashMap::new();
        for node in nodes.iter_mut() {
            for at in 0..node.expected.len() {
                let one = &node.expected[at];
                let lacks = |network: &Network| {
                    let mut gateways = one.addresses(families).filter_map(|own| own.gateway);
                    gateways.any(|gateway| !network.has_default(gateway))
                };
                if one.network.default_route.is_some() || !lacks(&node.network) {
                    continue;
                }
                let key = one.key();
                let from_engine = || {
                    let of_engine = |container: &&Container| container.engine_word() == one.engine;
                    let container = node.containers.iter().find(of_engine)?;
                    find::gives_default_route(container, &one.network.id, &self.session.engines)
                };
                let brings = match brings.contains(&key) {
                    true => Some(true),
                    false => *asked.entry(key).or_insert_with(from_engine),
                };
                node.expected[at].network.default_route = brings;
            }
        }
    }
}

/// The networks whose router is the default router of a container that is on them.
fn proven(node: &Node) -> Vec<(String, String)> {
    let routers = node.network.gateways();
    let is_default = |one: &&ExpectedNetwork| {
        let mut gateways = one.network.addresses.iter().filter_map(|own| own.gateway);
        gateways.any(|gateway| routers.iter().any(|(router, _)| *router == gateway))
    };
    node.expected.iter().filter(is_default).map(ExpectedNetwork::key).collect()
}
