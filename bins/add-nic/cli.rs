//! The command line of add-nic. Uses only clap, std and `common`, because the manual is generated from it.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, TARGETS, TARGETS_IN_SHORT};
use common::target::{IfName, Mac};

/// Add a network interface (NIC) to a running container
#[derive(Debug, Parser)]
#[command(name = "add-nic", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "add-nic [OPTIONS] TARGET ADDR...\n       add-nic [OPTIONS] --rm | --repair TARGET [IF|ADDR]\n       add-nic [OPTIONS] --list | --check [TARGET]\n       add-nic [OPTIONS] --watch FILE"
)]
#[command(after_help = format!("{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The container, and the addresses of its new NIC with their prefix lengths
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Address of the host's end, or none
    ///
    /// Default: the --gateway, or the first free address of each network of the NIC: 10.1.0.1 for 10.1.0.2/24. A /32
    /// network has no second address: give any with --host-addr; each end gets a route to the other. With --bridge, an
    /// address that is given is added to the bridge; an existing bridge gets none by default, and none says that the host needs none.
    /// May be given once for each network.
    #[arg(long, value_name = "A|none", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub host_addr: Vec<String>,

    /// Attach the other end to this bridge
    #[arg(short, long, value_name = "BR", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub bridge: Option<IfName>,

    /// Create the bridge if it does not exist
    ///
    /// It gets the first free address of each network of the NIC, unless --host-addr says otherwise. It is deleted with the last
    /// NIC that add-nic attached to it.
    #[arg(long, requires = "bridge")]
    pub create: bool,

    /// Connect to another container or network namespace
    ///
    /// A veth pair between the two. The host has no end of it and sees none of its traffic. TARGET2 is another TARGET; --rm from
    /// either side removes the pair.
    #[arg(long, value_name = "TARGET2", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = ["bridge", "host_addr", "host_name"])]
    pub peer: Option<String>,

    /// Create a macvlan on a host interface: PARENT[:MODE]
    ///
    /// MODE: bridge (default), private, vepa, passthru. The NIC is on the same network segment as PARENT. The host and its own
    /// macvlans cannot reach each other.
    #[arg(long, value_name = "PARENT", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = NOT_STACKED)]
    pub macvlan: Option<String>,

    /// Create an ipvlan on a host interface: PARENT[:MODE]
    ///
    /// MODE: l2 (default), l3, l3s. The NIC has PARENT's MAC address: for networks that allow only one MAC address per port. In l3
    /// and l3s the host's routes decide, and nothing answers ARP. The host and its own ipvlans cannot reach each other.
    #[arg(long, value_name = "PARENT", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = NOT_STACKED, conflicts_with_all = ["macvlan", "mac"], hide_short_help = true)]
    pub ipvlan: Option<String>,

    /// Move a host interface into the container
    ///
    /// It loses its addresses and routes on the host. --rm moves it back and restores its name, MAC address, MTU, addresses, routes
    /// and settings under /proc/sys/net. An interface that cannot be restored exactly is refused, and so is the one with the
    /// host's default route. When the container exits, the kernel returns the interface, and the next call of add-nic restores it.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    #[arg(conflicts_with_all = NOT_STACKED, conflicts_with_all = ["macvlan", "ipvlan"])]
    pub phys: Option<IfName>,

    /// Address of TARGET2's end, or none
    ///
    /// Default: the --gateway, or the first free address of each network of the NIC. May be given once for each network.
    #[arg(long, value_name = "A|none", value_hint = ValueHint::Other, requires = "peer", hide_short_help = true)]
    pub peer_addr: Vec<String>,

    /// Name of TARGET2's end (default: the next free ethN)
    ///
    /// At most 15 bytes.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, requires = "peer", hide_short_help = true)]
    pub peer_name: Option<IfName>,

    /// Put the NIC into a VLAN, 1 to 4094
    ///
    /// With --bridge, the port is an access port of the VLAN: its traffic is untagged. The bridge must have VLAN filtering enabled,
    /// which --create does. The bridge itself is not in the VLAN. With --phys IF, the NIC is the VLAN interface IF.ID, and IF stays on
    /// the host. With --macvlan and --ipvlan, the parent is PARENT.ID: it is created if it does not exist, and deleted with the
    /// last NIC on it.
    #[arg(long, value_name = "ID", value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,

    /// Name in the container (default: the next free ethN)
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub name: Option<IfName>,

    /// Start of its default name, instead of eth
    ///
    /// The name is the next free PREFIXN, also of TARGET2's end. Docker calls its interfaces ethN: with another prefix
    /// "docker network connect" never meets a name that is taken. At most 11 bytes.
    #[arg(long, value_name = "PREFIX", value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    pub name_prefix: Option<IfName>,

    /// Name of the host's end (default: CONTAINER-ethN)
    ///
    /// At most 15 bytes: a long container name is shortened.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(hide_short_help = true)]
    pub host_name: Option<IfName>,

    /// MAC address
    ///
    /// Default: a random, locally administered address.
    #[arg(long, value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    pub mac: Option<Mac>,

    /// MTU (default: the bridge's, or 1500)
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub mtu: Option<u32>,

    /// Default route via IP; replaces the current one
    ///
    /// --rm restores the previous one. May be given once for IPv4 and once for IPv6. With --sbr, the route goes into the NIC's own
    /// routing table, and the current default route stays.
    #[arg(short, long, value_name = "IP", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub gateway: Vec<IpAddr>,

    /// Route through the NIC; may be repeated
    #[arg(short, long, value_name = "NET[@VIA]", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub route: Vec<String>,

    /// Metric of these routes
    ///
    /// The route with the lowest metric is used. With --metric, the current default route stays, unless it has the same metric.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(hide_short_help = true)]
    pub metric: Option<u32>,

    /// Set a sysctl of its network; IF in KEY is the NIC
    ///
    /// KEY is written as for sysctl(8): net.ipv4.conf.IF.rp_filter=2. It begins with net: no other settings belong to a network
    /// namespace. A setting that already has the value is left alone. --rm restores the others, unless they were changed since. May
    /// be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(hide_short_help = true)]
    pub sysctl: Vec<String>,

    /// NAT: reach other networks with the host's address
    ///
    /// Traffic from the NIC's networks that leaves by an interface of the host's default routes has the host's address
    /// (masquerading). With --nat=all this holds for all interfaces, those of Docker's networks included. Forwarding is enabled on
    /// the host (ip_forward, and net.ipv6.conf.all.forwarding for an IPv6 address). Where an iptables FORWARD chain would drop the
    /// traffic, as Docker's does, a rule accepts it. --rm undoes all of it.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, hide_possible_values = true)]
    #[arg(default_missing_value = "default-route", conflicts_with_all = JOBS)]
    pub nat: Option<NatOption>,

    /// Publish a container port on the host
    ///
    /// [IP:]HOSTPORT:PORT[/udp|/tcp] forwards HOSTPORT on all addresses of the host, or only on IP, to PORT of the NIC's first IPv4
    /// address. It works from outside, from the host itself, also on 127.0.0.1, and from the container. The default is /tcp. A
    /// port on which a program on the host listens is refused. May be repeated.
    #[arg(short, long, value_name = "PORT:PORT", value_hint = ValueHint::Other)]
    #[arg(conflicts_with_all = JOBS)]
    pub publish: Vec<String>,

    /// Allow traffic between containers on the bridge
    ///
    /// With bridge netfilter enabled, traffic from one port of a bridge to another passes Docker's FORWARD chain, which drops it
    /// unless the bridge is Docker's. This adds a rule that accepts it; --rm removes the rule.
    #[arg(long, requires = "bridge", conflicts_with_all = JOBS, hide_short_help = true)]
    pub forward: bool,

    /// Source-based routing: replies use this NIC
    ///
    /// The NIC gets a routing table of its own with its networks, each --route, and a default route through --gateway or, without
    /// one, the host's address at the other end. For each ADDR, a rule selects this table for packets from ADDR. So clients behind
    /// a router reach the NIC although the container's default route uses another interface. That default route stays.
    #[arg(long, conflicts_with_all = JOBS, hide_short_help = true)]
    pub sbr: bool,

    /// Duplicate address detection
    ///
    /// quick asks once and waits 5 ms for a reply, or 20 ms on a macvlan or ipvlan. full follows RFC 5227 and RFC 4862: it asks three
    /// times, one to two seconds apart, and waits two seconds more; another host that requests the address at the same time is a
    /// conflict too. The check is skipped where the NIC has no neighbours.
    #[arg(long, value_name = "HOW", default_value = "quick", conflicts_with_all = JOBS, hide_short_help = true)]
    pub dad: DadOption,

    /// Skip duplicate address detection
    ///
    /// Without this option, an address that is already in use is refused.
    #[arg(long, conflicts_with = "dad", conflicts_with_all = JOBS, hide_short_help = true)]
    pub no_dad: bool,

    /// How often to announce the addresses
    ///
    /// Neighbours may remember another MAC address for them and would use it for seconds. So add-nic sends a gratuitous ARP, or an
    /// unsolicited neighbour advertisement, for each address. A higher number repeats this every two seconds (RFC 5227) or, if
    /// all addresses are IPv6, every second (RFC 4861). add-nic waits until all are sent; the NIC works meanwhile.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(..=60), conflicts_with_all = JOBS, hide_short_help = true)]
    pub announce: u8,

    /// Do not announce the addresses
    ///
    /// The same as --announce 0.
    #[arg(long, conflicts_with = "announce", conflicts_with_all = JOBS, hide_short_help = true)]
    pub no_announce: bool,

    /// Change the NIC, if it is there with other options
    ///
    /// The NIC of TARGET that has the --name or, if none has, one of the addresses becomes what this command says. Addresses, routes, MTU,
    /// MAC address, settings and firewall rules are changed in place, and what is not different is not touched. Another kind, bridge, parent, VLAN
    /// or name needs a new interface: the old one is removed and the new one added. If anything fails, the old one is back as it was. Names and MAC
    /// addresses that are not given stay as they are. Without such a NIC it is added. With --dry-run the difference is printed.
    #[arg(long, conflicts_with_all = JOBS, hide_short_help = true)]
    pub replace: bool,

    /// Remove a NIC, or all that add-nic created there
    ///
    /// Restores the previous state, including the default route. A NIC that does not exist is no error. A NIC that add-nic did not
    /// create is kept, unless --force is given.
    #[arg(long)]
    pub rm: bool,

    /// Make a NIC, or all of TARGET, as they were added
    ///
    /// Does again what others undid since, as --check lists it: a link that is down, addresses, routes and firewall rules that are
    /// gone, settings. The NIC is not removed meanwhile. A link that was renamed, replaced or detached is not repaired: that is said,
    /// and the exit status is 1.
    #[arg(long, conflicts_with_all = ["rm", "list", "check", "watch", "dry_run", "preflight"], hide_short_help = true)]
    pub repair: bool,

    /// List the NICs that add-nic created
    #[arg(short, long, conflicts_with = "rm")]
    pub list: bool,

    /// List changes to these NICs; exit with 1 if any
    #[arg(long, conflicts_with_all = ["rm", "list"])]
    pub check: bool,

    /// Keep running, and keep the NICs in FILE in place
    ///
    /// A NIC is added again whenever its container restarts, and repaired when others change it. FILE is TOML, with a table `[[nic]]` for each NIC: its keys are
    /// container, addresses, and the long options above: `bridge = "br1"`, `create = true`. It is read again when it changes. A
    /// signal ends the watch; the NICs stay. With --dry-run FILE is only checked, and what would be done is shown; with --preflight the problems
    /// are. Both read all entries as one plan: two that want the same name, address or port are found. A NIC that is there with other
    /// options than its entry says is reported, and changed if the entry has `replace = true`.
    ///
    /// add-nic runs as root what FILE says. So FILE, each directory of its path and each symbolic link's target must be writable
    /// only by root and the caller. In a directory with the sticky bit, such as /tmp, root or the caller must own the next part of the path.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["words", "rm", "list", "check", "host", "force"])]
    pub watch: Option<PathBuf>,

    /// With --watch: add what is missing, and exit
    ///
    /// Repairs what others changed, too. Exits with 1 if a NIC of FILE is not as FILE says then, and says why.
    #[arg(long, requires = "watch", hide_short_help = true)]
    pub once: bool,

    /// Print the commands instead of running them
    ///
    /// Commands name interfaces. With --rm or --replace, status 2 and no commands if one of them was renamed since: another one may have its
    /// name. add-nic itself finds it by its index.
    #[arg(short = 'n', long, conflicts_with_all = ["list", "check"])]
    pub dry_run: bool,

    /// Print problems and fixes; change nothing
    ///
    /// The same warnings appear on standard error before each NIC is added, and stop nothing: a firewall that drops bridge traffic,
    /// strict rp_filter, a bridge without an address in the network, a gateway that does not answer, overlapping networks,
    /// different MTUs, the spanning tree protocol, no carrier, a MAC address in use, NAT without a route. Exits with 1 if there
    /// is a warning.
    #[arg(long, conflicts_with_all = ["rm", "repair", "list", "check", "dry_run", "once"])]
    pub preflight: bool,

    /// No warnings and notes before a NIC is added
    ///
    /// Errors, and what was found once the NIC is there, are printed all the same.
    #[arg(short, long, conflicts_with_all = JOBS, conflicts_with_all = ["dry_run", "preflight"], hide_short_help = true)]
    pub quiet: bool,

    /// Allow the host's own network as TARGET
    ///
    /// A container with --network host uses it: without this option it is refused.
    #[arg(long, conflicts_with_all = ["list", "check"])]
    pub host: bool,

    /// With --rm: remove a NIC add-nic did not create
    #[arg(short, long, requires = "rm")]
    pub force: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// Values of `--nat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NatOption {
    DefaultRoute,
    All,
}

/// Values of `--dad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DadOption {
    Quick,
    Full,
}

/// Options that select another job than adding a NIC.
const JOBS: [&str; 5] = ["rm", "repair", "list", "check", "watch"];

/// Options that a single NIC cannot have: they are not allowed as keys in a watch file.
pub const NOT_OF_A_NIC: [&str; 16] = [
    "rm",
    "repair",
    "list",
    "check",
    "watch",
    "once",
    "preflight",
    "dry_run",
    "force",
    "json",
    "quiet",
    "engine_timeout",
    "verbose",
    "help",
    "man",
    "version",
];

/// Options that a NIC without another end cannot have: macvlan, ipvlan, and moved host interfaces.
const NOT_STACKED: [&str; 4] = ["bridge", "peer", "host_addr", "host_name"];

const EXAMPLES: &str = "\
Examples:
  add-nic nginx 10.1.0.2/24        the host's end gets 10.1.0.1
  add-nic nginx 10.2.0.2/24 -b br1 --create --gateway 10.2.0.1
  add-nic --rm nginx eth1          restores the previous state";
