//! What a program of the host sees as TARGET does.

use clap::Args;

/// The inside view, without the container's mount namespace.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files and environment")]
pub struct InsideView {
    /// Host program with TARGET's DNS, hosts, /sys and /proc
    ///
    /// The same as --dns, --sys and --proc together. See INSIDE VIEW.
    #[arg(long)]
    pub inside: bool,

    /// Resolve names as TARGET does; implies --net
    ///
    /// Uses TARGET's resolv.conf and hosts in place of the host's, and nothing else: nsswitch.conf has "hosts:
    /// files dns", and the host's nscd and systemd-resolved are hidden. For netns:NAME the files are those of
    /// /etc/netns/NAME, as with ip-netns(8).
    #[arg(long)]
    pub dns: bool,

    /// A /sys that shows TARGET's network; implies --net
    ///
    /// Everything that is mounted below the host's /sys (cgroup, bpf, debug, tracing, security ...) is there too.
    #[arg(long, hide_short_help = true)]
    pub sys: bool,

    /// A /proc that shows TARGET's processes; implies --pid
    ///
    /// The host's ps(1) and top(1) then show only these processes. What is mounted below the host's /proc is not
    /// there.
    #[arg(long, hide_short_help = true)]
    pub proc: bool,
}
