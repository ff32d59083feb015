//! The command line of netns-trace. Uses only clap, std and `common`, so that manuals are made from it.

use std::net::IpAddr;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, ONE_DEST, TARGETS};

/// Show where a packet from a container dies, why, and the command that fixes it
#[derive(Debug, Parser)]
#[command(name = "netns-trace", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "netns-trace [OPTIONS] TARGET DEST")]
#[command(after_help = format!("{ONE_DEST}\n\n{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The container, and where its packet goes
    #[arg(value_names = ["TARGET", "DEST"], hide = true, num_args = 2, required = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Send nothing: follow the packet through what is set up
    ///
    /// Routes and policy rules, neighbours, bridges, firewalls, NAT, MTUs, settings and sockets are read on the whole way, there and
    /// back. The packet passes, or is stopped, as far as these say: what a switch, another host or a program does is not known.
    #[arg(long, conflicts_with = "evidence")]
    pub explain: bool,

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
    /// One of the container's own. Without it the kernel chooses, as it does for the container's programs.
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

    /// Print JSON: one object, on one line
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
  netns-trace web 8.8.8.8                  where a packet dies, and what helps
  netns-trace web tcp:db:5432              the same, of a connection to a port
  netns-trace --explain web docker:db      what is in the way; sends nothing";
