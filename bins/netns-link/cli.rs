//! What a user of netns-link may say. Uses only clap, std and `common`, so that manuals are made from it.

use clap::Parser;
use common::cli::{FindOptions, TARGETS};
use common::target::{LinkName, Target};

/// Name a container's network namespace, so that ip(8) knows it
#[derive(Debug, Parser)]
#[command(name = "netns-link", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "netns-link [OPTIONS] TARGET...\n       netns-link --rm LINKNAME...")]
#[command(after_help = format!("{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// What to link, each container under its own name
    #[arg(value_name = "TARGET", required_unless_present = "rm", hide = true)]
    pub targets: Vec<Target>,

    /// Link the one TARGET under this name
    ///
    /// A process or a namespace has no name of its own and needs this.
    #[arg(long = "as", value_name = "LINKNAME")]
    pub link_name: Option<LinkName>,

    /// Remove these links; one that is gone is fine
    ///
    /// Whatever network namespace they name, and whoever made them. The namespace itself lives on for as long as a
    /// process is in it.
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
