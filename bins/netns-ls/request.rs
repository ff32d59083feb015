//! What a command line asks for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use common::cli::FindConfig;
use common::failure::Failure;
use common::find::hint_for_refused;
use common::map::WantedDetails;
use common::output::quotable;
use common::target::{Mac, SocketPlace, SocketPlaceError, Target, TargetError, WireAddress};

use crate::cli::{Cli, GraphFormat};

/// What to show.
#[derive(Debug)]
pub enum Job {
    /// A line for each interface; `all` with loopback and the host's ends of veth pairs.
    Interfaces { all: bool },
    /// What each of these words means.
    Words(Vec<MapWord>),
    /// All bridges.
    Bridges,
    /// The way from one to the other.
    Path(Box<[MapWord; 2]>),
    /// The tree of what is plugged into what.
    Tree,
    /// Ports: all, or those of what these words mean.
    Ports(Vec<PortsWord>),
    /// A picture.
    Draw(PictureFormat),
    /// Namespaces of all kinds.
    Namespaces,
    /// What is wrong.
    Why,
    /// Changes, as they happen.
    Watch,
    /// Changes since this file was written.
    Diff(PathBuf),
}

/// What somebody typed for a place on the map: a TARGET, or an address as other programs print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapWord {
    /// Any TARGET; a bare word may turn out to be an interface of the host.
    Target(Target),
    /// The interfaces that have this address.
    Ip(WireAddress),
    /// The interfaces that have this MAC.
    Mac(Mac),
}

/// What somebody typed for ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortsWord {
    /// One port.
    Place(SocketPlace),
    /// All ports of the network namespace that this means.
    Of(Target),
}

impl PortsWord {
    fn of(typed: &str) -> Result<Self, Failure> {
        if SocketPlace::is_meant(typed) {
            return place(typed).map(PortsWord::Place);
        }
        Ok(PortsWord::Of(match word(typed)? {
            MapWord::Target(target) => target,
            MapWord::Ip(address) => Target::Ip(address),
            MapWord::Mac(mac) => Target::Mac(mac),
        }))
    }
}

/// The command line, checked.
#[derive(Debug)]
pub struct Request {
    pub job: Job,
    pub format: MapFormat,
    /// What else is wanted of namespaces, instead of their interfaces.
    pub sections: WantedDetails,
    pub find: FindConfig,
}

/// What a picture is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    Svg,
    Dot,
    Html,
}

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub struct MapFormat {
    pub json: bool,
    /// Neither a header nor notes.
    pub quiet: bool,
}

impl fmt::Display for MapWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapWord::Target(target) => target.fmt(f),
            MapWord::Ip(address) => address.fmt(f),
            MapWord::Mac(mac) => mac.fmt(f),
        }
    }
}

impl FromStr for MapWord {
    type Err = TargetError;

    /// An address and a MAC need no `ip:` and `mac:` here: nothing else that is shown looks like them.
    fn from_str(word: &str) -> Result<Self, TargetError> {
        if let Ok(address) = word.parse::<WireAddress>() {
            return Ok(MapWord::Ip(address));
        }
        // Twelve digits without a sign are the beginning of an ID.
        if word.contains([':', '-', '.'])
            && let Ok(mac) = word.parse::<Mac>()
        {
            return Ok(MapWord::Mac(mac));
        }
        Ok(match word.parse()? {
            Target::Ip(address) => MapWord::Ip(address),
            Target::Mac(mac) => MapWord::Mac(mac),
            target => MapWord::Target(target),
        })
    }
}

impl Request {
    pub fn of(cli: Cli) -> Result<Self, Failure> {
        let format = MapFormat { json: cli.json, quiet: cli.quiet };
        let Cli { routes, rules, neigh: neighbours, fdb, programs, sockets, fw: firewall, .. } = cli;
        let sections = WantedDetails { routes, rules, neighbours, fdb, programs, sockets, firewall };
        Ok(Request { format, sections, find: cli.find.config(), job: Job::of(cli)? })
    }
}

impl Job {
    fn of(cli: Cli) -> Result<Self, Failure> {
        if let Some(ends) = &cli.path {
            let [from, to] = ends.as_slice() else {
                return Err(Failure::failed("--path", "takes two words"));
            };
            return Ok(Job::Path(Box::new([word(from)?, word(to)?])));
        }
        if let Some(file) = cli.diff {
            return Ok(Job::Diff(file));
        }
        // With --ports and --why, too: a page has both.
        if cli.html {
            return Ok(Job::Draw(PictureFormat::Html));
        }
        if let Some(format) = cli.graph {
            if cli.ports || cli.why {
                let what = "a picture has neither ports nor findings: a page has them";
                return Err(Failure::failed("--graph", what).hint(common::hint!("netns-ls --html >map.html")));
            }
            return Ok(Job::Draw(match format {
                GraphFormat::Svg => PictureFormat::Svg,
                GraphFormat::Dot => PictureFormat::Dot,
            }));
        }
        if cli.why && cli.ports {
            let what = "--ports and --why are two views";
            return Err(Failure::failed("--why", what));
        }
        if cli.why {
            return Ok(Job::Why);
        }
        if cli.watch {
            return Ok(Job::Watch);
        }
        if cli.namespaces {
            return Ok(Job::Namespaces);
        }
        if cli.tree {
            return Ok(Job::Tree);
        }
        if cli.bridges {
            return Ok(Job::Bridges);
        }
        let places = cli.words.iter().filter(|typed| SocketPlace::is_meant(typed)).count();
        if cli.ports || (places > 0 && places == cli.words.len()) {
            return cli
                .words
                .iter()
                .map(|typed| PortsWord::of(typed))
                .collect::<Result<_, _>>()
                .map(Job::Ports);
        }
        if places > 0 {
            let what = "a port and other words are two views: with --ports the words mean ports, too";
            return Err(Failure::failed("WORD", what));
        }
        match cli.words.is_empty() {
            true => Ok(Job::Interfaces { all: cli.all }),
            false => cli.words.iter().map(|typed| word(typed)).collect::<Result<_, _>>().map(Job::Words),
        }
    }
}

fn place(typed: &str) -> Result<SocketPlace, Failure> {
    let as_failure = |error: SocketPlaceError| {
        Failure::failed(format_args!("'{}'", quotable(typed)), &error).caused_by(error)
    };
    typed.parse().map_err(as_failure)
}

fn word(typed: &str) -> Result<MapWord, Failure> {
    typed.parse::<MapWord>().map_err(|error| {
        Failure::failed(format_args!("'{}'", quotable(typed)), &error)
            .hint(hint_for_refused(typed))
            .caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_mac_need_no_kind_in_front() {
        for (bare, with_kind) in [
            ("172.17.0.3", "ip:172.17.0.3"),
            ("172.17.0.3/16", "ip:172.17.0.3"),
            ("fd00::5", "ip:fd00::5"),
            ("[fd00::5]", "ip:fd00::5"),
            ("fe80::1%eth0", "ip:fe80::1%eth0"),
            ("02:42:ac:11:00:03", "mac:02:42:ac:11:00:03"),
            ("0242.ac11.0003", "mac:02:42:ac:11:00:03"),
        ] {
            assert_eq!(bare.parse::<MapWord>(), with_kind.parse::<MapWord>(), "{bare}");
            assert!(!matches!(bare.parse(), Ok(MapWord::Target(_))), "{bare}");
        }
    }

    #[test]
    fn everything_else_is_a_target_by_the_grammar_of_all_tools() {
        for word in ["nginx", "docker0", "0242ac110003", "veth:veth1@if2", "netns:blue", "123", "docker:web"]
        {
            assert_eq!(word.parse::<MapWord>(), Ok(MapWord::Target(word.parse().unwrap())));
        }
        assert_eq!("".parse::<MapWord>(), Err(TargetError::Empty));
        assert_eq!("-x".parse::<MapWord>(), Err(TargetError::Dash));
    }
}
