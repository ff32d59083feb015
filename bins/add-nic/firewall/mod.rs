//! Packet filters: a table of our own in nf_tables, and the rules that let packets through other people's iptables.

mod accept;
mod act;
mod listing;
mod plan;
mod ports;
mod program;
mod publish;
mod refuse;
mod rules;
mod term;
mod wall;
mod wanted;

use common::failure::Failure;

use crate::journal::Record;
use crate::plan::Plan;
use crate::step::Step;
use crate::wanted::Wanted;
pub use accept::Accept;
pub use act::{FilterError, add_rules, add_table, delete_rules, delete_table};
pub use listing::Listing;
pub use plan::{needed_settings, steps};
pub use publish::Published;
pub use rules::{FAMILY, Rules, TABLE};
pub use wall::{Asked, Wall};
pub use wanted::WantedRules;

/// What there is that `wanted` needs, and what became of what `records` have; nothing where neither is about filters.
pub fn look<'a>(wanted: Option<&Wanted>, records: impl Iterator<Item = &'a Record>) -> Result<Wall, Failure> {
    let wants = wanted.filter(|wanted| !wanted.firewall.is_empty());
    let mut asked = Asked {
        rules: true,
        listeners: wants.is_some_and(|wanted| !wanted.firewall.publish.is_empty()),
        ..Asked::default()
    };
    let theirs = records.map(|record| &record.wanted).filter(|wanted| !wanted.firewall.is_empty());
    for wanted in theirs.chain(wants) {
        for cidr in &wanted.addresses {
            asked.families[usize::from(cidr.address().is_ipv6())] = true;
        }
    }
    if asked.families == [false; 2] { Ok(Wall::default()) } else { Wall::look(asked) }
}

/// Has nft and the kernel look at the plan's rules before anything is touched: what one of them lacks is known then.
pub fn rehearse(plan: &Plan) -> Result<(), Failure> {
    for (step, _) in &plan.steps {
        if let Step::AddRules(rules) = step {
            act::rehearse(rules).map_err(|error| {
                Failure::trouble(error, "so the rules are refused, and nothing was changed")
                    .hint("NAT in tables of the family inet takes Linux 5.2, and nft 0.9.2 with JSON")
            })?;
        }
    }
    Ok(())
}
