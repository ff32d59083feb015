//! Whether traffic uses the new routes: the kernel is asked, which knows all tables and rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::failure::{Failure, say};

use crate::apply::executor::{Executor, StepError};
use crate::model::change::{MAIN, PlanStep, RouteSpec, SourceRule};
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::tool::TOOL;

/// An address of the documentation networks (RFC 5737, RFC 3849), which no specific route covers.
fn far_away(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// Reports a default route that does not take precedence, which may be intended. Replies through another link are an error.
pub fn verify(plan: &Plan, executor: &mut Executor) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        match step {
            PlanStep::AddRoute(spec) if is_default(spec) => {
                let to = far_away(spec.to.address());
                let leaves = executor.route_to(Netns::Container, to);
                if let Some(other) = other_link(plan, executor, leaves)? {
                    let nic = &plan.nic.name;
                    say(
                        TOOL,
                        format_args!(
                            "{nic}: traffic to other networks still leaves by {other}, which takes precedence"
                        ),
                    );
                }
            }
            PlanStep::AddRule(SourceRule { source, .. }) => {
                let leaves = executor.route_from(Netns::Container, *source, far_away(*source));
                if let Some(other) = other_link(plan, executor, leaves)? {
                    return Err(Failure::failed(
                        source,
                        format_args!("replies from this address would leave by {other}"),
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_default(spec: &RouteSpec) -> bool {
    spec.table == MAIN && spec.netns == Netns::Container && spec.to.prefix_len() == 0
}

/// The name of the link, if it is not the NIC.
fn other_link(
    plan: &Plan,
    executor: &mut Executor,
    leaves: Result<Option<u32>, StepError>,
) -> Result<Option<String>, Failure> {
    let as_failure = |error: StepError| Failure::failed(&plan.nic.name, error);
    let leaves = leaves.map_err(as_failure)?;
    if leaves == Some(executor.index(Netns::Container, &plan.nic.name).map_err(as_failure)?) {
        return Ok(None);
    }
    let name = match leaves {
        Some(index) => executor.name_of(Netns::Container, index).map_err(as_failure)?,
        None => "nothing".to_owned(),
    };
    Ok(Some(name))
}
