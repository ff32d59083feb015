//! What a user of netns-link may say. Uses only clap, std and `common`, so that manuals are made from it.

use clap::{Parser, ValueHint};
use common::cli::{FindOptions, TARGETS};
use common::target::{LinkName, Target};

/// Name a container's network namespace, so that ip(8) knows it
#[derive(Debug, Parser)]
#[command(name = "netns-link", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-link [OPTIONS] TARGET...\n       netns-link [OPTIONS] --all | --new NAME\n       netns-link [OPTIONS] --rm [NAME...]\n       netns-link [OPTIONS] --list | --check | --prune | --refresh | --watch"
)]
#[command(after_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// What to link, each container under its own name; with --rm the names
    #[arg(value_name = "TARGET", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Link the one TARGET under this name
    ///
    /// A process or a namespace has no name of its own and needs this.
    #[arg(long = "as", value_name = "LINKNAME", value_hint = ValueHint::Other, conflicts_with_all = JOBS)]
    pub link_name: Option<LinkName>,

    /// Every running container; with --rm, all of ours
    ///
    /// Containers that share a network namespace get one link: a pod's is named after its sandbox, others
    /// after the container that comes first in `cpid --list`. A container in the host's own network gets none.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new"])]
    pub all: bool,

    /// Make an empty network namespace of this name
    #[arg(long, value_name = "LINKNAME", value_hint = ValueHint::Other)]
    #[arg(conflicts_with_all = ["words", "link_name"])]
    pub new: Option<LinkName>,

    /// Remove links, by their names or their containers'
    ///
    /// One that is gone is no error. The namespace itself lives on for as long as a process is in it. A name that
    /// is both a link's and a container's means the link. A link that netns-link did not make stays, unless
    /// --force is given; a symbolic link is removed and never followed.
    #[arg(long, conflicts_with_all = ["link_name", "new"])]
    pub rm: bool,

    /// Print a table of all links and their states
    ///
    /// STATE is live (its container or process runs in that namespace), named (a namespace for its own sake, as
    /// `ip netns add` makes them), restarted (the container has another namespace now), pinned (the container is
    /// gone and only the link keeps the namespace), dangling (a link without a namespace) or not-a-namespace.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new", "all", "rm"])]
    pub list: bool,

    /// Print stale links; exit with 1 if there are any
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list"])]
    pub check: bool,

    /// Remove stale links of ours
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check"])]
    pub prune: bool,

    /// Update stale links of ours whose container runs
    #[arg(long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check", "prune"])]
    pub refresh: bool,

    /// Stay, link containers as they start and unlink them as they stop
    ///
    /// It begins with what --all does and prints one line for each change: `+ web` for a new link, `- web` for
    /// one that is gone, `~ web` for one that leads to the container's new network. It removes and replaces only
    /// stale links that were made for a container. A signal ends it; the links stay.
    #[arg(short, long, conflicts_with_all = ["words", "link_name", "new", "all", "rm", "list", "check", "prune", "refresh", "force", "host"])]
    pub watch: bool,

    /// Link even the network of the host itself
    ///
    /// With such a link it is easy to change the host by mistake.
    #[arg(long, conflicts_with_all = ["all", "new", "rm", "list", "check", "prune"])]
    pub host: bool,

    /// Replace links of ours; remove those of others
    #[arg(short, long, conflicts_with_all = ["list", "check", "prune", "refresh"])]
    pub force: bool,

    /// With --list, --check or --watch: JSON
    ///
    /// An array of objects, or with --watch an object a line.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// The options that say what to do, other than to link TARGETs.
const JOBS: [&str; 8] = ["all", "new", "rm", "list", "check", "prune", "refresh", "watch"];

/// What to do, one thing of many.
#[derive(Debug)]
pub enum Job<'a> {
    /// Link these.
    Link(Vec<Target>),
    /// Link every running container.
    LinkAll,
    /// Make an empty namespace.
    New(&'a LinkName),
    /// Remove the links of these names.
    Remove(Vec<LinkName>),
    /// Remove all links of ours.
    RemoveAll,
    /// Show all links.
    List,
    /// Show those that are wrong.
    Check,
    /// Remove those that are wrong.
    Prune,
    /// Update those that are wrong.
    Refresh,
    /// Keep links and containers alike.
    Watch,
}

impl Cli {
    /// What was asked for.
    ///
    /// # Errors
    /// A word that is no TARGET, or with --rm no name; nothing to do; one name for several TARGETs.
    pub fn job(&self) -> Result<Job<'_>, String> {
        Ok(match self {
            Cli { list: true, .. } => Job::List,
            Cli { check: true, .. } => Job::Check,
            Cli { prune: true, .. } => Job::Prune,
            Cli { refresh: true, .. } => Job::Refresh,
            Cli { watch: true, .. } => Job::Watch,
            Cli { rm: true, all: true, .. } => Job::RemoveAll,
            Cli { rm: true, words, .. } if words.is_empty() => {
                return Err("--rm: which? NAME..., or --all".to_owned());
            }
            Cli { rm: true, words, .. } => {
                let name = |word: &String| {
                    word.parse().map_err(|error| format!("{}: {error}", common::output::quotable(word)))
                };
                Job::Remove(words.iter().map(name).collect::<Result<_, _>>()?)
            }
            Cli { all: true, .. } => Job::LinkAll,
            Cli { new: Some(name), .. } => Job::New(name),
            Cli { words, .. } if words.is_empty() => {
                return Err("TARGET: none was given (--all means every container)".to_owned());
            }
            Cli { words, link_name: Some(_), .. } if words.len() > 1 => {
                return Err("--as: one name serves one TARGET".to_owned());
            }
            Cli { words, .. } => {
                let target = |word: &String| {
                    word.parse().map_err(|error| format!("{}: {error}", common::output::quotable(word)))
                };
                Job::Link(words.iter().map(target).collect::<Result<_, _>>()?)
            }
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  netns-link nginx && ip -n nginx route    the container's routes
  netns-link 4711 --as web                 by PID, under a name of your own
  netns-link --check || netns-link --refresh";
