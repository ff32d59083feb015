//! The command line of netns-ping. Uses only clap, std and `common`, so that manuals are made from it.

use std::time::Duration;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{DESTS, FindOptions, TARGETS, duration};

/// Ping from inside a container: ICMP, ARP, a whole network, all containers
#[derive(Debug, Parser)]
#[command(name = "netns-ping", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-ping [OPTIONS] TARGET DEST...\n       netns-ping [OPTIONS] --arp|--dad|--announce TARGET DEST...\n       netns-ping [OPTIONS] --matrix [PATTERN]"
)]
#[command(after_help = format!("{DESTS}\n\n{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The container to ping from, and what to ping
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Stop after N packets to each DEST
    ///
    /// In a scan or a matrix: probes to an address that does not reply (default 2). With --dad: probes, with
    /// --announce: announcements (default 3).
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Seconds between packets, default 1
    ///
    /// With a decimal point or a unit: 0.2, 200ms. 0 sends as fast as the kernel accepts packets.
    #[arg(short, long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub interval: Option<Duration>,

    /// Stop after this time, whatever replies came
    ///
    /// With --count N it stops after N replies, not after N packets. The lookup of a name takes no longer than this
    /// either, and never longer than 10 seconds.
    #[arg(short = 'w', long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub deadline: Option<Duration>,

    /// Wait this long for a reply
    ///
    /// Default: 10 seconds; with --arp and in a matrix 1 second; in a scan half a second on-link and 1 second
    /// through a router; with --dad 100ms after each probe.
    ///
    /// After the last packet it waits this long only if no reply came at all; otherwise twice the longest round
    /// trip, and at least --interval and 100 ms.
    #[arg(short = 'W', long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// Bytes of data in a packet, default 56
    ///
    /// The first 8 bytes are random and must come back in the reply. With fewer than 8, all are random; with 0 only
    /// the sequence numbers are compared.
    #[arg(short, long, value_name = "BYTES", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u16).range(..=65507))]
    pub size: Option<u16>,

    /// Time to live: at most N routers
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,

    /// Send from this interface or address
    #[arg(short = 'I', long, value_name = "IF|ADDR", value_hint = ValueHint::Other)]
    pub interface: Option<String>,

    /// Print only the first line and the summary
    #[arg(short, long)]
    pub quiet: bool,

    /// Print addresses without names
    ///
    /// Names are those on the command line; no name is looked up for an address.
    #[arg(short, long)]
    pub numeric: bool,

    /// Flood: a packet per reply, at least 100 a second
    ///
    /// Prints a dot for each packet that is sent, and a backspace for each reply. With --interval, sends at that
    /// interval.
    #[arg(short, long)]
    pub flood: bool,

    /// Path MTU discovery: do, probe, want or dont
    ///
    /// As in ping(8). do: packets larger than the path's MTU are not sent. probe: as do, but the known MTU of the
    /// path is ignored. want: packets are fragmented here if the path's MTU is smaller. dont: packets may be
    /// fragmented anywhere.
    #[arg(short = 'M', long, value_name = "HOW", hide_short_help = true, hide_possible_values = true)]
    pub pmtudisc: Option<PmtudiscArg>,

    /// IPv4 only
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// IPv6 only
    #[arg(short = '6', long, conflicts_with = "ipv4")]
    pub ipv6: bool,

    /// Report a missing reply before the next packet
    #[arg(short = 'O', long)]
    pub outstanding: bool,

    /// Print the time of day before each line
    ///
    /// As in ping(8): seconds since 1970 with microseconds, in brackets.
    #[arg(short = 'D', long, hide_short_help = true)]
    pub time_of_day: bool,

    /// Ask for MAC addresses: ARP, neighbour discovery
    ///
    /// ARP for IPv4, neighbour discovery for IPv6. Every host that claims the address is shown with its MAC
    /// address, its container or veth if it is on this host, and the round-trip time. If several do, the exit
    /// status is 1. An address behind a router is refused: only hosts on the link answer. With --interface and an
    /// interface, the request is sent there, whatever the routes say.
    #[arg(long, conflicts_with_all = ["dad", "announce", "matrix"])]
    pub arp: bool,

    /// Duplicate address detection: is an address in use?
    ///
    /// As in RFC 5227 and RFC 4862, without announcing anything. Exit status 1: a host has the address, or is
    /// probing for it at the same time. It takes 0.3 seconds; -w 6 waits as long as RFC 5227.
    #[arg(long, conflicts_with_all = ["announce", "matrix"])]
    pub dad: bool,

    /// Announce an address: gratuitous ARP
    ///
    /// For IPv6: unsolicited neighbour advertisement. Sent 3 times at intervals of 100ms. The container must have
    /// the address.
    #[arg(long, conflicts_with = "matrix")]
    pub announce: bool,

    /// Scan: packets a second [10000, 500 if routed]
    ///
    /// 10000 on-link, 500 through a router. Packets are sent in bursts of one millisecond. After a
    /// delay it sends faster for at most 20 milliseconds' worth of packets.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Ping between all, or all matching, containers
    ///
    /// Every running container, or those whose name matches PATTERN ('web-*'), pings all others and its gateway.
    /// Exit status 1: at least one container cannot reach another. Two containers without a common network are no
    /// failure.
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, value_hint = ValueHint::Other)]
    pub matrix: Option<Option<String>>,

    /// Print a line of JSON for each event
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// What is done about packets that are larger than the path's MTU: ping(8), -M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PmtudiscArg {
    /// IP_PMTUDISC_DO
    Do,
    /// IP_PMTUDISC_WANT
    Want,
    /// IP_PMTUDISC_PROBE
    Probe,
    /// IP_PMTUDISC_DONT
    Dont,
}

/// A hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

impl Cli {
    /// When it ends, whatever replies came; 0 is never, as in ping(8).
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline.filter(|deadline| !deadline.is_zero())
    }

    /// How long a reply is waited for in jobs that end by themselves; 0 means the default.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }
}

/// Why a word is not a time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum SecondsError {
    #[error("is neither seconds nor a time: 0.2, 200ms, 1m")]
    NotTime,
    #[error("is not a number of seconds: 0.2")]
    NotNumber,
    #[error("is too long")]
    TooLong,
}

/// Seconds, as ping(8) takes them, or a duration with a unit.
fn seconds(text: &str) -> Result<Duration, SecondsError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_number {
        return duration(text).map_err(|_| SecondsError::NotTime);
    }
    let seconds: f64 = text.parse().map_err(|_| SecondsError::NotNumber)?;
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST);
    time.ok_or(SecondsError::TooLong)
}

const EXAMPLES: &str = "\
Examples:
  netns-ping nginx 10.1.0.1            from nginx's network
  netns-ping web db gateway -c 3       tests the container's DNS too
  netns-ping --arp nginx 10.1.0.0/24   all neighbours, with their containers";

impl Cli {
    /// TARGET and DESTs as they were typed, for the events of what could not even begin.
    pub fn endpoints(&self) -> (&str, Vec<String>) {
        let (target, dests) = self.words.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let dests = if dests.is_empty() { vec![String::new()] } else { dests.to_vec() };
        (target, dests)
    }
}
