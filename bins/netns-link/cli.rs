//! What a user of netns-link may say. Uses only clap, std and `common`, so that manuals are made from it.

use clap::Parser;
use common::cli::FindOptions;
use common::target::{LinkName, Target};

/// Name a container's network namespace, so that ip(8) knows it
#[derive(Debug, Parser)]
#[command(name = "netns-link", version, max_term_width = 80, after_help = EXAMPLES)]
#[command(override_usage = "netns-link [OPTIONS] TARGET...\n       netns-link --rm LINKNAME...")]
pub struct Cli {
    /// Containers to link, each under its own name in /run/netns
    #[arg(value_name = "TARGET", required_unless_present = "rm")]
    pub targets: Vec<Target>,

    /// Link the one TARGET under this name
    #[arg(long = "as", value_name = "LINKNAME")]
    pub link_name: Option<LinkName>,

    /// Remove these links; one that is gone already is no error
    #[arg(long, value_name = "LINKNAME", num_args = 1.., conflicts_with_all = ["targets", "link_name"])]
    pub rm: Vec<LinkName>,

    #[command(flatten)]
    pub find: FindOptions,
}

const EXAMPLES: &str = "\
Examples:
  netns-link nginx && ip -n nginx route    the container's routes
  netns-link 4711 --as web                 by PID, under a name of your own
  netns-link --rm nginx web                the containers do not notice";
