//! What a user of add-nic may say. Uses only clap, std and `common`, so that manuals are made from it.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, TARGETS};
use common::target::{IfName, Mac};

/// Plug a cable into a running container; it works when the command returns
#[derive(Debug, Parser)]
#[command(name = "add-nic", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "add-nic [OPTIONS] TARGET ADDR...\n       add-nic [OPTIONS] --rm TARGET [IF|ADDR]\n       add-nic [OPTIONS] --list | --check [TARGET]\n       add-nic [OPTIONS] --watch FILE"
)]
#[command(after_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The container, and the addresses of its new NIC with their prefix lengths
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// The host's address on the cable; none for none
    ///
    /// Without it, the gateway if there is one, otherwise the first free address of each ADDR's network: 10.1.0.1 for
    /// 10.1.0.2/24. A network of one address, /32, has no other: there A can be any, and each end has a route to
    /// the other. With --bridge it is the bridge that gets the address. May be given once for each network.
    #[arg(long, value_name = "A|none", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub host_addr: Vec<String>,

    /// Plug the other end into this bridge
    #[arg(short, long, value_name = "BR", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub bridge: Option<IfName>,

    /// Make the bridge if there is none
    ///
    /// It has the first free address of each ADDR's network, unless --host-addr says otherwise, and goes with the last
    /// NIC that was plugged into it so.
    #[arg(long, requires = "bridge")]
    pub create: bool,

    /// Plug the other end into this container or network
    ///
    /// A cable between the two, of which the host has no end and sees nothing. TARGET2 is another TARGET; --rm from either
    /// side removes the cable.
    #[arg(long, value_name = "TARGET2", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = ["bridge", "host_addr", "host_name"])]
    pub peer: Option<String>,

    /// A macvlan on this link of the host: PARENT[:MODE]
    ///
    /// MODE is bridge (the default), private, vepa or passthru. It is as if the NIC were plugged into the same switch as
    /// PARENT. The host itself does not reach its own macvlans, nor they it.
    #[arg(long, value_name = "PARENT", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = NOT_STACKED)]
    pub macvlan: Option<String>,

    /// An ipvlan on this link of the host, with the link's MAC: PARENT[:MODE]
    ///
    /// MODE is l2 (the default), l3 or l3s: then the host's routes decide, and nobody answers ARP. For
    /// networks that let each port have one MAC address only. The host itself does not reach its own ipvlans.
    #[arg(long, value_name = "PARENT", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = NOT_STACKED, conflicts_with_all = ["macvlan", "mac"], hide_short_help = true)]
    pub ipvlan: Option<String>,

    /// Move this NIC of the host in; --rm gives it back
    ///
    /// It loses its addresses and the routes through it there, and has them again when it is back, with its name, MAC, MTU
    /// and switches under /proc/sys. What could not be put back exactly is refused, and so is the NIC that the host's default
    /// route goes through. When the container ends the NIC comes back by itself, and the next call of add-nic restores it.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    #[arg(conflicts_with_all = NOT_STACKED, conflicts_with_all = ["macvlan", "ipvlan"])]
    pub phys: Option<IfName>,

    /// TARGET2's address on the cable; none for none
    ///
    /// Without it the gateway if there is one, otherwise the first free address of each ADDR's network. May be given once
    /// for each network.
    #[arg(long, value_name = "A|none", value_hint = ValueHint::Other, requires = "peer", hide_short_help = true)]
    pub peer_addr: Vec<String>,

    /// The name of TARGET2's end, not the next free ethN there
    ///
    /// At most 15 bytes.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, requires = "peer", hide_short_help = true)]
    pub peer_name: Option<IfName>,

    /// In this VLAN, 1 to 4094
    ///
    /// With --bridge its port is an access port of that VLAN: what it sends and gets has no tag. The bridge must have VLAN filtering
    /// on, with which --create makes it, and is in no VLAN itself but its own. With --phys IF it is a link IF.ID in the
    /// container, and IF stays on the host. With --macvlan and --ipvlan the link below is PARENT.ID, which is made if there
    /// is none and goes with the last NIC on it.
    #[arg(long, value_name = "ID", value_hint = ValueHint::Other, conflicts_with_all = JOBS, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,

    /// Its name in the container, not the next free ethN
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub name: Option<IfName>,

    /// The name of the host's end, not CONTAINER-ethN
    ///
    /// A name has at most 15 bytes: a long container's name is cut.
    #[arg(long, value_name = "IF", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub host_name: Option<IfName>,

    /// Its MAC address
    ///
    /// Without it, a random one of local administration.
    #[arg(long, value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub mac: Option<Mac>,

    /// Its MTU; without it the bridge's, or 1500
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub mtu: Option<u32>,

    /// A default route through the NIC, in place of the one there is
    ///
    /// That one is put back by --rm. May be given once for IPv4 and once for IPv6. With --sbr it is for the NIC's own table,
    /// and the one there is stays.
    #[arg(short, long, value_name = "IP", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub gateway: Vec<IpAddr>,

    /// A route through the NIC; may be given again
    #[arg(short, long, value_name = "NET[@VIA]", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub route: Vec<String>,

    /// The metric of these routes
    ///
    /// Of several routes that of the least metric is used. With one of your own, the old default route stays, unless it has
    /// the same.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub metric: Option<u32>,

    /// Set KEY in its network; IF in KEY is the NIC
    ///
    /// As sysctl(8) has it: net.ipv4.conf.IF.rp_filter=2. KEY begins with net, for all else is not the network's own. What
    /// was so already is left alone, and what was not is put back by --rm, unless somebody has changed it since. May be
    /// given again.
    #[arg(long, value_name = "KEY=VALUE", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(hide_short_help = true)]
    pub sysctl: Vec<String>,

    /// NAT: it reaches other networks with the host's address
    ///
    /// What leaves its networks for others has the host's address (masquerading); the host forwards (ip_forward, and
    /// net.ipv6.conf.all.forwarding if it has an IPv6 address); and Docker's FORWARD chain, or anybody's that would drop it, lets
    /// it through. All of it goes with the NIC.
    #[arg(long, conflicts_with_all = JOBS)]
    pub nat: bool,

    /// Forward a port of the host to one of its own
    ///
    /// With [IP:]HOSTPORT:PORT[/udp|/tcp], what comes to HOSTPORT at any address of the host, or at IP, goes on to PORT of the
    /// first IPv4 address: from outside, from the host itself (127.0.0.1 among it) and from the container. /tcp is meant without.
    /// May be given again. A port that a program of the host listens on is refused.
    #[arg(short, long, value_name = "PORT:PORT", value_hint = ValueHint::Other)]
    #[arg(conflicts_with_all = JOBS)]
    pub publish: Vec<String>,

    /// Let those on its bridge talk to each other
    ///
    /// Where bridge netfilter is on, what goes from one port of a bridge to another passes Docker's FORWARD chain, which drops it
    /// unless the bridge is Docker's. This lets it through, and goes with the NIC.
    #[arg(long, requires = "bridge", conflicts_with_all = JOBS, hide_short_help = true)]
    pub forward: bool,

    /// Replies leave by the NIC that they answer
    ///
    /// It gets a table of routes of its own, with its networks, each --route, and a default route through --gateway or, without
    /// one, the host's address at the other end; and for each ADDR a rule that packets from there are routed by it. So
    /// somebody behind a router reaches the NIC although the container's default route leads elsewhere. That one is left alone.
    #[arg(long, conflicts_with_all = JOBS, hide_short_help = true)]
    pub sbr: bool,

    /// How long to look for somebody who has the addresses already
    ///
    /// quick asks everybody on the bridge once, and waits 5 ms for an answer, or 20 where several stand on one parent. full
    /// does as RFC 5227 and RFC 4862 say: it asks three times, one to two seconds apart, and listens two seconds more. Somebody who asks for the same address at
    /// the same time counts too. Where there is nobody to ask, nobody is asked.
    #[arg(long, value_name = "HOW", default_value = "quick", conflicts_with_all = JOBS, hide_short_help = true)]
    pub dad: Dad,

    /// Do not ask the bridge who has the addresses already
    ///
    /// Without it, one that somebody has is refused.
    #[arg(long, conflicts_with = "dad", conflicts_with_all = JOBS, hide_short_help = true)]
    pub no_dad: bool,

    /// How often to tell the bridge whose the addresses are now
    ///
    /// Neighbours that remember somebody else who had one would go on sending to that one for seconds. So a gratuitous
    /// ARP, or unsolicited neighbour advertisement, is sent for each address, and the NIC is reachable. With a higher
    /// number that is repeated, each two seconds (RFC 5227) or, if all are of IPv6, each second (RFC 4861), and waited for.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(..=60), conflicts_with_all = JOBS, hide_short_help = true)]
    pub announce: u8,

    /// Do not tell the bridge whose the addresses are now
    ///
    /// The same as --announce 0.
    #[arg(long, conflicts_with = "announce", conflicts_with_all = JOBS, hide_short_help = true)]
    pub no_announce: bool,

    /// Remove a NIC of ours, all if none is named
    ///
    /// Everything is as it was before, the default route too. A NIC that is gone is no error. One that add-nic did not
    /// make stays, unless --force is given.
    #[arg(long)]
    pub rm: bool,

    /// Print a table of our NICs
    #[arg(short, long, conflicts_with = "rm")]
    pub list: bool,

    /// Print what is not as we made it; exit with 1 if anything is
    #[arg(long, conflicts_with_all = ["rm", "list"])]
    pub check: bool,

    /// Stay, and keep the NICs in FILE plugged in
    ///
    /// However often their containers are restarted. FILE is TOML, with a table `[[nic]]` for each NIC: its keys are
    /// container, addresses, and the long options above: `bridge = "br1"`, `create = true`. It is read again when it is
    /// written. A signal ends it; the NICs stay. With --dry-run it is only read, and what is not there yet is shown.
    ///
    /// FILE decides what root does. So only root and the caller may be able to write it and every directory of its path, also
    /// of symbolic links. In a directory with a sticky bit, as /tmp, root or the caller must own the next part of the path.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["words", "rm", "list", "check", "host", "force", "preflight"])]
    pub watch: Option<PathBuf>,

    /// With --watch: plug in what is not there, and do not stay
    ///
    /// Exits with 1 if some NIC of FILE is not there then, and says why.
    #[arg(long, requires = "watch", hide_short_help = true)]
    pub once: bool,

    /// Print the commands that would do it, and do nothing
    #[arg(short = 'n', long, conflicts_with_all = ["list", "check"])]
    pub dry_run: bool,

    /// Print what would not work, and what helps; do nothing
    ///
    /// The same is said on standard error before every NIC is added, and stops nothing: a filter that drops what passes the bridge,
    /// strict rp_filter, overlapping networks, an MTU that others do not have, the spanning tree protocol, no carrier, a MAC
    /// address that somebody has. Exits with 1 if there is anything.
    #[arg(long, conflicts_with_all = JOBS, conflicts_with = "dry_run")]
    pub preflight: bool,

    /// Plug into the network of the host itself
    ///
    /// That is what a container with --network host has: without this option it is refused.
    #[arg(long, conflicts_with_all = ["list", "check"])]
    pub host: bool,

    /// With --rm: remove a NIC that we did not make
    #[arg(short, long, requires = "rm")]
    pub force: bool,

    /// JSON in place of text
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// How duplicates of an address are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dad {
    Quick,
    Full,
}

/// The options that say what to do, other than to add a NIC.
const JOBS: [&str; 4] = ["rm", "list", "check", "watch"];

/// The options that no NIC has: keys in no watch's file.
pub const NOT_OF_A_NIC: [&str; 13] = [
    "rm",
    "list",
    "check",
    "watch",
    "once",
    "preflight",
    "dry_run",
    "force",
    "json",
    "engine_timeout",
    "verbose",
    "help",
    "version",
];

/// The options that a NIC on a link of the host cannot have: it has no other end.
const NOT_STACKED: [&str; 4] = ["bridge", "peer", "host_addr", "host_name"];

const EXAMPLES: &str = "\
Examples:
  add-nic nginx 10.1.0.2/24        a cable; the host's end is 10.1.0.1
  add-nic nginx 10.2.0.2/24 -b br1 --create --gateway 10.2.0.1
  add-nic --rm nginx eth1          and everything is as before";
