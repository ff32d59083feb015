//! Words for a shell to offer at TAB, as they are now. Whoever presses TAB has asked nothing yet: what cannot be read is left out, and
//! nothing is said of it.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use common::cli::FindSession;
use common::failure::Failure;
use common::find::{Purpose, find, running_names};
use common::namespace::Namespace;
use common::netlink::{Link, Socket};
use common::netns::{self, Home};
use common::target::{EngineName, Target};

/// Which words.
#[derive(Debug, Clone)]
pub enum WordKind {
    /// TARGETs: running containers, and the names in `/run/netns`.
    Targets,
    /// The names in `/run/netns`.
    Links,
    /// The engines, as `--engine` takes them.
    Engines,
    /// The host's bridges.
    Bridges,
    /// The interfaces of a TARGET.
    Interfaces(Target),
    /// The host's own interfaces.
    HostInterfaces,
}

/// A word, and what a shell that shows more than words says of it.
#[derive(Debug, PartialEq, Eq)]
struct OfferedWord {
    word: String,
    about: String,
}

/// Prints one word a line, with what it is behind a tab.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(kind: &WordKind, session: &FindSession) -> Result<(), Failure> {
    let mut offered: Vec<OfferedWord> = match kind {
        WordKind::Targets => containers(session).into_iter().chain(links()).collect(),
        WordKind::Links => links(),
        WordKind::Engines => EngineName::ALL.iter().map(|engine| of(engine.as_str(), "engine")).collect(),
        WordKind::Bridges => {
            interfaces_of(None).iter().filter(|link| link.is_bridge()).map(interface).collect()
        }
        WordKind::Interfaces(target) => in_container(target, session),
        WordKind::HostInterfaces => interfaces_of(None).iter().map(interface).collect(),
    };
    offered.retain(|offered| is_plain(&offered.word));
    // One write, not one for each line.
    let mut out = BufWriter::new(io::stdout().lock());
    for OfferedWord { word, about } in offered {
        writeln!(out, "{word}\t{about}")?;
    }
    Ok(out.flush()?)
}

/// Whether a shell takes the word as it is. A container names its own interfaces, and what it calls them must not become a
/// part of somebody's command line.
fn is_plain(word: &str) -> bool {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    !word.is_empty() && !word.starts_with('-') && word.chars().all(is_safe)
}

fn of(word: &str, about: &str) -> OfferedWord {
    OfferedWord { word: word.to_owned(), about: about.to_owned() }
}

/// Those that run, as their engines list them, by name; by a TARGET that means one alone where several have it.
fn containers(session: &FindSession) -> Vec<OfferedWord> {
    let running = running_names(&session.engines);
    let mut count: HashMap<&str, u32> = HashMap::new();
    running.iter().for_each(|container| *count.entry(&container.name).or_default() += 1);
    let offered = running.iter().map(|container| {
        let is_enough = container.pod.is_none() && count.get(container.name.as_str()) == Some(&1);
        let word = if is_enough { container.name.clone() } else { container.target() };
        of(&word, container.engine.as_str())
    });
    let mut offered: Vec<OfferedWord> = offered.collect();
    offered.sort_by(|a, b| a.word.cmp(&b.word));
    offered.dedup();
    offered
}

fn links() -> Vec<OfferedWord> {
    let names = netns::names().unwrap_or_default();
    names.iter().map(|name| of(&name.to_string(), "network namespace")).collect()
}

fn in_container(target: &Target, session: &FindSession) -> Vec<OfferedWord> {
    let netns = find(target, Purpose::Look, &session.engines).and_then(|found| found.into_netns());
    netns.map(|netns| interfaces_of(Some(&netns)).iter().map(interface).collect()).unwrap_or_default()
}

fn interface(link: &Link) -> OfferedWord {
    of(&link.name.to_string_lossy(), link.kind.as_deref().unwrap_or("interface"))
}

/// Those of a namespace, or of our own.
fn interfaces_of(netns: Option<&Namespace>) -> Vec<Link> {
    let socket = match netns {
        None => Socket::open().ok(),
        Some(netns) => Home::current().ok().and_then(|home| home.inside(netns, Socket::open).ok()?.ok()),
    };
    socket.and_then(|mut socket| socket.links().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_run_is_not_offered() {
        for plain in ["eth0", "docker:web", "podman@1000:web", "prod/web", "eth0.5", "web_1"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["", "-rf", "$(reboot)", "a b", "a;b", "`a`", "a\u{1b}[2J", "a\tb", "a*", "ä", "a'b"] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
