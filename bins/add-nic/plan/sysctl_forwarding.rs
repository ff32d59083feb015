//! The settings that the kernel changes along with another one: all that is about forwarding. Pure.

use crate::model::netns::Netns;
use crate::model::snapshot::NetnsState;
use crate::model::sysctl::{SysctlKey, SysctlValues};

/// Whether `key` is the switch that makes a router of the whole network, and of which family.
fn family(key: &SysctlKey) -> Option<&'static str> {
    match key.to_string().as_str() {
        "net/ipv4/ip_forward" | "net/ipv4/conf/all/forwarding" => Some("ipv4"),
        "net/ipv6/conf/all/forwarding" => Some("ipv6"),
        _ => None,
    }
}

/// Those that the kernel changes when `key` is changed, and what each is when `key` is `value`: every link's own switch
/// (inet_forward_change in net/ipv4/devinet.c, addrconf_forward_change in net/ipv6/addrconf.c), and of IPv4 whether
/// redirects are taken, which no router does.
fn companions<'a>(key: &SysctlKey, value: &'a str, side: &NetnsState) -> Vec<(SysctlKey, &'a str)> {
    let Some(family) = family(key) else { return vec![] };
    let links = side.links.iter().filter_map(|link| link.name.to_str());
    let switches =
        links.chain(["default"]).map(|link| (SysctlKey::of_link(family, link, "forwarding"), value));
    let redirects = if value == "0" { "1" } else { "0" };
    let redirects =
        (family == "ipv4").then(|| (SysctlKey::of_link(family, "all", "accept_redirects"), redirects));
    switches.chain(redirects).collect()
}

/// Those to be read before `key` is changed.
pub fn needed(key: &SysctlKey, side: &NetnsState) -> Vec<SysctlKey> {
    companions(key, "", side).into_iter().map(|(companion, _)| companion).collect()
}

/// Those that are not what the kernel will make of them when `key` is restored to `before`.
pub fn along(
    key: &SysctlKey,
    before: &str,
    netns: Netns,
    side: &NetnsState,
    settings: &SysctlValues,
) -> Vec<(SysctlKey, String)> {
    let differs = |(companion, will_be): (SysctlKey, &str)| {
        let now = settings.get(netns, &companion)?.value()?;
        (now != will_be).then(|| (companion, now.to_owned()))
    };
    companions(key, before, side).into_iter().filter_map(differs).collect()
}
