//! Strict reverse path filtering in the container: packets are dropped if the reply would leave through another link
//! (rp_filter in the kernel's ip-sysctl.rst).

use common::hint;
use common::netlink::Route;
use common::target::IfName;

use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::snapshot::NetnsState;
use crate::model::sysctl::{SysctlKey, SysctlReading};
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

fn rp_filter(link: &str) -> SysctlKey {
    SysctlKey::of_link("ipv4", link, "rp_filter")
}

/// The IPv4 default route that there is, which of several is the one of the least metric.
fn default_route(inside: &NetnsState) -> Option<&Route> {
    let all = inside.routes.iter().filter(|route| {
        route.is_ordinary() && route.destination.prefix_len() == 0 && route.destination.address().is_ipv4()
    });
    all.min_by_key(|route| route.metric)
}

fn link_of<'a>(route: &Route, inside: &'a NetnsState) -> Option<&'a str> {
    inside.links.iter().find(|link| Some(link.index) == route.index)?.name.to_str()
}

/// What [`strict`] must know.
pub fn needed(nic: &Nic, inside: &NetnsState) -> Vec<SysctlKey> {
    if !nic.addresses.iter().any(|cidr| cidr.address().is_ipv4()) {
        return vec![];
    }
    let Some(link) = default_route(inside).and_then(|route| link_of(route, inside)) else { return vec![] };
    vec![rp_filter("all"), rp_filter("default"), rp_filter(link)]
}

/// The new NIC, if the default route is not its own; or the link that loses it.
pub fn strict(nic: &Nic, input: &PlanInput<'_>) -> Option<Warning> {
    let inside = &input.snapshot.inside;
    let old = default_route(inside)?;
    let old_link = link_of(old, inside)?;
    let has_gateway = input.wanted.gateways.iter().any(std::net::IpAddr::is_ipv4);
    let takes_it = has_gateway && input.wanted.metric.unwrap_or(0) <= old.metric;
    // With its own rules, its replies leave through it.
    if input.wanted.sbr && !takes_it {
        return None;
    }
    let (link, way_back) =
        if takes_it { (old_link, nic.name.as_str()) } else { (nic.name.as_str(), old_link) };
    if !nic.addresses.iter().any(|cidr| cidr.address().is_ipv4()) || !is_strict(link, &nic.name, input) {
        return None;
    }
    let (what, container) = ("rp_filter is strict", input.container_name());
    let fix = match takes_it {
        true => hint!("nsenter --net={} sysctl -w net/ipv4/conf/{}/rp_filter=2", input.inside.file, link),
        false => common::same_with!("--sysctl net.ipv4.conf.IF.rp_filter=2"),
    };
    Some(Warning::new(
        WarningKind::StrictRpFilter,
        format_args!("{link} in {container}"),
        format_args!("{what}: packets from other networks are dropped, because replies leave by {way_back}"),
        fix,
    ))
}

/// The greater of the two counts: that of all links, and the link's own, which a new one has from `default`.
fn is_strict(link: &str, nic: &IfName, input: &PlanInput<'_>) -> bool {
    let value = |link: &str| {
        let reading = input.snapshot.settings.get(Netns::Container, &rp_filter(link));
        reading.and_then(SysctlReading::value).and_then(|value| value.parse::<u32>().ok()).unwrap_or(0)
    };
    let asked =
        input.wanted.sysctls.iter().find(|setting| setting.key.about(nic.as_str()) == rp_filter(link));
    let own = match asked {
        Some(setting) => setting.value.parse().unwrap_or(0),
        None if link == nic.as_str() => value("default"),
        None => value(link),
    };
    own.max(value("all")) == 1
}
