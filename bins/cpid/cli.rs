//! The command line of cpid. Uses only clap, std and `common`, so that manuals are made from it.

use std::error::Error;
use std::time::Duration;

use clap::{Parser, ValueHint};
use common::cli::{FindOptions, TARGETS, TARGETS_IN_SHORT, duration};
use common::target::{EngineName, SocketPlace, Target, TargetError};

/// Print the PID of a container's first process
#[derive(Debug, Parser)]
#[command(name = "cpid", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "cpid [OPTIONS] TARGET|PORT... | --list [-a] | --of PID")]
#[command(after_help = format!("{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{TARGETS}\n\n{PORTS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// The containers, or the ports, whose PIDs to print
    #[arg(value_name = "TARGET", required_unless_present_any = ["list", "of", "complete"], hide = true)]
    #[arg(value_hint = ValueHint::Other, value_parser = target_or_port)]
    pub targets: Vec<CpidTarget>,

    /// Print a table of all running containers
    ///
    /// NAME, ENGINE, ID, PID, STATE, NETNS (the inode of the network namespace), SHARES-WITH (the other containers
    /// in that namespace; "host" for the host's own), IMAGE and STARTED.
    #[arg(short, long, conflicts_with_all = ["targets", "of", "inode"])]
    pub list: bool,

    /// With --list: include stopped containers
    #[arg(short, long, requires = "list")]
    pub all: bool,

    /// Print which container the process PID belongs to
    ///
    /// As a TARGET, such as docker:nginx. PID may be any process of the container, not only the first one. Exit
    /// status 1: it is in no container, for no engine here knows it, its control group is named after none, and its PID, network and
    /// user namespaces and its root directory are the host's. If no engine knows it and this is not so, the error (exit status
    /// 2) says what is known, with --json on standard output, too.
    #[arg(long, value_name = "PID", conflicts_with_all = ["targets", "inode"], value_parser = process)]
    #[arg(value_hint = ValueHint::Other)]
    pub of: Option<Target>,

    /// Print PID:INODE, which is never reused
    ///
    /// INODE is that of the process's pidfd (Linux 6.9). Every tool here, and nsenter(1) and kill(1) of
    /// util-linux 2.42, refuse PID:INODE when another process has the PID.
    #[arg(long)]
    pub inode: bool,

    /// Print JSON: an array of objects
    #[arg(long, conflicts_with_all = ["inode", "null"])]
    pub json: bool,

    /// End each PID with a NUL byte, not a line feed
    ///
    /// As xargs(1) expects it with -0. Applies to what --of prints, too.
    #[arg(short = '0', long, hide_short_help = true)]
    pub null: bool,

    /// Wait up to TIME for every TARGET to run: 500ms, 30s
    ///
    /// For a container that does not run yet or does not exist yet, or whose engine does not run yet. Sleeps until
    /// something changes. A TARGET that does not run in time is an error, as without --wait.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["list", "of"], value_parser = duration)]
    #[arg(value_hint = ValueHint::Other)]
    pub wait: Option<Duration>,

    /// Ask only this engine, such as docker
    #[arg(long, value_name = "ENGINE", value_hint = ValueHint::Other)]
    pub engine: Option<EngineName>,

    /// For shells, at TAB: print the words that there are
    #[arg(long, value_name = "KIND", hide = true, value_hint = ValueHint::Other, value_parser = words_wanted, conflicts_with_all = ["list", "of", "inode", "json", "null", "wait"])]
    pub complete: Option<WordsWanted>,

    #[command(flatten)]
    pub find: FindOptions,
}

/// Which words a shell asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordsWanted {
    /// Containers, and names in /run/netns.
    Targets,
    /// Names in /run/netns.
    Links,
    /// What --engine takes.
    Engines,
    /// The host's bridges.
    Bridges,
    /// Those of TARGET, or the host's.
    Interfaces,
}

fn words_wanted(word: &str) -> Result<WordsWanted, &'static str> {
    Ok(match word {
        "targets" => WordsWanted::Targets,
        "links" => WordsWanted::Links,
        "engines" => WordsWanted::Engines,
        "bridges" => WordsWanted::Bridges,
        "interfaces" => WordsWanted::Interfaces,
        _ => return Err("is not targets, links, engines, bridges or interfaces"),
    })
}

/// What a PID is wanted of.
#[derive(Debug, Clone)]
pub enum CpidTarget {
    /// Of what a TARGET of every tool means.
    Target(Target),
    /// Of the process that listens there.
    Port(SocketPlace),
}

/// No TARGET has a port behind nothing or behind an IP address.
fn target_or_port(word: &str) -> Result<CpidTarget, Box<dyn Error + Send + Sync>> {
    match SocketPlace::is_meant(word) {
        true => Ok(CpidTarget::Port(word.parse()?)),
        false => Ok(CpidTarget::Target(word.parse()?)),
    }
}

/// Why a word is not what `--of` takes.
#[derive(Debug, Clone, thiserror::Error)]
enum ProcessWordError {
    /// Another kind of TARGET.
    #[error("is not a PID")]
    NotProcess,
    /// No TARGET at all.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// `--of` takes a process only.
fn process(word: &str) -> Result<Target, ProcessWordError> {
    match word.parse()? {
        target @ Target::Process { .. } => Ok(target),
        _ => Err(ProcessWordError::NotProcess),
    }
}

/// Below the table of TARGETs, which every tool has.
const PORTS: &str = "\
PORT:
  :8080 :53/udp 172.17.0.5:80 [fd00::5]:80
                        the process that listens there";

const EXAMPLES: &str = "\
Examples:
  cpid :8080                               PID of what listens on port 8080
  nsenter-rs -t $(cpid nginx) -n ip addr   the host's ip in nginx's network
  cpid --list                              running containers, shared networks";
