//! From the command line to typed requests. Contradictions and unusable addresses are refused here, before anything is read.

mod filter;
mod request;
mod validate;
pub mod watch_file;
mod words;

use common::cidr::Cidr;
use common::failure::Failure;
use common::find::hint_for_refused;
use common::output::quotable;
use common::target::Target;
use common::typed::for_job;

use crate::cli::Cli;
use crate::model::change::StackedKind;
use crate::model::filter::WantedRules;
use crate::model::nic::ParentLink;
use crate::model::request::Job;
use crate::model::wanted::{NicSelector, OtherAddresses, Wanted, WantedBridge, WantedEnd};
use words::{address, other_addresses, parent, route, settings};

impl Job {
    /// The job that was requested; `typed` is the command line, without the tool's name.
    ///
    /// # Errors
    /// Invalid options, and why.
    pub fn from_cli(cli: &Cli, typed: impl FnOnce() -> Vec<String>) -> Result<Self, Failure> {
        if let Some(file) = &cli.watch {
            return Ok(Job::Watch(request::watch(file, cli)));
        }
        let (target, rest) = match cli.words.split_first() {
            Some((word, rest)) => {
                (Some(target(word).map_err(|failure| in_order(failure, word, rest))?), rest)
            }
            None => (None, &[][..]),
        };
        let at_most = |most: usize| match rest.get(most) {
            Some(word) => Err(Failure::failed(quotable(word), "unexpected argument")),
            None => Ok(()),
        };
        match target {
            target if cli.list => at_most(0).map(|()| Job::List(request::list(target, cli))),
            target if cli.check => at_most(0).map(|()| Job::Check(request::list(target, cli))),
            None => Err(Failure::failed("TARGET", "missing").hint(common::hint!("add-nic --help"))),
            Some(target) if cli.rm || cli.repair => {
                at_most(1)?;
                let which = rest.first().map(|word| NicSelector::from_word(word)).transpose()?;
                let job = if cli.rm { Job::Remove } else { Job::Repair };
                Ok(job(request::remove(target, which, cli)))
            }
            Some(target) => {
                let wanted = Wanted::from_cli(cli, rest, &target)?;
                Ok(Job::Add(Box::new(request::add(target, wanted, cli, typed))))
            }
        }
    }
}

/// Adds a hint if TARGET and ADDR are in the wrong order.
fn in_order(failure: Failure, word: &str, rest: &[String]) -> Failure {
    match (word.parse::<Cidr>(), rest) {
        (Ok(address), [target, ..]) => failure.hint(common::hint!("add-nic {} {}", target, address)),
        _ => failure,
    }
}

fn target(word: &str) -> Result<Target, Failure> {
    word.parse().map_err(|error| Failure::failed(quotable(word), error).hint(hint_for_refused(word)))
}

impl NicSelector {
    fn from_word(word: &str) -> Result<Self, Failure> {
        let address = word.split_once('/').map_or(word, |(address, _)| address);
        match address.parse() {
            Ok(address) => Ok(NicSelector::Address(address)),
            Err(_) => {
                word.parse().map(NicSelector::Name).map_err(|error| Failure::failed(quotable(word), error))
            }
        }
    }
}

impl WantedEnd {
    fn from_cli(cli: &Cli) -> Result<Self, Failure> {
        if let Some(peer) = cli.peer.as_ref().filter(|_| cli.vlan.is_none()) {
            return target(peer).map(|peer| WantedEnd::Peer(peer.to_string()));
        }
        for (option, word) in [("--macvlan", &cli.macvlan), ("--ipvlan", &cli.ipvlan)] {
            if let Some(word) = word {
                return parent(option, word, cli.vlan).map(WantedEnd::On);
            }
        }
        match (cli.phys.clone(), cli.vlan) {
            (Some(name), Some(id)) => {
                return Ok(WantedEnd::On(ParentLink { name, on: StackedKind::Vlan(id), vlan: None }));
            }
            (Some(name), None) => return Ok(WantedEnd::Phys(name)),
            (None, _) => {}
        }
        Ok(match cli.bridge.clone() {
            Some(name) => WantedEnd::Bridge(WantedBridge { name, create: cli.create, vlan: cli.vlan }),
            None if cli.vlan.is_some() => {
                return Err(Failure::failed("--vlan", "not possible on a veth pair without a bridge").hint(
                    common::sentence!("give --bridge BR, --phys IF, --macvlan PARENT or --ipvlan PARENT too"),
                ));
            }
            None => WantedEnd::Host,
        })
    }
}

impl Wanted {
    fn from_cli(cli: &Cli, words: &[String], target: &Target) -> Result<Self, Failure> {
        if words.is_empty() {
            let hint = for_job(&target.to_string());
            let hint = hint.or_else(|| common::hint!("add-nic {} 10.1.0.2/24", target));
            return Err(Failure::failed("ADDR", "missing").hint(hint));
        }
        let addresses: Vec<Cidr> = words.iter().map(|word| address(word)).collect::<Result<_, _>>()?;
        for (at, cidr) in addresses.iter().enumerate() {
            if addresses[..at].iter().any(|other| other.address() == cidr.address()) {
                return Err(Failure::failed(cidr.address(), "given twice"));
            }
        }
        let other_end = WantedEnd::from_cli(cli)?;
        let other_addresses = match other_end {
            _ if other_end.vlan_of_port().is_some() && !cli.host_addr.is_empty() => {
                return Err(Failure::failed(
                    "--host-addr",
                    "not possible with --vlan on a bridge: the bridge itself is not in that VLAN",
                ));
            }
            _ if other_end.vlan_of_port().is_some() => OtherAddresses::None,
            WantedEnd::Peer(_) => other_addresses("--peer-addr", &cli.peer_addr, &addresses)?,
            _ => other_addresses("--host-addr", &cli.host_addr, &addresses)?,
        };
        if let Some(prefix) = cli.name_prefix.as_ref().filter(|prefix| prefix.as_str().len() > 11) {
            return Err(Failure::failed(format_args!("--name-prefix {prefix}"), "longer than 11 bytes"));
        }
        let wanted = Wanted {
            other_end,
            other_addresses,
            name: cli.name.clone(),
            name_prefix: cli.name_prefix.clone(),
            other_name: cli.host_name.clone().or_else(|| cli.peer_name.clone()),
            mac: cli.mac,
            mtu_bytes: cli.mtu,
            gateways: cli.gateway.clone(),
            routes: cli.route.iter().map(|word| route(word)).collect::<Result<_, _>>()?,
            metric: cli.metric,
            sbr: cli.sbr,
            sysctls: settings(&cli.sysctl)?,
            firewall: WantedRules::from_cli(cli)?,
            addresses,
        };
        wanted.validate().map(|()| wanted)
    }
}
