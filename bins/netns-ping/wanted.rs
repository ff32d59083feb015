//! What the words mean together. Contradictions are refused here, before anything is looked at.

use std::net::IpAddr;

use common::failure::Failure;
use common::output::quotable;
use common::target::{Target, TargetError};

use crate::cli::Cli;
use crate::dest::{Dest, DestError};

/// What to do, one thing of many.
#[derive(Debug)]
pub enum Job {
    /// ICMP echo, to each of a few.
    Echo(From),
    /// Who has an address, whether anybody has, or that we have.
    Arp(Arp, From),
    /// Who is there, of many addresses.
    Sweep(From),
    /// Every container to every other one.
    Matrix(Option<String>),
}

/// From where, and what.
#[derive(Debug)]
pub struct From {
    /// From inside this.
    pub target: Target,
    /// At least one.
    pub dests: Vec<Dest>,
}

/// What is asked of, or told to, the neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arp {
    /// Who has it?
    WhoHas,
    /// Does anybody have it already?
    Duplicate,
    /// We have it.
    Announce,
}

impl Job {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense, and why.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        if let Some(pattern) = &cli.matrix {
            return match cli.words.first() {
                Some(word) => Err(Failure::trouble(quotable(word), "is one argument too many for --matrix")),
                None => {
                    refuse(
                        "--matrix",
                        cli,
                        &[("--interface", cli.interface.is_some()), ("--rate", cli.rate.is_some())],
                    )?;
                    Ok(Job::Matrix(pattern.clone()))
                }
            };
        }
        let from = From::of(&cli.words)?;
        let many = from.dests.iter().find(|dest| dest.is_many());
        let arp = match cli {
            Cli { arp: true, .. } => Some(Arp::WhoHas),
            Cli { dad: true, .. } => Some(Arp::Duplicate),
            Cli { announce: true, .. } => Some(Arp::Announce),
            _ => None,
        };
        match (many, arp) {
            (Some(many), Some(Arp::Duplicate | Arp::Announce)) => Err(Failure::trouble(
                many,
                "means many addresses, but only single addresses can be used here",
            )),
            (Some(_), _) => {
                refuse("a scan", cli, &[("--interval", cli.interval.is_some())])?;
                Ok(Job::Sweep(from))
            }
            (None, Some(arp)) => {
                refuse("ARP", cli, &[("--rate", cli.rate.is_some())])?;
                Ok(Job::Arp(arp, from))
            }
            (None, None) => Ok(Job::Echo(from)),
        }
    }
}

/// What is for ICMP echo to single DESTs, and `others` that this job does not read, is not passed over in silence: who
/// says it expects that something comes of it.
fn refuse(job: &str, cli: &Cli, others: &[(&str, bool)]) -> Result<(), Failure> {
    let of_echo = [
        ("--size", cli.size.is_some()),
        ("--ttl", cli.ttl.is_some()),
        ("--pmtudisc", cli.pmtudisc.is_some()),
        ("--flood", cli.flood),
        ("--outstanding", cli.outstanding),
        ("--time-of-day", cli.time_of_day),
    ];
    match of_echo.iter().chain(others).find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Failure::trouble(option, format_args!("cannot be used with {job}"))),
        None => Ok(()),
    }
}

impl From {
    fn of(words: &[String]) -> Result<Self, Failure> {
        let Some((target, dests)) = words.split_first() else {
            return Err(Failure::trouble("TARGET", "is missing").hint("netns-ping --help"));
        };
        // A container could be called so; then its kind goes in front.
        if target.parse::<IpAddr>().is_ok() {
            let what = "is an address, but the first argument is the container to ping from";
            let container = dests.first().filter(|word| word.parse::<Target>().is_ok());
            let container = container.map_or("TARGET", String::as_str);
            return Err(Failure::trouble(target, what).hint(common::hint!(
                "netns-ping {} {}",
                container,
                target
            )));
        }
        let target: Target = target.parse().map_err(|error| Failure::trouble(quotable(target), error))?;
        if dests.is_empty() {
            return Err(
                Failure::trouble("DEST", "is missing").hint(common::hint!("netns-ping {} gateway", target))
            );
        }
        Ok(From { target, dests: dests.iter().map(|word| dest(word)).collect::<Result<_, _>>()? })
    }
}

fn dest(word: &str) -> Result<Dest, Failure> {
    word.parse().map_err(|error| {
        let is_kind = matches!(error, DestError::Target(TargetError::Kind(_)));
        let failure = Failure::trouble(quotable(word), error);
        if is_kind { failure.hint("use a name without a port or a scheme, or docker:NAME") } else { failure }
    })
}
