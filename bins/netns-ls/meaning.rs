//! What a word means on the map, decided here alone: a whole namespace, or single interfaces; and what a word that means
//! nothing could have been.

use std::ffi::OsStr;
use std::net::IpAddr;

use common::cli::FindSession;
use common::failure::{Failure, Status, say};
use common::hint;
use common::map::MappedNetns;
use common::target::{Mac, Target, WireAddress};
use common::typed::with_sudo_for_users;

use crate::named_map::{LinkAt, NamedMap, links_of};
use crate::request::MapWord;
use crate::tool::TOOL;

/// What a word means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordMeaning<'a> {
    /// Everything in this namespace.
    Netns(&'a MappedNetns),
    /// These interfaces: those that have an address, or that are plugged into what was named.
    Links(Vec<LinkAt<'a>>),
}

impl WordMeaning<'_> {
    /// Whether it is about something in that namespace.
    pub fn is_in(&self, netns: &MappedNetns) -> bool {
        match self {
            WordMeaning::Netns(meant) => meant.inode == netns.inode,
            WordMeaning::Links(links) => links.iter().any(|link| link.netns.inode == netns.inode),
        }
    }
}

/// What `word` means.
///
/// # Errors
/// Status 1 where certainly nothing is called so or has that address; 2 where that is not certain.
pub fn meaning<'a>(
    word: &MapWord,
    map: &'a NamedMap,
    session: &FindSession,
) -> Result<WordMeaning<'a>, Failure> {
    let links = on_the_map(word, map);
    if !links.is_empty() {
        return Ok(WordMeaning::Links(links));
    }
    let target = match word {
        MapWord::Ip(address) => Target::Ip(address.clone()),
        MapWord::Mac(mac) => Target::Mac(*mac),
        MapWord::Target(target) => target.clone(),
    };
    let found = session.find(TOOL, &target).map_err(Failure::from);
    let found = found.map_err(|failure| could_have_been(failure, &target, map))?;
    if let (Some(name), Some(link)) = (bare_name(&target), own_link(&target, map)) {
        let kind = link.mapped.link.kind.as_deref().unwrap_or("interface");
        say(TOOL, format_args!("{name} is also a {kind} of the host"));
    }
    let netns = found.netns_identity().and_then(|identity| map.netns(identity.inode));
    netns.map(WordMeaning::Netns).ok_or_else(|| {
        Failure::failed(&target, "its network namespace could not be looked at, or has just ended")
            .hint(with_sudo_for_users())
    })
}

/// The interfaces that the word means by what is on the map; none where that has to be found out otherwise.
fn on_the_map<'a>(word: &MapWord, map: &'a NamedMap) -> Vec<LinkAt<'a>> {
    match word {
        MapWord::Ip(WireAddress { address, zone: None }) => with_ip(map, address.to_canonical()),
        // Behind which interface a link-local address is, is found out by asking.
        MapWord::Ip(_) => Vec::new(),
        MapWord::Mac(mac) => with_mac(map, *mac),
        MapWord::Target(target) => match own_link(target, map) {
            Some(_) if is_container(target, map) => Vec::new(),
            Some(link) => behind(map, link),
            None => Vec::new(),
        },
    }
}

/// Those that have the address, unless it is one that every namespace has, or none.
fn with_ip(map: &NamedMap, wanted: IpAddr) -> Vec<LinkAt<'_>> {
    if wanted.is_loopback() || wanted.is_unspecified() || wanted.is_multicast() {
        return Vec::new();
    }
    let has_it = |link: &LinkAt<'_>| link.mapped.addresses.iter().any(|own| own.address == wanted);
    map.links().filter(has_it).collect()
}

fn with_mac(map: &NamedMap, wanted: Mac) -> Vec<LinkAt<'_>> {
    if wanted.0 == [0; 6] {
        return Vec::new();
    }
    map.links().filter(|link| link.mapped.link.mac == Some(wanted)).collect()
}

/// What somebody wants who names an interface of the host: of a veth its other end; of another the interface itself and
/// everything that is plugged into it, through its ports, too.
fn behind<'a>(map: &'a NamedMap, link: LinkAt<'a>) -> Vec<LinkAt<'a>> {
    if link.mapped.link.is_veth() {
        // One whose other end was not seen is shown itself, with what is known of that.
        return vec![map.end(link).unwrap_or(link)];
    }
    let plugged = map.plugged_into(link).into_iter();
    let far = |port: LinkAt<'a>| match port.netns.inode == link.netns.inode {
        true => map.end(port).filter(|_| port.mapped.link.is_veth()).unwrap_or(port),
        false => port,
    };
    std::iter::once(link).chain(plugged.map(far)).collect()
}

/// The word without a kind, if it has none.
fn bare_name(target: &Target) -> Option<&str> {
    match target {
        Target::Container { engine: None, within: None, name } => Some(name.as_str()),
        _ => None,
    }
}

/// The interface of the host that is called so.
fn own_link<'a>(target: &Target, map: &'a NamedMap) -> Option<LinkAt<'a>> {
    let word = match target {
        Target::Veth(name) => name.as_str(),
        target => bare_name(target)?,
    };
    links_of(map.map.own()?).find(|link| link.mapped.link.name == OsStr::new(word))
}

/// Whether a container that runs is called so: it is meant then, as in every other tool.
fn is_container(target: &Target, map: &NamedMap) -> bool {
    let Some(word) = bare_name(target) else { return false };
    let mut containers = map.map.namespaces.iter().flat_map(|netns| &netns.containers);
    containers.any(|container| container.name == word || container.id.starts_with(word))
}

/// With the namespaces that have an interface of that name, where nothing is called so.
fn could_have_been(failure: Failure, target: &Target, map: &NamedMap) -> Failure {
    const MOST: usize = 5;
    if let Target::Process { pid, inode: None } = target
        && failure.status == Status::No
        && u16::try_from(*pid).is_ok()
    {
        return failure.hint(hint!("netns-ls :{}", pid));
    }
    let Some(word) = bare_name(target) else { return failure };
    let has_it = |link: &LinkAt<'_>| link.mapped.link.name == OsStr::new(word);
    let mut names: Vec<String> = map.links().filter(has_it).map(|link| map.who(link.netns)).collect();
    if names.is_empty() {
        return match failure.status {
            Status::No => failure
                .and_lines([format!("  {word} is no interface of any namespace that was looked at either")]),
            _ => failure,
        };
    }
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(MOST);
    failure.and_lines([format!("  {word} is an interface of {}{more}", names.join(", "))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{host, named};

    fn meant(word: &str) -> Vec<String> {
        let map = named(host());
        let links = on_the_map(&word.parse().unwrap(), &map);
        links.into_iter().map(|link| format!("{} {}", map.who(link.netns), link.name())).collect()
    }

    #[test]
    fn an_interface_of_the_host_means_what_is_plugged_into_it() {
        assert_eq!(meant("veth1"), ["web eth0"]);
        assert_eq!(meant("veth:veth1"), ["web eth0"]);
        assert_eq!(meant("docker0"), ["host docker0", "web eth0", "host veth2"]);
        assert_eq!(meant("eth0"), ["host eth0", "lan mac0"]);
        assert_eq!(meant("veth2"), ["host veth2"], "what is known of an end that was not seen");
        assert_eq!(meant("web"), [""; 0], "a container is found by asking");
        assert_eq!(meant("mac0"), [""; 0], "not of the host");
    }

    #[test]
    fn an_address_means_all_that_have_it_and_one_that_all_have_means_none() {
        assert_eq!(meant("172.17.0.2"), ["web eth0"]);
        assert_eq!(meant("::ffff:172.17.0.2"), ["web eth0"]);
        assert_eq!(meant("02:00:00:00:00:02"), ["host eth0", "web eth0", "lan mac0"]);
        assert_eq!(meant("127.0.0.1"), [""; 0]);
        assert_eq!(meant("00:00:00:00:00:00"), [""; 0]);
    }

    #[test]
    fn a_container_that_is_called_like_an_interface_comes_first() {
        let mut map = host();
        map.namespaces[1].containers[0].name = "docker0".to_owned();
        let map = named(map);
        assert_eq!(on_the_map(&"docker0".parse().unwrap(), &map), []);
    }
}
