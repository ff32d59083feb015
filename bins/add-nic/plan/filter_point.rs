//! The link where a NIC's traffic passes through the host, if it does: only there can firewall rules see it. Pure.

use common::failure::Failure;
use common::target::IfName;

use crate::model::nic::Nic;
use crate::plan::input::PlanInput;

/// A NIC, and the link of the host that all of its traffic passes.
#[derive(Debug, Clone, Copy)]
pub struct FilterPoint<'a> {
    pub nic: &'a Nic,
    pub input: &'a PlanInput<'a>,
    pub link: &'a IfName,
}

/// The link of the host that all of the NIC's traffic passes.
pub fn filter_point<'a>(nic: &'a Nic, input: &'a PlanInput<'a>) -> Result<FilterPoint<'a>, Failure> {
    let option = input.wanted.firewall.option();
    if input.snapshot.is_one {
        return Err(Failure::failed(
            option,
            "both ends are in the host's network: nothing is forwarded between them",
        ));
    }
    let Some(port) = nic.other_end.port() else {
        return Err(Failure::failed(option, "its traffic does not pass through the host")
            .hint(common::sentence!("use a veth pair to the host (the default) or --bridge BR")));
    };
    let link = nic.other_end.bridge().unwrap_or(&port.name);
    refuse_odd(link, option)?;
    Ok(FilterPoint { nic, input, link })
}

/// For iptables a plus at the end, and for nft a star, is a wildcard.
pub(super) fn refuse_odd(link: &IfName, option: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@~".contains(c);
    match link.as_str().starts_with(|c: char| c.is_ascii_alphanumeric()) && link.as_str().chars().all(plain) {
        true => Ok(()),
        false => Err(Failure::failed(option, format_args!("{link} cannot be named in a firewall rule"))
            .hint(common::sentence!("use a --host-name, or a bridge name, of letters and digits"))),
    }
}
