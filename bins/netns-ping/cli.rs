//! The command line of netns-ping. Uses only clap, std and `common`, so that manuals are made from it.

use std::time::Duration;

use clap::{Arg, ArgAction, Parser, ValueEnum, ValueHint};
use common::cli::{DESTS, DESTS_IN_SHORT, FindOptions, TARGETS, TARGETS_IN_SHORT, duration};

/// Ping from inside a container: ICMP, ARP, a whole network, all containers
#[derive(Debug, Parser)]
#[command(name = "netns-ping", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-ping [OPTIONS] TARGET DEST...\n       netns-ping [OPTIONS] --arp|--dad|--announce TARGET DEST...\n       netns-ping [OPTIONS] --matrix [PATTERN]"
)]
#[command(after_help = format!("{DESTS_IN_SHORT}\n{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{DESTS}\n\n{TARGETS}\n\n{EXAMPLES}"), mut_args = the_last_one_counts)]
pub struct Cli {
    /// The container to ping from, and what to ping
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Stop after N packets to each DEST
    ///
    /// In a scan or a matrix: probes to an address that does not reply (default 2). With --dad: probes, with
    /// --announce: announcements (default 3).
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other, allow_negative_numbers = true)]
    #[arg(value_parser = count)]
    pub count: Option<u64>,

    /// Seconds between packets, default 1
    ///
    /// With a decimal point or a unit: 0.2, 200ms. 0 sends as fast as the kernel accepts packets.
    #[arg(short, long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub interval: Option<Duration>,

    /// Stop after this time, whatever replies came
    ///
    /// With --count N it stops after N replies, not after N packets. The lookup of a name takes no longer than this
    /// either, and never longer than 20 seconds.
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

    /// Adaptive: the next packet when the reply is there
    ///
    /// So one packet is under way, or as many as --preload says. Without a reply the next packet is sent after the
    /// average round trip, at least 10 ms, and before the first reply after --interval.
    #[arg(short = 'A', long, hide_short_help = true)]
    pub adaptive: bool,

    /// Send N packets at once at the beginning
    ///
    /// As in ping(8): 1 to 65536, and more than 3 only as root. With --flood or --adaptive so many are under way.
    #[arg(short = 'l', long, value_name = "N", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub preload: Option<u32>,

    /// Type of service, or traffic class: 0 to 255
    ///
    /// The whole byte of the IP header, DSCP and ECN, decimal or as 0xb8. Routing rules for it are obeyed.
    #[arg(short = 'Q', long, value_name = "TOS", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = tos)]
    pub tos: Option<u8>,

    /// Set a mark on packets, for policy routing
    ///
    /// A firewall mark, decimal or as 0x10, as in ip-rule(8). Requires CAP_NET_ADMIN.
    #[arg(short = 'm', long, value_name = "MARK", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = mark)]
    pub mark: Option<u32>,

    /// Fill packets with these bytes
    ///
    /// Up to 16 bytes as hexadecimal digits, repeated, as in ff00. The first 8 bytes of a packet stay random.
    #[arg(short = 'p', long, value_name = "HEX", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = PatternArg::of)]
    pub pattern: Option<PatternArg>,

    /// Only to hosts on the link: use no router
    ///
    /// A DEST behind a router is refused.
    #[arg(short = 'r', long, hide_short_help = true)]
    pub dont_route: bool,

    /// Print only what ping(8) and arping(8) print
    ///
    /// Standard output has no times of ARP or of the queue, no names of containers, and no other words that are not
    /// theirs. Standard error stays as it is.
    #[arg(long, hide_short_help = true)]
    pub plain: bool,

    // Options of ping(8) that ask for what netns-ping does anyway, or for nothing that anybody could notice.
    #[arg(short = 'U', hide = true)]
    pub user_latency: bool,
    #[arg(short = 'b', hide = true)]
    pub broadcast: bool,
    #[arg(short = 'B', hide = true)]
    pub sticky_source: bool,
    #[arg(short = 'd', hide = true)]
    pub socket_debug: bool,
    #[arg(short = 'C', hide = true)]
    pub connect: bool,

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
    #[arg(value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub rate: Option<u32>,

    /// Ping between all, or all matching, containers
    ///
    /// Every running container, or those whose name matches PATTERN ('web-*'), pings all others and its gateway.
    /// Exit status 1: at least one container cannot reach another. Two containers without a common network are no
    /// failure.
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, value_hint = ValueHint::Other)]
    pub matrix: Option<Option<String>>,

    /// Matrix: connect to this TCP port instead of pinging
    ///
    /// Each container connects to the port in each other one. Gateways are not probed.
    #[arg(long, value_name = "PORT", requires = "matrix", conflicts_with = "udp", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub tcp: Option<u16>,

    /// Matrix: send to this UDP port instead of pinging
    ///
    /// Silence proves nothing: see --data.
    #[arg(long, value_name = "PORT", requires = "matrix", hide_short_help = true, value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub udp: Option<u16>,

    /// UDP: what a datagram holds
    ///
    /// Text, in which \\n, \\r, \\t, \\\\ and \\xNN stand for other bytes. Default: a DNS query to port 53, an NTP request to
    /// port 123, nothing to others. To TCP ports nothing is ever sent.
    #[arg(long, value_name = "TEXT", hide_short_help = true, value_hint = ValueHint::Other)]
    pub data: Option<String>,

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

/// The bytes that packets are filled with, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternArg(pub Vec<u8>);

impl PatternArg {
    /// As ping(8) reads it: two digits a byte, and a last one that is alone is a byte too.
    fn of(text: &str) -> Result<Self, NumberError> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
        let digits = digits.filter(|digits| (1..=32).contains(&digits.len())).ok_or(NumberError::Pattern)?;
        let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
        Ok(PatternArg(digits.chunks(2).map(byte).collect()))
    }
}

/// Why a word is not a number, or not the bytes that it should be.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum NumberError {
    #[error("is not 0 to 255, or 0x0 to 0xff")]
    Tos,
    #[error("is not 0 to 4294967295, or 0x0 to 0xffffffff")]
    Mark,
    #[error("is not 1 to 32 hexadecimal digits")]
    Pattern,
    #[error("is not a number of packets: 1 or more")]
    Count,
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    u32::from_str_radix(digits, radix).ok().filter(|_| is_number)
}

fn count(text: &str) -> Result<u64, NumberError> {
    text.parse().ok().filter(|count| *count > 0).ok_or(NumberError::Count)
}

fn tos(text: &str) -> Result<u8, NumberError> {
    number(text).and_then(|number| number.try_into().ok()).ok_or(NumberError::Tos)
}

fn mark(text: &str) -> Result<u32, NumberError> {
    number(text).ok_or(NumberError::Mark)
}

/// Options whose bad values end ping(8) with status 1; those of all others, and unknown options, end it with 2.
pub const STATUS_ONE: [&str; 6] = ["--count", "--ttl", "--size", "--deadline", "--preload", "--mark"];

/// As in ping(8): who has `alias ping='ping -c4'` may say `-c1`.
fn the_last_one_counts(option: Arg) -> Arg {
    let id = option.get_id().clone();
    match option.get_action() {
        ArgAction::Set | ArgAction::SetTrue if !option.is_positional() => option.overrides_with(id),
        _ => option,
    }
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
