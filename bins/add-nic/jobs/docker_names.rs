//! Docker calls the interfaces of a container eth0, eth1 and so on, and does not look whether the next name is free: said once, when a
//! NIC takes such a name in a container that has a network of Docker's.

use common::failure::{self, Failure, Status};
use common::target::{EngineName, IfName};

use crate::plan::input::PlanInput;
use crate::preflight::warning::afterwards;
use crate::tool::TOOL;

/// Says it on standard error, unless a name or a prefix was asked for.
pub fn note(name: &IfName, input: &PlanInput<'_>) {
    let wanted = input.wanted;
    if wanted.name.is_some() || wanted.name_prefix.is_some() || !is_on_a_docker_network(input) {
        return;
    }
    let note = Failure::said(
        Status::Yes,
        format_args!(
            "note: {name}: \"docker network connect\" fails if it wants this name for its next interface"
        ),
    );
    failure::report(TOOL, &note.hint(common::same_with!("--name-prefix net").as_ref().and_then(afterwards)));
}

/// Whether Docker has connected the container to a network: it has an interface with Docker's kind of name that is none of ours.
/// With `--network none` Docker connects it to no other.
fn is_on_a_docker_network(input: &PlanInput<'_>) -> bool {
    let is_dockers =
        input.inside.container.as_ref().is_some_and(|container| container.engine == EngineName::Docker);
    let is_ours = |name: &str| {
        let of_it = input.records.iter().filter(|record| record.is_about(input.inside));
        of_it.into_iter().any(|record| record.plan.nic.name.as_str() == name)
    };
    let mut names = input.snapshot.inside.links.iter().filter_map(|link| link.name.to_str());
    is_dockers && names.any(|name| name.starts_with("eth") && !is_ours(name))
}
