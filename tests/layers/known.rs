//! Files that import each other, in houses that are not in layers yet. One that does no more goes from its list, and none
//! comes.

pub const NETNS_PING: &[&str] = &["arp/ask.rs", "arp/report.rs", "sweep/mod.rs", "sweep/report.rs"];

pub const NSENTER_RS: &[&str] = &[
    "apply.rs",
    "credentials.rs",
    "elsewhere.rs",
    "explain/inside.rs",
    "explain/program.rs",
    "host_tools/execution.rs",
    "host_tools/graft.rs",
    "host_tools/mod.rs",
    "notes.rs",
    "pty/mod.rs",
    "run.rs",
    "source.rs",
    "cgroup/mod.rs",
    "cgroup/mounts.rs",
    "explain/mod.rs",
    "explain/report.rs",
    "host_tools/parts.rs",
    "host_tools/tree.rs",
    "reap.rs",
    "supervise.rs",
    "rules/becoming.rs",
    "rules/joining.rs",
    "rules/mod.rs",
];

pub const COMMON: &[&str] = &[
    "packet/arp.rs",
    "packet/mod.rs",
    "packet/nd.rs",
    "packet/icmp/options.rs",
    "packet/icmp/socket.rs",
    "packet/icmp/stamped.rs",
    "packet/segment.rs",
    "packet/socket.rs",
];
