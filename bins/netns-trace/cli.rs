//! The command line of netns-trace. Uses only clap, std and `common`, so that manuals are made from it.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, ONE_DEST, ONE_DEST_IN_SHORT, TARGETS, TARGETS_IN_SHORT, duration};

/// Show where a packet from a container dies, why, and the command that fixes it
#[derive(Debug, Parser)]
#[command(name = "netns-trace", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-trace [OPTIONS] TARGET DEST\n       netns-trace --reverse [OPTIONS] TARGET PORT\n       netns-trace --drops [OPTIONS] [TARGET...]"
)]
#[command(after_help = format!("{ONE_DEST_IN_SHORT}\n{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{ONE_DEST}\n\n{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The container, and where its packet goes
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Send nothing: follow the packet through what is set up
    ///
    /// Routes and policy rules, neighbours, bridges, firewalls, NAT, MTUs, settings and sockets are read on the whole way, there and
    /// back. The packet passes, or is stopped, as far as these say: what a switch, another host or a program does is not known.
    #[arg(long, conflicts_with = "evidence")]
    pub explain: bool,

    /// Find the largest packet that passes, both ways
    ///
    /// Pings that no router may split are sent from inside, and from inside DEST where that is a container of this host. The hop that
    /// is too small is named, and whether it says so: if nobody does, it is a path MTU black hole, and connections hang. DEST has no
    /// port. The status is 1 for a black hole, and where nothing passes.
    #[arg(long, conflicts_with_all = ["explain", "size", "drops"])]
    pub mtu: bool,

    /// From outside in: follow a packet to a published port
    ///
    /// Nothing is sent. PORT is a port of this host: 8080, udp:53, or with the address that clients use tcp:192.0.2.1:8080. A packet
    /// of a client (--from, else the router of the default route) is followed from the interface by which it comes in to the socket
    /// in the container, and its answer back. It is said by what the port is published: by DNAT, or by docker-proxy, which connects to
    /// the container itself, so that a connection to it proves nothing about the container.
    #[arg(long, conflicts_with_all = ["explain", "size", "drops", "mtu", "evidence"])]
    pub reverse: bool,

    /// Show live which packets the kernel drops, and why
    ///
    /// Of all containers, or of these: what comes from one, goes to one, or is dropped in one. A line has the time, whose packet it
    /// is, where it goes, where it was dropped and why, and how many of its kind there were since the line before; a group that
    /// goes on has a line every ten seconds. What working networks drop all the time is left out and counted: copies of a flood, the
    /// end of a connection, multicast that nobody wants. A rule is named where only that one can have dropped the packet; else the
    /// hook alone. SIGINT ends it with a summary, which has the commands that help.
    #[arg(long, conflicts_with_all = ["explain", "from", "size", "v4", "v6"])]
    pub drops: bool,

    /// With --drops: end after this time
    ///
    /// 30s, 10m. Without it, it goes on until SIGINT or SIGTERM.
    #[arg(long = "for", value_name = "TIME", value_hint = ValueHint::Other, value_parser = duration)]
    #[arg(requires = "drops", hide_short_help = true)]
    pub length: Option<Duration>,

    /// Watch the packet by this alone: bpf, perf or state
    ///
    /// bpf: programs of our own at the kernel's tracepoints. They need CAP_BPF and CAP_PERFMON, and a kernel that describes its
    /// types (CONFIG_DEBUG_INFO_BTF). perf: the same tracepoints without programs; they tell neither namespaces nor addresses.
    /// state: nothing is watched, and only the answer is waited for. Without it the best is used that there is. With bpf and
    /// perf, the packet filters of every namespace on the way say what they do with the packet.
    #[arg(long, value_name = "LEVEL")]
    pub evidence: Option<EvidenceChoice>,

    /// The address that the packet comes from
    ///
    /// One of the container's own. Without it the kernel chooses, as it does for the container's programs. With --reverse: the address
    /// of a client.
    #[arg(long, value_name = "ADDR", value_hint = ValueHint::Other)]
    pub from: Option<IpAddr>,

    /// Bytes of the whole packet, which no router may split
    ///
    /// With the IP header. Without it the packet is a small one.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(28..), value_hint = ValueHint::Other)]
    pub size: Option<u16>,

    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,

    /// IPv6 only
    #[arg(short = '6')]
    pub v6: bool,

    /// Print JSON: one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// By what a packet is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvidenceChoice {
    /// Programs at the kernel's tracepoints
    Bpf,
    /// The same tracepoints by perf
    Perf,
    /// The answer alone
    State,
}

const EXAMPLES: &str = "\
Examples:
  netns-trace web tcp:db:5432              where a packet dies, and what helps
  netns-trace --explain web docker:db      what is in the way; sends nothing
  netns-trace --drops web                  what is dropped of its packets, live";
