//! Which namespaces to enter.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TryMapValueParser, TypedValueParser, ValueParserFactory};
use clap::{Args, ValueHint};
use common::namespace::{NamespaceHandle, NoHandle};

/// One option a kind, and one for all.
#[derive(Debug, Args)]
#[command(next_help_heading = "Namespaces (of TARGET, or with =FILE the namespace file)")]
pub struct Namespaces {
    /// All namespaces that differ from the caller's
    ///
    /// If another namespace option has a FILE, that namespace comes from FILE and all others from TARGET.
    #[arg(short, long)]
    pub all: bool,

    /// Mount namespace: files and PROGRAM are the container's
    ///
    /// The root of that namespace becomes the root and the working directory.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub mount: Option<Vec<NamespaceArgument>>,

    /// UTS namespace: host name
    ///
    /// hostname(1) and uname(1) print the container's.
    #[arg(short, long, hide_short_help = true, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub uts: Option<Vec<NamespaceArgument>>,

    /// IPC namespace: System V IPC, POSIX message queues
    ///
    /// ipcs(1) prints the container's.
    #[arg(short, long, hide_short_help = true, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub ipc: Option<Vec<NamespaceArgument>>,

    /// Network namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub net: Option<Vec<NamespaceArgument>>,

    /// Network namespace of a socket of TARGET, by its descriptor
    ///
    /// FD is a number from /proc/PID/fd. A socket stays in the network namespace in which it was created, even if
    /// its process has changed to another. Takes precedence over --net (Linux 5.6).
    #[arg(short = 'N', long, value_name = "FD", value_hint = ValueHint::Other, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub net_socket: Option<i32>,

    /// PID namespace; PROGRAM runs as a child process
    ///
    /// The kernel puts only children into a PID namespace that was joined. /proc still shows the host's processes
    /// unless --proc or --mount is given.
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub pid: Option<Vec<NamespaceArgument>>,

    /// Cgroup namespace: root of the control groups
    ///
    /// Changes only which part of the control groups is visible. PROGRAM stays in the caller's control groups, with
    /// their limits, unless --join-cgroup is given.
    #[arg(short = 'C', long, hide_short_help = true, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub cgroup: Option<Vec<NamespaceArgument>>,

    /// User namespace: user IDs, group IDs, capabilities
    ///
    /// PROGRAM becomes user and group 0 of that namespace unless --setuid, --setgid or --preserve-credentials is
    /// given.
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath, hide_short_help = true)]
    pub user: Option<Vec<NamespaceArgument>>,

    /// Parent user namespace
    ///
    /// Which one depends on the other options.
    ///
    /// With --user or --all: the parent of that user namespace.
    ///
    /// With other namespaces only: the user namespace that owns them, even if no process is in it.
    ///
    /// With none: the parent of TARGET's user namespace.
    #[arg(long, hide_short_help = true)]
    pub user_parent: bool,

    /// Time namespace: boot and monotonic clocks
    ///
    /// uptime(1) prints the container's. The time of day is the host's in every time namespace.
    #[arg(short = 'T', long, hide_short_help = true, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub time: Option<Vec<NamespaceArgument>>,
}

/// A namespace that was named by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceArgument {
    /// A file of `/proc/PID/ns`, or a bind mount of one.
    File(PathBuf),
    /// `:NSID`, and the whole handle likewise.
    Handle(NamespaceHandle),
}

impl NamespaceArgument {
    fn new(word: PathBuf) -> Result<Self, NoHandle> {
        let Some(handle) = word.as_os_str().as_bytes().strip_prefix(b":") else {
            return Ok(NamespaceArgument::File(word));
        };
        std::str::from_utf8(handle).map_err(|_| NoHandle)?.parse().map(NamespaceArgument::Handle)
    }
}

impl ValueParserFactory for NamespaceArgument {
    type Parser = TryMapValueParser<PathBufValueParser, fn(PathBuf) -> Result<Self, NoHandle>>;

    fn value_parser() -> Self::Parser {
        PathBufValueParser::new().try_map(NamespaceArgument::new)
    }
}
