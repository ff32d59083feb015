//! The command line of nsenter-rs. Uses only clap, std and `common`, so that manuals are made from it.

mod each;
mod identity;
mod namespaces;
mod place;
mod running;
mod view;

use std::ffi::OsString;

use clap::{Arg, ArgAction, Parser, ValueHint};
use common::cli::{FindOptions, TARGETS, TARGETS_IN_SHORT};
use common::target::Target;

pub use each::Each;
pub use identity::{Id, IdentityOptions};
pub use namespaces::{NamespaceArgument, Namespaces};
pub use place::PlaceOptions;
pub use running::RunOptions;
pub use view::InsideView;

/// Run a program in the namespaces of a container or process
#[derive(Debug, Parser)]
#[command(name = "nsenter-rs", version, max_term_width = 80, disable_help_flag = true)]
#[command(override_usage = "nsenter-rs [OPTIONS] [PROGRAM [ARGUMENT]...]")]
#[command(after_help = format!("{TARGETS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{TARGETS}\n\n{EXAMPLES}"), mut_args = the_last_one_counts)]
pub struct Cli {
    /// Program to run, with its arguments [default: your shell]
    ///
    /// The first word that is not an option is PROGRAM, and all words after it are its arguments. The default is
    /// $SHELL, or else the shell in the password file, as a login shell; /bin/sh if that does not exist.
    // trailing_var_arg alone: with allow_hyphen_values too, a mistyped option would become the program.
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    #[arg(hide_short_help = true)]
    pub program: Vec<OsString>,

    /// Container or process to enter
    #[arg(short, long, value_name = "TARGET", value_hint = ValueHint::Other)]
    pub target: Option<Target>,

    #[command(flatten)]
    pub find: FindOptions,

    #[command(flatten)]
    pub namespaces: Namespaces,

    #[command(flatten)]
    pub place: PlaceOptions,

    #[command(flatten)]
    pub inside: InsideView,

    #[command(flatten)]
    pub identity: IdentityOptions,

    #[command(flatten)]
    pub running: RunOptions,

    #[command(flatten)]
    pub each: Each,
}

/// As for getopt(3), an option that is given twice is no error. But two TARGETs are: one of them is a mistake,
/// and nobody can tell which.
fn the_last_one_counts(option: Arg) -> Arg {
    let id = option.get_id().clone();
    match option.get_action() {
        ArgAction::Set | ArgAction::SetTrue if id != "target" => option.overrides_with(id),
        _ => option,
    }
}

const EXAMPLES: &str = "\
Examples:
  nsenter-rs -t nginx -n ip addr           the host's ip(8) in nginx's network
  nsenter-rs -t nginx -a                   a shell in all namespaces of nginx
  nsenter-rs -t nginx -a -H ls -l /etc     the host's ls, nginx's files
  nsenter-rs -t nginx -n tcpdump -Uni eth0 -w - | wireshark -ki -";
