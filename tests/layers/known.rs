//! Files that import each other, in houses that are not in layers yet. One that does no more goes from its list, and none
//! comes.

pub const NETNS_PING: &[&str] = &["arp/ask.rs", "arp/report.rs", "sweep/mod.rs", "sweep/report.rs"];

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
