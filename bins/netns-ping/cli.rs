//! What a user of netns-ping may say. Uses only clap, std and `common`, so that manuals are made from it.

use std::time::Duration;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, TARGETS, duration};

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

    /// Stop after so many packets to each DEST
    ///
    /// In a sweep and in a matrix it is how often who has not answered is asked, 2 if not given; of --dad how many probes
    /// there are, and of --announce how often it is told, 3 if not given.
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Seconds between packets, 1 if not given
    ///
    /// With a point, or a unit: 0.2, 200ms. 0 sends as fast as the kernel takes it.
    #[arg(short, long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub interval: Option<Duration>,

    /// Stop after this long, whatever has come
    ///
    /// With --count it ends too when so many answers have come, not when so many packets are sent. The look-up of each name
    /// takes no longer than this either, and never longer than 10 seconds.
    #[arg(short = 'w', long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub deadline: Option<Duration>,

    /// Wait for an answer this long
    ///
    /// 10 seconds if not given, and of ARP and sweeps as long as is usual there. After the last packet it is only
    /// waited for if nothing has come at all: otherwise twice the longest round trip.
    ///
    /// With --arp it is 1 second, in a sweep half a second on-link and 1 second beyond, in a matrix 1 second, and of --dad
    /// 100ms behind each probe.
    #[arg(short = 'W', long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// Bytes of data in a packet, 56 if not given
    ///
    /// The first 8 are random, and an answer must contain them. If there are fewer, all are random; with 0 every answer with
    /// the right numbers counts.
    #[arg(short, long, value_name = "BYTES", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u16).range(..=65507))]
    pub size: Option<u16>,

    /// Through at most so many routers
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,

    /// From this link or address of the container
    #[arg(short = 'I', long, value_name = "IF|ADDR", value_hint = ValueHint::Other)]
    pub interface: Option<String>,

    /// Print the first line and the summary only
    #[arg(short, long)]
    pub quiet: bool,

    /// Print addresses without names
    ///
    /// Names are those that were typed; none is looked up for an address.
    #[arg(short, long)]
    pub numeric: bool,

    /// Flood: the next packet with each answer, 100 a second at least
    ///
    /// A dot for each packet that is sent, and a backspace for each answer. With --interval as often as that says.
    #[arg(short, long)]
    pub flood: bool,

    /// Forbid fragments (do, probe), or leave them to the path (want, dont)
    ///
    /// As ping(8) has it. do: packets larger than the path's MTU are not sent. probe: as do, but the known MTU of the
    /// path is not looked at. want: fragmented here if the path's MTU is smaller. dont: fragmented by whoever must.
    #[arg(short = 'M', long, value_name = "HOW", hide_short_help = true, hide_possible_values = true)]
    pub pmtudisc: Option<PmtudiscArg>,

    /// IPv4 only
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// IPv6 only
    #[arg(short = '6', long, conflicts_with = "ipv4")]
    pub ipv6: bool,

    /// Say so before the next packet when an answer is outstanding
    #[arg(short = 'O', long)]
    pub outstanding: bool,

    /// Print the time of day in front of each line
    ///
    /// As ping(8) does: seconds since 1970 with microseconds, in brackets.
    #[arg(short = 'D', long, hide_short_help = true)]
    pub time_of_day: bool,

    /// Ask for MACs: ARP, for IPv6 neighbour solicitation
    ///
    /// Everybody who says that he has the address is shown with his MAC, his container or veth if he is on this host,
    /// and the round-trip time. When several do, the exit status is 1. An address behind a router is refused, for nobody
    /// answers from there; with --interface and a link it is asked for on that one whatever the routes say.
    #[arg(long, conflicts_with_all = ["dad", "announce", "matrix"])]
    pub arp: bool,

    /// Ask whether anybody has an address already
    ///
    /// As RFC 5227 and RFC 4862 have it, without telling anybody anything. Exit status 1: somebody has it, or wants it at
    /// the same time. It takes 0.3 seconds; -w 6 is as patient as RFC 5227.
    #[arg(long, conflicts_with_all = ["announce", "matrix"])]
    pub dad: bool,

    /// Tell the neighbours whose an address of the container's is
    ///
    /// Gratuitous ARP, for IPv6 unsolicited neighbour advertisement, 3 times with 100ms between. Only of an address that the
    /// container has.
    #[arg(long, conflicts_with = "matrix")]
    pub announce: bool,

    /// In a sweep, packets a second: 10000 on-link, 500 beyond
    ///
    /// They leave in bursts of a millisecond's worth; what was missed while the processor was busy is made up for within
    /// 20 milliseconds.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Every running container, or those that fit, to all others
    ///
    /// And each to its gateway. PATTERN is one of names: 'web-*'. Exit status 1: at least one does not reach another. Two
    /// with no network in common are no failure.
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, value_hint = ValueHint::Other)]
    pub matrix: Option<Option<String>>,

    /// A line of JSON for each event
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
    /// When it ends, whatever has come; 0 is never, as ping(8) has it.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline.filter(|deadline| !deadline.is_zero())
    }

    /// How long an answer is waited for where nobody waits for ever: 0 is as if nothing was said.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }
}

/// Seconds, as ping(8) takes them, or a duration with a unit.
fn seconds(text: &str) -> Result<Duration, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_number {
        return duration(text).map_err(|_| "is neither seconds nor a time: 0.2, 200ms, 1m".to_owned());
    }
    let seconds: f64 = text.parse().map_err(|_| "is not a number of seconds: 0.2".to_owned())?;
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST);
    time.ok_or_else(|| "is longer than anybody can wait".to_owned())
}

const DESTS: &str = "\
DEST:
  10.1.0.1 fe80::1%eth0 an address
  db www.example.com    a name, looked up as the container does
  gateway               the container's default gateway
  docker:db pod:web     another container: a TARGET with its kind in front
  10.1.0.0/24 10.1.0.5-10.1.0.9
                        all of them: a sweep";

const EXAMPLES: &str = "\
Examples:
  netns-ping nginx 10.1.0.1            from where nginx is
  netns-ping web db gateway -c 3       the container's DNS is tested too
  netns-ping --arp nginx 10.1.0.0/24   all neighbours, and their containers";
