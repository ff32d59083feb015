//! Whether packets to far away take the routes that were made for them: the kernel is asked, which knows of all tables and
//! rules that there are besides ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::failure::{Failure, say};

use crate::apply::executor::{WireError, Wires};
use crate::model::change::{MAIN, SourceRule, Step, Way};
use crate::model::netns::Place;
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
pub fn look(plan: &Plan, wires: &mut Wires) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        match step {
            Step::AddRoute(way) if is_default(way) => {
                let to = far_away(way.to.address());
                let leaves = wires.way_to(Place::Inside, to);
                if let Some(other) = elsewhere(plan, wires, leaves)? {
                    let nic = &plan.nic.name;
                    say(
                        TOOL,
                        format_args!("{nic}: packets to far away still leave by {other}, which comes first"),
                    );
                }
            }
            Step::AddRule(SourceRule { source, .. }) => {
                let leaves = wires.way_from(Place::Inside, *source, far_away(*source));
                if let Some(other) = elsewhere(plan, wires, leaves)? {
                    return Err(Failure::trouble(
                        source,
                        format_args!("replies from there would leave by {other}"),
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_default(way: &Way) -> bool {
    way.table == MAIN && way.place == Place::Inside && way.to.prefix_len() == 0
}

/// The name of the link, if it is not the NIC.
fn elsewhere(
    plan: &Plan,
    wires: &mut Wires,
    leaves: Result<Option<u32>, WireError>,
) -> Result<Option<String>, Failure> {
    let trouble = |error: WireError| Failure::trouble(&plan.nic.name, error);
    let leaves = leaves.map_err(trouble)?;
    if leaves == Some(wires.index(Place::Inside, &plan.nic.name).map_err(trouble)?) {
        return Ok(None);
    }
    let name = match leaves {
        Some(index) => wires.name_of(Place::Inside, index).map_err(trouble)?,
        None => "nothing".to_owned(),
    };
    Ok(Some(name))
}
