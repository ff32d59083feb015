//! Which namespaces to enter.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TryMapValueParser, TypedValueParser, ValueParserFactory};
use clap::{Args, ValueHint};
use common::namespace::{Handle, NoHandle};

/// One option a kind, and one for all.
#[derive(Debug, Args)]
#[command(next_help_heading = "Namespaces of TARGET, or with =FILE the one that FILE is")]
pub struct Namespaces {
    /// All that are not ours already
    ///
    /// With another namespace option that has a FILE, that one comes from the FILE and all others from TARGET.
    #[arg(short, long)]
    pub all: bool,

    /// Mount points: programs are then the container's
    ///
    /// Root and working directory become the root of that namespace.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub mount: Option<Vec<Given>>,

    /// Host name
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub uts: Option<Vec<Given>>,

    /// System V IPC and POSIX message queues
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub ipc: Option<Vec<Given>>,

    /// Network
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub net: Option<Vec<Given>>,

    /// Network of TARGET's socket, by its descriptor
    ///
    /// FD is a number from /proc/PID/fd. A socket stays in the network namespace that it was made in, wherever its
    /// process has gone since. This one is entered instead of what --net says (Linux 5.6).
    #[arg(short = 'N', long, value_name = "FD", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub net_socket: Option<i32>,

    /// Process IDs; the program is then our child
    ///
    /// The kernel puts only children into a PID namespace that was joined. /proc goes on to show the host's
    /// processes unless --proc or --mount brings the container's.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub pid: Option<Vec<Given>>,

    /// Root of the control groups
    ///
    /// What is seen of them: the program stays in the groups, and under the limits, that we are in, unless
    /// --join-cgroup is given.
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub cgroup: Option<Vec<Given>>,

    /// User and group IDs, and capabilities
    ///
    /// The program becomes user and group 0 of that namespace, unless --setuid, --setgid or
    /// --preserve-credentials say otherwise.
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub user: Option<Vec<Given>>,

    /// The user namespace above
    ///
    /// With --user (or --all) the parent of that user namespace. Else the user namespace that owns the others that
    /// are entered: it may be one that no process is in. With neither, the parent of TARGET's.
    #[arg(long, hide_short_help = true)]
    pub user_parent: bool,

    /// Boot and monotonic clocks
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub time: Option<Vec<Given>>,
}

/// A namespace that was named by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// A file of `/proc/PID/ns`, or a bind mount of one.
    File(PathBuf),
    /// `:NSID`, and the whole handle likewise.
    Handle(Handle),
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::File(path) => path.display().fmt(f),
            Given::Handle(handle) => write!(f, ":{handle}"),
        }
    }
}

impl Given {
    fn new(word: PathBuf) -> Result<Self, NoHandle> {
        let Some(handle) = word.as_os_str().as_bytes().strip_prefix(b":") else {
            return Ok(Given::File(word));
        };
        std::str::from_utf8(handle).map_err(|_| NoHandle)?.parse().map(Given::Handle)
    }
}

impl ValueParserFactory for Given {
    type Parser = TryMapValueParser<PathBufValueParser, fn(PathBuf) -> Result<Self, NoHandle>>;

    fn value_parser() -> Self::Parser {
        PathBufValueParser::new().try_map(Given::new)
    }
}
