//! The settings that the kernel changes along with another one: all that is about forwarding. Pure.

use crate::model::netns::Netns;
use crate::model::snapshot::Side;
use crate::model::sysctl::{Key, Settings};

/// Whether `key` is the switch that makes a router of the whole network, and of which family.
fn family(key: &Key) -> Option<&'static str> {
    match key.to_string().as_str() {
        "net/ipv4/ip_forward" | "net/ipv4/conf/all/forwarding" => Some("ipv4"),
        "net/ipv6/conf/all/forwarding" => Some("ipv6"),
        _ => None,
    }
}

/// Those that the kernel changes when `key` is changed, and what each is when `key` is `value`: every link's own switch
/// (inet_forward_change in net/ipv4/devinet.c, addrconf_forward_change in net/ipv6/addrconf.c), and of IPv4 whether
/// redirects are taken, which no router does.
fn companions<'a>(key: &Key, value: &'a str, side: &Side) -> Vec<(Key, &'a str)> {
    let Some(family) = family(key) else { return vec![] };
    let links = side.links.iter().filter_map(|link| link.name.to_str());
    let switches = links.chain(["default"]).map(|link| (Key::of_link(family, link, "forwarding"), value));
    let redirects = if value == "0" { "1" } else { "0" };
    let redirects = (family == "ipv4").then(|| (Key::of_link(family, "all", "accept_redirects"), redirects));
    switches.chain(redirects).collect()
}

/// Those to be read before `key` is changed.
pub fn needed(key: &Key, side: &Side) -> Vec<Key> {
    companions(key, "", side).into_iter().map(|(companion, _)| companion).collect()
}

/// Those that are not what the kernel will make of them when `key` is put back to `before`.
pub fn along(key: &Key, before: &str, place: Netns, side: &Side, settings: &Settings) -> Vec<(Key, String)> {
    let differs = |(companion, will_be): (Key, &str)| {
        let now = settings.of(place, &companion)?.value()?;
        (now != will_be).then(|| (companion, now.to_owned()))
    };
    companions(key, before, side).into_iter().filter_map(differs).collect()
}
