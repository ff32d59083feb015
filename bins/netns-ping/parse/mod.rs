//! From the command line to a typed request. Contradictions are refused here, before anything is looked at.

mod config;

use std::net::IpAddr;

use common::failure::Failure;
use common::find::hint_for_refused;
use common::output::quotable;
use common::target::{Dest, DestError, Target, TargetError, Transport};
use common::typed::for_job;

use crate::cli::Cli;
use crate::request::{ArpRequest, EchoRequest, Job, PortRequest, ProbeEndpoints, ScanRequest};
use config::{arp_mode, echo_config, families, matrix, port_config, scan_configs};

impl Job {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense, and why.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        if let Some(pattern) = &cli.matrix {
            return match cli.words.first() {
                Some(word) => Err(Failure::failed(quotable(word), "is one argument too many for --matrix")),
                None => {
                    refuse(
                        "--matrix",
                        cli,
                        &[
                            ("--interface", cli.interface.is_some()),
                            ("--rate", cli.rate.is_some()),
                            ("--plain", cli.plain),
                        ],
                    )?;
                    if cli.udp.is_none() {
                        refuse_data(cli)?;
                    }
                    Ok(Job::Matrix(matrix(pattern.clone(), cli)?))
                }
            };
        }
        let endpoints = endpoints(cli)?;
        let many = endpoints.dests.iter().find(|dest| dest.is_many());
        if let Some(many) = many.filter(|_| cli.dad || cli.announce) {
            return Err(Failure::failed(
                many,
                "means many addresses, but only single addresses can be used here",
            ));
        }
        let (json, quiet) = (cli.json, cli.quiet);
        if let Some(port) = endpoints.dests.iter().find(|dest| dest.port().is_some()) {
            return port_job(cli, port.clone(), endpoints);
        }
        refuse_data(cli)?;
        match (many, arp_mode(cli)) {
            (Some(_), _) => {
                refuse("a scan", cli, &[("--interval", cli.interval.is_some()), ("--plain", cli.plain)])?;
                let ((on_link, beyond), is_arp_only) = (scan_configs(cli), cli.arp);
                Ok(Job::Scan(ScanRequest { endpoints, on_link, beyond, is_arp_only, json, quiet }))
            }
            (None, Some(mode)) => {
                // arping(8) announces with it.
                refuse("ARP", cli, &[("--rate", cli.rate.is_some()), ("-U", cli.user_latency)])?;
                Ok(Job::Arp(ArpRequest { endpoints, mode, json, quiet, plain: cli.plain }))
            }
            (None, None) => Ok(Job::Echo(EchoRequest { endpoints, config: echo_config(cli)? })),
        }
    }
}

/// Ports, and nothing else.
fn port_job(cli: &Cli, port: Dest, endpoints: ProbeEndpoints) -> Result<Job, Failure> {
    if let Some(other) = endpoints.dests.iter().find(|dest| dest.port().is_none()) {
        let what =
            format_args!("has no port, and {port} has: ping hosts and probe ports in calls of their own");
        return Err(Failure::failed(other, what));
    }
    let modes = [
        ("--arp", cli.arp),
        ("--dad", cli.dad),
        ("--announce", cli.announce),
        ("--rate", cli.rate.is_some()),
        ("--plain", cli.plain),
    ];
    refuse("a port", cli, &modes)?;
    let is_udp = |dest: &Dest| dest.port().is_some_and(|port| port.transport == Transport::Udp);
    if !endpoints.dests.iter().any(is_udp) {
        refuse_data(cli)?;
    }
    Ok(Job::Port(PortRequest { endpoints, config: port_config(cli)? }))
}

fn refuse_data(cli: &Cli) -> Result<(), Failure> {
    match cli.data {
        Some(_) => Err(Failure::failed("--data", "is what a UDP datagram holds: it needs a udp: DEST")),
        None => Ok(()),
    }
}

/// Refuses options of ICMP echo to single DESTs, and `others` that this job does not read: a user who gives one expects an
/// effect. It names every field, so that the compiler asks about a new option: an option that only one job reads goes into
/// the list here, or into `others` of the jobs that do not read it.
fn refuse(job: &str, cli: &Cli, others: &[(&str, bool)]) -> Result<(), Failure> {
    let Cli {
        // Options of ICMP echo.
        size,
        ttl,
        pmtudisc,
        flood,
        outstanding,
        time_of_day,
        adaptive,
        preload,
        tos,
        mark,
        pattern,
        dont_route,
        // They change nothing.
        user_latency: _,
        broadcast: _,
        sticky_source: _,
        socket_debug: _,
        connect: _,
        // Each job reads these, or its caller names them in `others`.
        words: _,
        count: _,
        interval: _,
        deadline: _,
        timeout: _,
        interface: _,
        quiet: _,
        numeric: _,
        ipv4: _,
        ipv6: _,
        rate: _,
        plain: _,
        json: _,
        find: _,
        // Its caller looks at it.
        data: _,
        // They choose the job.
        arp: _,
        dad: _,
        announce: _,
        matrix: _,
        // Of a matrix only, which clap sees to.
        tcp: _,
        udp: _,
    } = cli;
    let of_echo = [
        ("--size", size.is_some()),
        ("--ttl", ttl.is_some()),
        ("--pmtudisc", pmtudisc.is_some()),
        ("--flood", *flood),
        ("--outstanding", *outstanding),
        ("--time-of-day", *time_of_day),
        ("--adaptive", *adaptive),
        ("--preload", preload.is_some()),
        ("--tos", tos.is_some()),
        ("--mark", mark.is_some()),
        ("--pattern", pattern.is_some()),
        ("--dont-route", *dont_route),
    ];
    match of_echo.iter().chain(others).find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Failure::failed(option, format_args!("cannot be used with {job}"))),
        None => Ok(()),
    }
}

fn endpoints(cli: &Cli) -> Result<ProbeEndpoints, Failure> {
    let Some((target, dests)) = cli.words.split_first() else {
        return Err(Failure::failed("TARGET", "is missing").hint(common::hint!("netns-ping --help")));
    };
    // A container could be called so; then its kind goes in front.
    if target.parse::<IpAddr>().is_ok() {
        let what = "is an address, but the first argument is the container to ping from";
        let container = dests.first().filter(|word| word.parse::<Target>().is_ok());
        let container = container.map_or("nginx", String::as_str);
        return Err(Failure::failed(target, what).hint(common::hint!("netns-ping {} {}", container, target)));
    }
    // A port to connect to, and nobody to connect from.
    if let (Ok(dest), true) = (target.parse::<Dest>(), dests.is_empty())
        && dest.port().is_some()
    {
        let what = "is a port, but the first argument is the container to connect from";
        return Err(Failure::failed(&dest, what).hint(common::hint!("netns-ping nginx {}", dest)));
    }
    let target: Target = target
        .parse()
        .map_err(|error| Failure::failed(quotable(target), error).hint(hint_for_refused(target)))?;
    if dests.is_empty() {
        let hint = for_job(&target.to_string());
        let hint = hint.or_else(|| common::hint!("netns-ping {} gateway", target));
        return Err(Failure::failed("DEST", "is missing").hint(hint));
    }
    let dests = dests.iter().map(|word| dest(&target, word)).collect::<Result<_, _>>()?;
    Ok(ProbeEndpoints {
        target,
        dests,
        source: cli.interface.clone(),
        mark: cli.mark,
        families: families(cli),
        deadline: cli.deadline(),
        find: cli.find.config().session(),
    })
}

fn dest(target: &Target, word: &str) -> Result<Dest, Failure> {
    word.parse().map_err(|error| {
        let hint = match &error {
            DestError::NoTransport(word) => common::hint!("netns-ping {} tcp:{}", target, word),
            DestError::Target(TargetError::Kind(_)) => {
                common::sentence!("write docker:NAME for a container, tcp:NAME:PORT for a port")
            }
            _ => None,
        };
        Failure::failed(quotable(word), error).hint(hint)
    })
}
