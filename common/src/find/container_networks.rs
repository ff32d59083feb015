//! What engines say of the networks of containers. Each engine is asked once, for all of its containers.

use std::collections::HashMap;

use crate::engine::{
    Container, ContainerNetwork, Engine, EngineError, EngineSession, engines, engines_of_user,
};

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
