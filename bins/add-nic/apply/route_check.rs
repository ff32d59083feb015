//! Whether packets to far away take the routes that were made for them: the kernel is asked, which knows of all tables and
//! rules that there are besides ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::failure::{Failure, say};

use crate::apply::executor::{Executor, StepError};
use crate::model::change::{MAIN, PlanStep, RouteSpec, SourceRule};
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::tool::TOOL;

/// Of the networks for documentation (RFC 5737, RFC 3849), which nobody has a route to.
fn far_away(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// Says where a default route comes second, which may be what was wanted; that replies go another way was not.
pub fn verify(plan: &Plan, executor: &mut Executor) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        match step {
            PlanStep::AddRoute(way) if is_default(way) => {
                let to = far_away(way.to.address());
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
                    return Err(Failure::trouble(
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

fn is_default(way: &RouteSpec) -> bool {
    way.table == MAIN && way.place == Netns::Container && way.to.prefix_len() == 0
}

/// The name of the link, if it is not the NIC.
fn other_link(
    plan: &Plan,
    executor: &mut Executor,
    leaves: Result<Option<u32>, StepError>,
) -> Result<Option<String>, Failure> {
    let trouble = |error: StepError| Failure::trouble(&plan.nic.name, error);
    let leaves = leaves.map_err(trouble)?;
    if leaves == Some(executor.index(Netns::Container, &plan.nic.name).map_err(trouble)?) {
        return Ok(None);
    }
    let name = match leaves {
        Some(index) => executor.name_of(Netns::Container, index).map_err(trouble)?,
        None => "nothing".to_owned(),
    };
    Ok(Some(name))
}
