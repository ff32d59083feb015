//! What following a packet through what is set up has found.

use std::net::SocketAddr;

use super::{ProbeProtocol, TraceHop, TraceObstacle};

/// The way, as far as it could be followed.
#[derive(Debug, Default)]
pub struct TraceWalk {
    /// What the packet is.
    pub probe: Option<ProbeProtocol>,
    /// Where the packet comes by, and then its answer.
    pub hops: Vec<TraceHop>,
    /// What stops it, in the order of the way: the first one does so now, the others when that is mended.
    pub obstacles: Vec<TraceObstacle>,
    /// What may stop it, in the same order.
    pub suspects: Vec<TraceObstacle>,
    /// What could not be followed, a sentence each.
    pub doubts: Vec<String>,
    /// The interface by which the packet leaves this host, as it came, where it does.
    pub leaves_by: Option<String>,
    /// To which address and port docker-proxy hands the connection on, where it is what listens.
    pub proxy: Option<SocketAddr>,
    /// The namespace that has the destination's address.
    pub delivered_to: Option<u64>,
}

impl TraceWalk {
    /// What an answer says where docker-proxy gives it.
    pub fn proxy_note(&self) -> Option<String> {
        let proxy = self.proxy?;
        Some(format!(
            "docker-proxy answers, a program of the host, and then connects to {proxy} itself: trace that, too"
        ))
    }
}
