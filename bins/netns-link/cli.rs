//! The command line of netns-link. Uses only clap, std and `common`, so that manuals are made from it.

use clap::{Parser, ValueHint};
use common::cli::{FindOptions, TARGETS, TARGETS_IN_SHORT};
use common::target::LinkName;

/// Name a container's network namespace, so that ip(8) knows it
#[derive(Debug, Parser)]
#[command(name = "netns-link", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-link [OPTIONS] TARGET...\n       netns-link [OPTIONS] --all | --new NAME\n       netns-link [OPTIONS] --rm [NAME...]\n       netns-link [OPTIONS] --list | --check | --prune | --refresh | --watch"
)]
#[command(after_help = format!("{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// What to link, each container under its own name; with --rm, the links to remove
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Link the one TARGET under this name
    ///
    /// Required for a process or a namespace, which has no name of its own.
    #[arg(long = "as", value_name = "LINKNAME", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub link_name: Option<LinkName>,

    /// Link every running container; with --rm, remove all
    ///
    /// With --rm, all links made by netns-link. Containers that share a network namespace get one link. It is named
    /// after the sandbox of their pod, or after the first of them in `cpid --list`. A container in the host's own
    /// network gets no link.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new"])]
    pub all: bool,

    /// Make an empty network namespace of this name
    ///
    /// Its lo is up, so that its own addresses are reachable in it. A name that exists is an error.
    #[arg(long, value_name = "LINKNAME", value_hint = ValueHint::Other)]
    #[arg(conflicts_with_all = ["words", "link_name"])]
    pub new: Option<LinkName>,

    /// With --new: leave lo down
    ///
    /// As `ip netns add` does. Then even the addresses of the namespace itself are unreachable in it.
    #[arg(long, requires = "new", hide_short_help = true)]
    pub no_lo: bool,

    /// Remove links, by their names or their containers'
    ///
    /// A name that is neither a link nor a container with one is no error; a line on standard error says so. Removing a link does not end a namespace that a process still uses.
    /// If NAME is both a link and a container, the link is meant. A link that netns-link did not make is removed only with --force. A
    /// symbolic link is removed, never followed.
    #[arg(long, conflicts_with_all = ["link_name", "new"])]
    pub rm: bool,

    /// Print a table of all links and their states
    ///
    /// STATE is live (its container or process runs in that namespace), named (a namespace without a container, as
    /// `ip netns add` makes them, or a symbolic link to one), restarted (the container was restarted and has another namespace), pinned (the
    /// container is gone and only the link keeps the namespace), dangling (a link without a namespace) or
    /// not-a-namespace.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new", "all", "rm"])]
    pub list: bool,

    /// List stale links; exit status 1 if there are any
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list"])]
    pub check: bool,

    /// Remove stale links made by netns-link
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check"])]
    pub prune: bool,

    /// Update stale links to their restarted containers
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check", "prune"])]
    pub refresh: bool,

    /// Link containers as they start, unlink as they stop
    ///
    /// Keeps running. Begins with what --all does. Prints one line for each change: `+ web` for a new link, `- web`
    /// for a removed link, `~ web` for a link to the new network of a restarted container. Removes and replaces only
    /// stale links that were made for a container. A signal ends it; the links stay.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check", "prune", "refresh", "force", "host"])]
    pub watch: bool,

    /// Allow a link to the host's own network
    ///
    /// With such a link it is easy to change the host by mistake.
    #[arg(long, conflicts_with_all = ["all", "new", "rm", "list", "check", "prune"])]
    pub host: bool,

    /// Replace links made by netns-link; --rm: others' too
    ///
    /// A symbolic link that another program made is replaced if it leads to the network of TARGET already, as
    /// `ln -s /proc/PID/ns/net /run/netns/NAME` makes it: it becomes a link with a record, which does not end with the
    /// process. One that leads elsewhere is not replaced; --rm --force removes it.
    #[arg(short, long, conflicts_with_all = ["new", "list", "check", "prune", "refresh"])]
    pub force: bool,

    /// With --list, --check or --watch: print JSON
    ///
    /// An array of objects; with --watch, one object per line.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// The options that say what to do, other than to link TARGETs.
const JOBS: [&str; 8] = ["all", "new", "rm", "list", "check", "prune", "refresh", "watch"];

const EXAMPLES: &str = "\
Examples:
  netns-link nginx && ip -n nginx route    the container's routes
  netns-link 4711 --as web                 by PID, under a name you choose
  netns-link --check || netns-link --refresh";
