//! What a container's resolv.conf and hosts say: resolv.conf(5), hosts(5). Pure; anything may be in them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::view::CLibrary;

/// glibc and musl take no more servers and dots than these (resolv.h: MAXNS, RES_MAXNDOTS; musl's resolvconf.c).
const MOST_SERVERS: usize = 3;
const MOST_NDOTS: usize = 15;
/// The longest name in DNS, as it is typed.
const MOST_BYTES: usize = 253;
/// resolvconf.c: `char line[256]`, with a line feed and a zero.
const MUSL_LINE_BYTES: usize = 254;
/// No resolver tries more: each costs a question to each server.
const MOST_DOMAINS: usize = 32;

/// A name server's address, and of a link-local one the name of its link.
pub type Nameserver = (IpAddr, Option<String>);

/// resolv.conf, as far as it is about us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// At least one: without any it is the host itself.
    pub servers: Vec<Nameserver>,
    /// What is appended to short names, in this order.
    pub search: Vec<String>,
    /// A name with at least this many dots is first tried as it is.
    pub ndots: usize,
    /// How long a server has to answer.
    pub timeout: Duration,
    /// How often all of them are asked.
    pub attempts: u32,
    /// Whether the first to be asked is another one each time.
    pub rotate: bool,
    /// What reads it.
    pub library: CLibrary,
}

/// A name that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchName {
    pub name: String,
    /// Whether a search domain was appended.
    pub is_searched: bool,
}

impl ResolvConf {
    /// Reads it; what makes no sense is passed over, as resolvers do.
    pub fn read(bytes: &[u8], library: CLibrary) -> Self {
        let mut conf = ResolvConf {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            library,
        };
        let text = String::from_utf8_lossy(bytes);
        // Neither takes a line that begins with a space, and musl none that its buffer does not hold (resolvconf.c).
        let longest = if library == CLibrary::Musl { MUSL_LINE_BYTES } else { usize::MAX };
        for line in text.lines().filter(|line| line.len() <= longest && !line.starts_with([' ', '\t'])) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                // The last of them counts.
                Some("search" | "domain") => {
                    conf.search = words.take(MOST_DOMAINS).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        conf.servers.truncate(MOST_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push((Ipv4Addr::LOCALHOST.into(), None));
        }
        conf
    }

    fn set(&mut self, option: &str) {
        // musl knows neither this nor any other option without a number.
        if option == "rotate" && self.library == CLibrary::Glibc {
            self.rotate = true;
        }
        // resolv.h: RES_MAXRETRANS, RES_MAXRETRY; musl's resolvconf.c.
        let (most_seconds, most_attempts) = match self.library {
            CLibrary::Glibc => (30, 5),
            CLibrary::Musl => (60, 10),
        };
        let Some((name, number)) = option.split_once(':') else { return };
        let digits = number.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let Ok(number) = digits.parse::<u32>() else { return };
        match name {
            "ndots" => self.ndots = (number as usize).min(MOST_NDOTS),
            "timeout" => self.timeout = Duration::from_secs(u64::from(number).clamp(1, most_seconds)),
            "attempts" => self.attempts = number.clamp(1, most_attempts),
            _ => {}
        }
    }

    /// What is asked for when `name` is looked up, in this order.
    pub fn candidates(&self, name: &str) -> Vec<SearchName> {
        let as_it_is = |name: &str| SearchName { name: name.to_owned(), is_searched: false };
        if let Some(whole) = name.strip_suffix('.') {
            return vec![as_it_is(whole)];
        }
        let points = name.bytes().filter(|byte| *byte == b'.').count();
        let is_whole = points >= self.ndots;
        // name_from_dns_search in musl's lookup_name.c: a name with dots enough is not searched for at all.
        if is_whole && self.library == CLibrary::Musl {
            return vec![as_it_is(name)];
        }
        let longer = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        // A search domain of "." stands for none.
        let longer = longer.map(|name| name.trim_end_matches('.').to_owned());
        let longer = longer.filter(|longer| longer != name && longer.len() <= MOST_BYTES);
        let mut candidates: Vec<SearchName> =
            longer.map(|name| SearchName { name, is_searched: true }).collect();
        let at = if is_whole { 0 } else { candidates.len() };
        candidates.insert(at, as_it_is(name));
        candidates.dedup();
        candidates
    }

    /// How long glibc lets a server answer, the `nth` of all, each time that it is asked. send_dg in res_send.c: twice as long
    /// for each further one, shared among all.
    pub fn patience(&self, nth: usize) -> Duration {
        match nth {
            0 => self.timeout,
            _ => {
                let seconds = (self.timeout.as_secs() << nth) / self.servers.len().max(1) as u64;
                Duration::from_secs(seconds.max(1))
            }
        }
    }
}

/// What nsswitch.conf(5) has names looked up in, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSource {
    pub kind: NameSourceKind,
    /// Whether nothing is looked up in what comes after it.
    pub is_last: bool,
}

/// Where a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSourceKind {
    /// `/etc/hosts`.
    Files,
    /// Name servers.
    Dns,
}

/// The `hosts:` line of nsswitch.conf; without one, files and then servers. Other services are of the host's daemons, and
/// are passed over; systemd-resolved stands for name servers where there are none besides.
pub fn name_sources(nsswitch: &[u8]) -> Vec<NameSource> {
    let text = String::from_utf8_lossy(nsswitch);
    // Only a whole line can be a comment: glibc 2.36 takes a `#` after the first services for another one.
    let line = text.lines().find_map(|line| match line.split_once(':') {
        Some((database, services)) if database.trim() == "hosts" => Some(services),
        _ => None,
    });
    let line = line.unwrap_or("files dns").replace('[', " [").replace(']', "] ");
    let has_dns = line.split_ascii_whitespace().any(|word| word == "dns");
    let mut sources: Vec<NameSource> = Vec::new();
    let (mut is_action, mut is_known) = (false, false);
    for word in line.split_ascii_whitespace() {
        is_action |= word.starts_with('[');
        if is_action {
            let action = word.trim_matches(['[', ']']).to_ascii_uppercase();
            let ends = match action.strip_suffix("=RETURN") {
                Some(status) => match status.strip_prefix('!') {
                    Some(other) => other != "NOTFOUND",
                    None => status == "NOTFOUND",
                },
                None => false,
            };
            if let (true, true, Some(last)) = (ends, is_known, sources.last_mut()) {
                last.is_last = true;
            }
            is_action = !word.ends_with(']');
            continue;
        }
        let kind = match word {
            "files" => Some(NameSourceKind::Files),
            "dns" => Some(NameSourceKind::Dns),
            "resolve" if !has_dns => Some(NameSourceKind::Dns),
            _ => None,
        };
        is_known = kind.is_some();
        sources.extend(kind.map(|kind| NameSource { kind, is_last: false }));
    }
    sources
}

fn server(word: &str) -> Option<Nameserver> {
    match word.split_once('%') {
        Some((address, link)) => Some((address.parse().ok()?, Some(link.to_owned()))),
        None => Some((word.parse().ok()?, None)),
    }
}

/// The addresses that `hosts` has for a name, in its order.
pub fn in_hosts(hosts: &[u8], name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let has_name = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    String::from_utf8_lossy(hosts).lines().filter_map(has_name).collect()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
