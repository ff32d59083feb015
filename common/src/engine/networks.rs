//! The networks that a container is on, as its engine says: what its links, addresses and routes should be. Whoever asks pays
//! for it; no look-up of a container does.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;

use super::{Container, Engine, EngineError, EngineSession, engines, engines_of_user};
use crate::cidr::Cidr;
use crate::target::Mac;

/// A network that an engine has put a container on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerNetwork {
    /// As the engine calls it.
    pub name: String,
    /// What no other network of that engine has; Podman's and CNI's is the name.
    pub id: String,
    /// The container's addresses there.
    pub addresses: Vec<NetworkAddress>,
    /// The MAC of the container's link.
    pub mac: Option<Mac>,
    /// The name of that link, where the engine tells.
    pub interface: Option<String>,
    /// Whether the network brings default routes; `None` where that is not known yet ([`gives_default_route`]).
    pub default_route: Option<bool>,
}

/// An address of a container on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NetworkAddress {
    /// The address, and the prefix length of its network.
    pub address: Cidr,
    /// The network's own router.
    pub gateway: Option<IpAddr>,
}

/// What engines said of the networks of containers.
#[derive(Debug, Default)]
pub struct NetworkAnswers {
    /// In the order of the containers; `None` of one whose engine does not tell.
    pub networks: Vec<Option<Vec<ContainerNetwork>>>,
    /// Why some of these do not.
    pub errors: Vec<EngineError>,
}

/// What their engines say of the networks of these containers. Each engine is asked once, for all of its containers.
pub fn networks(containers: &[Container], session: &EngineSession) -> NetworkAnswers {
    let mut answers = NetworkAnswers { networks: vec![None; containers.len()], errors: Vec::new() };
    let mut groups: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, container) in containers.iter().enumerate() {
        groups.entry((container.engine, container.stranger())).or_default().push(at);
    }
    for places in groups.into_values() {
        let ids: Vec<&str> = places.iter().map(|at| containers[*at].id.as_str()).collect();
        for engine in engines_of(&containers[places[0]], session) {
            match engine.networks(&ids) {
                Ok(told) => {
                    for at in &places {
                        let networks = told.get(&containers[*at].id);
                        answers.networks[*at] = answers.networks[*at].take().or_else(|| networks.cloned());
                    }
                }
                Err(error) if error.is_absence() => {}
                Err(error) => answers.errors.push(error),
            }
        }
    }
    answers
}

/// Whether the network of that ID gives the containers that are on it default routes, as the engine of `container` says.
pub fn gives_default_route(container: &Container, network: &str, session: &EngineSession) -> Option<bool> {
    engines_of(container, session).iter().find_map(|engine| engine.gives_default_route(network))
}

fn engines_of(container: &Container, session: &EngineSession) -> Vec<Box<dyn Engine>> {
    match container.stranger() {
        None => engines(Some(container.engine), session),
        Some(user) => engines_of_user(container.engine, user, session),
    }
}
