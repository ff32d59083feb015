//! What a user of add-nic may say. Uses only clap, std and `common`, so that manuals are made from it.

use std::net::IpAddr;

use clap::{Parser, ValueHint};
use common::cli::{FindOptions, TARGETS};
use common::target::{IfName, Mac};

/// Plug a cable into a running container; it works when the command returns
#[derive(Debug, Parser)]
#[command(name = "add-nic", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "add-nic [OPTIONS] TARGET ADDR...\n       add-nic [OPTIONS] --rm TARGET [IF|ADDR]\n       add-nic [OPTIONS] --list | --check [TARGET]"
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
    /// MODE is bridge, which goes without saying, private, vepa or passthru. It is as if the NIC were plugged into the same switch as
    /// PARENT. The host itself does not reach its own macvlans, nor they it.
    #[arg(long, value_name = "PARENT", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    #[arg(conflicts_with_all = NOT_STACKED)]
    pub macvlan: Option<String>,

    /// An ipvlan on this link of the host, with the link's MAC: PARENT[:MODE]
    ///
    /// MODE is l2, which goes without saying, l3 or l3s: then the host's routes decide, and nobody answers ARP. For
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
    /// That one is put back by --rm. May be given once for IPv4 and once for IPv6.
    #[arg(short, long, value_name = "IP", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub gateway: Vec<IpAddr>,

    /// A route through the NIC; may be given again
    #[arg(short, long, value_name = "NET[@VIA]", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub route: Vec<String>,

    /// The metric of these routes
    ///
    /// With one that is not the old default route's, that one stays.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub metric: Option<u32>,

    /// Do not ask the bridge who has the addresses already
    ///
    /// Without it everybody on the bridge is asked, and has 5 ms to say so; then the address is refused.
    #[arg(long, conflicts_with_all = JOBS, hide_short_help = true)]
    pub no_dad: bool,

    /// Do not tell the bridge whose the addresses are now
    ///
    /// Without it one gratuitous ARP, or unsolicited neighbour advertisement, is sent for each address: neighbours that
    /// remember somebody else who had it would go on sending to that one for seconds.
    #[arg(long, conflicts_with_all = JOBS, hide_short_help = true)]
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

    /// Print the commands that would do it, and do nothing
    #[arg(short = 'n', long, conflicts_with_all = ["list", "check"])]
    pub dry_run: bool,

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

/// The options that say what to do, other than to add a NIC.
const JOBS: [&str; 3] = ["rm", "list", "check"];

/// The options that a NIC on a link of the host cannot have: it has no other end.
const NOT_STACKED: [&str; 4] = ["bridge", "peer", "host_addr", "host_name"];

const EXAMPLES: &str = "\
Examples:
  add-nic nginx 10.1.0.2/24        a cable; the host's end is 10.1.0.1
  add-nic nginx 10.2.0.2/24 -b br1 --create --gateway 10.2.0.1
  add-nic --rm nginx eth1          and everything is as before";
