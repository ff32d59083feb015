//! What each job's options mean together, with the defaults.

use std::time::Duration;

use common::failure::Failure;
use common::packet::icmp::PathMtu;
use common::target::{DestPort, Transport};
use nix::unistd::geteuid;

use crate::cli::{Cli, PmtudiscArg};
use crate::request::{
    ArpMode, AskConfig, EchoConfig, Families, MatrixRequest, PortConfig, ScanConfig, ShowOptions,
    usual_payload,
};

/// `-4` and `-6`.
pub fn families(cli: &Cli) -> Families {
    Families { v4: !cli.ipv6, v6: !cli.ipv4 }
}

/// ICMP echo; the defaults are those of ping(8).
///
/// # Errors
/// What makes no sense.
pub fn echo_config(cli: &Cli) -> Result<EchoConfig, Failure> {
    const INTERVAL: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(10);
    const PAYLOAD_BYTES: u16 = 56;
    /// As ping(8) has it.
    const UNPRIVILEGED_PRELOAD: u32 = 3;
    if cli.rate.is_some() {
        return Err(Failure::failed("--rate", "is for scans; for packets to one DEST use --interval"));
    }
    let preload = cli.preload.unwrap_or(1);
    if preload > UNPRIVILEGED_PRELOAD && !geteuid().is_root() {
        let what = format_args!("more than {UNPRIVILEGED_PRELOAD} packets at once require root");
        return Err(Failure::failed("--preload", what));
    }
    // ping(8): 0 waits for ever.
    let timeout =
        cli.timeout.map_or(TIMEOUT, |timeout| if timeout.is_zero() { Duration::MAX } else { timeout });
    Ok(EchoConfig {
        interval: cli.interval.unwrap_or(if cli.flood { Duration::ZERO } else { INTERVAL }),
        count: cli.count,
        deadline: cli.deadline(),
        timeout,
        payload_bytes: cli.size.unwrap_or(PAYLOAD_BYTES),
        ttl: cli.ttl,
        path_mtu: cli.pmtudisc.map(|how| match how {
            PmtudiscArg::Do => PathMtu::Do,
            PmtudiscArg::Want => PathMtu::Want,
            PmtudiscArg::Probe => PathMtu::Probe,
            PmtudiscArg::Dont => PathMtu::Dont,
        }),
        is_adaptive: cli.adaptive,
        preload,
        pattern: cli.pattern.as_ref().map(|pattern| pattern.0.clone()),
        tos: cli.tos,
        mark: cli.mark,
        is_on_link_only: cli.dont_route,
        show: ShowOptions {
            quiet: cli.quiet,
            numeric: cli.numeric,
            flood: cli.flood,
            outstanding: cli.outstanding,
            time_of_day: cli.time_of_day,
            plain: cli.plain,
            json: cli.json,
        },
    })
}

/// `--arp`, `--dad`, `--announce`.
pub fn arp_mode(cli: &Cli) -> Option<ArpMode> {
    /// Neighbours answer within milliseconds; one that sleeps may need longer to wake up.
    const TIMEOUT: Duration = Duration::from_secs(1);
    /// As often as RFC 4861 has it at most, MAX_NEIGHBOR_ADVERTISEMENT, for what is lost on the way.
    const ANNOUNCEMENTS: u64 = 3;
    /// Neighbours that run Linux ignore a second claim of an address within a second (arp_process, `locktime`): later ones
    /// are only for a neighbour that missed the first.
    const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(100);
    match cli {
        Cli { arp: true, .. } => Some(ArpMode::Ask(AskConfig {
            count: cli.count,
            interval: cli.interval.unwrap_or(Duration::from_secs(1)),
            timeout: cli.timeout().unwrap_or(TIMEOUT),
            deadline: cli.deadline(),
        })),
        Cli { dad: true, .. } => Some(ArpMode::Duplicate { waits: probe_waits(cli) }),
        Cli { announce: true, .. } => Some(ArpMode::Announce {
            times: cli.count.unwrap_or(ANNOUNCEMENTS),
            interval: cli.interval.unwrap_or(ANNOUNCE_INTERVAL),
        }),
        _ => None,
    }
}

fn probe_waits(cli: &Cli) -> Vec<Duration> {
    /// RFC 5227's PROBE_NUM.
    const PROBES: u32 = 3;
    /// At the most, whatever was requested: a quarter of an hour.
    const MOST_PROBES: u32 = 10_000;
    /// After each probe, where no time is given: a host on this machine answers within tens of microseconds, one behind a
    /// few switches within a millisecond. RFC 5227 waits for 3 to 7 seconds in all, for what may be waking up: that is
    /// `-w 6`.
    const QUICK: Duration = Duration::from_millis(100);
    let probes =
        cli.count.map_or(PROBES, |count| u32::try_from(count).unwrap_or(MOST_PROBES).min(MOST_PROBES));
    let each = match (cli.deadline(), cli.timeout()) {
        (Some(deadline), _) => deadline / probes,
        (None, Some(timeout)) => timeout,
        (None, None) => QUICK,
    };
    vec![each; probes as usize]
}

/// As arp-scan(1) has it: what is lost once seldom is twice.
const TRIES: u32 = 2;

/// How a scan probes on the link, and through a router.
pub fn scan_configs(cli: &Cli) -> (ScanConfig, ScanConfig) {
    let config = |rate, timeout, least_silence| ScanConfig {
        rate: cli.rate.unwrap_or(rate),
        tries: tries(cli),
        timeout: cli.timeout().unwrap_or(timeout),
        least_silence,
    };
    (
        config(10_000, Duration::from_millis(500), Duration::from_millis(20)),
        config(500, Duration::from_secs(1), Duration::from_millis(200)),
    )
}

/// Ports; the interval is that of ping(8).
///
/// # Errors
/// What makes no sense.
pub fn port_config(cli: &Cli) -> Result<PortConfig, Failure> {
    const INTERVAL: Duration = Duration::from_secs(1);
    let data = cli.data.as_deref().map(escaped).transpose()?;
    // ping(8): 0 waits for ever.
    let timeout = cli.timeout.map(|timeout| if timeout.is_zero() { Duration::MAX } else { timeout });
    Ok(PortConfig {
        interval: cli.interval.unwrap_or(INTERVAL),
        count: cli.count,
        deadline: cli.deadline(),
        timeout,
        data,
        quiet: cli.quiet,
        json: cli.json,
    })
}

/// The bytes of a text in which `\\n`, `\\r`, `\\t`, `\\\\` and `\\xNN` stand for others, as in printf(1).
fn escaped(text: &str) -> Result<Vec<u8>, Failure> {
    /// What fits into one datagram of IPv4.
    const MOST_BYTES: usize = 65_507;
    let wrong = || {
        Failure::failed(
            "--data",
            "a backslash is followed by n, r, t, x and two hexadecimal digits, or a backslash",
        )
    };
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next().ok_or_else(wrong)? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    let number = digit().zip(digit()).ok_or_else(wrong)?;
                    u8::try_from(number.0 * 16 + number.1).map_err(|_| wrong())?
                }
                _ => return Err(wrong()),
            },
            byte => byte,
        };
        bytes.push(byte);
    }
    match bytes.len() <= MOST_BYTES {
        true => Ok(bytes),
        false => Err(Failure::failed("--data", format_args!("is longer than {MOST_BYTES} bytes"))),
    }
}

/// A matrix of the containers that `pattern` fits.
///
/// # Errors
/// What makes no sense.
pub fn matrix(pattern: Option<String>, cli: &Cli) -> Result<MatrixRequest, Failure> {
    /// An answer from this host takes less than a millisecond; a neighbour that is asked for by ARP first, and again, a
    /// second.
    const TIMEOUT: Duration = Duration::from_secs(1);
    /// What a SYN that got lost needs: it is sent again after a second.
    const TCP_TIMEOUT: Duration = Duration::from_millis(2500);
    let of = |transport, number: Option<u16>| number.map(|number| DestPort { transport, number });
    let port = of(Transport::Tcp, cli.tcp).or(of(Transport::Udp, cli.udp));
    let data = cli.data.as_deref().map(escaped).transpose()?;
    let port_timeout = match port.map(|port| port.transport) {
        Some(Transport::Tcp) => Some(cli.timeout().unwrap_or(TCP_TIMEOUT)),
        Some(Transport::Udp) => Some(cli.timeout().unwrap_or(TIMEOUT)),
        None => None,
    };
    Ok(MatrixRequest {
        port: port.map(|port| (port, data.unwrap_or_else(|| usual_payload(port.number).bytes([0, 1])))),
        pattern,
        families: families(cli),
        tries: tries(cli),
        timeout: port_timeout.unwrap_or(cli.timeout().unwrap_or(TIMEOUT) / tries(cli)),
        deadline: cli.deadline(),
        json: cli.json,
        quiet: cli.quiet,
        find: cli.find.config(),
    })
}

fn tries(cli: &Cli) -> u32 {
    cli.count.map_or(TRIES, |count| u32::try_from(count).unwrap_or(u32::MAX))
}
