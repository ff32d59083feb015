//! What engines say of containers that have no default route: whether they are to have one.

use common::cli::FindSession;
use common::diagnose::host::{HostFacts, NetnsFacts};
use common::engine::{Container, ContainerNetwork};
use common::find::{gives_default_route, networks};

/// Asks the engines of those that have an address and no default route; of others it does not matter.
pub fn expectations(facts: &mut HostFacts, session: &FindSession) {
    let without: Vec<(u64, Container)> = facts
        .map
        .namespaces
        .iter()
        .filter(|netns| !netns.is_own && facts.netns.get(&netns.inode).is_some_and(lacks_default_route))
        .filter_map(|netns| Some((netns.inode, netns.containers.first()?.clone())))
        .collect();
    if without.is_empty() {
        return;
    }
    let (inodes, containers): (Vec<u64>, Vec<Container>) = without.into_iter().unzip();
    let told = networks(&containers, &session.engines).networks;
    for ((inode, container), its) in inodes.into_iter().zip(&containers).zip(told) {
        let expected = its.and_then(|its| is_expected(container, &its, session));
        if let Some(known) = facts.netns.get_mut(&inode) {
            known.expects_default_route = expected;
        }
    }
}

fn lacks_default_route(facts: &NetnsFacts) -> bool {
    let routes = facts.routes.as_deref().unwrap_or_default();
    let is_default = |route: &common::netlink::Route| {
        route.destination.prefix_len() == 0 && route.destination.address().is_ipv4()
    };
    !routes.is_empty() && !routes.iter().any(is_default)
}

/// Whether one of its networks gives it a default route; nothing where that is not known.
fn is_expected(container: &Container, networks: &[ContainerNetwork], session: &FindSession) -> Option<bool> {
    let gives = |network: &ContainerNetwork| {
        network.default_route.or_else(|| gives_default_route(container, &network.id, &session.engines))
    };
    let all: Vec<Option<bool>> = networks.iter().map(gives).collect();
    match () {
        () if all.contains(&Some(true)) => Some(true),
        () if all.iter().all(|gives| *gives == Some(false)) => Some(false),
        () => None,
    }
}
