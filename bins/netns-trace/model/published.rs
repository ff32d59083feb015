//! How a port of the host leads to a container.

use std::net::IpAddr;

use serde::Serialize;

use super::TraceReport;

/// By what a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PublishedBy {
    /// A rule gives packets another destination.
    Dnat {
        /// The new address.
        address: IpAddr,
        /// The new port.
        port: Option<u16>,
    },
    /// A process of Docker's takes the connection, and makes another one.
    DockerProxy {
        /// The process.
        pid: i32,
        /// Where it connects to.
        address: IpAddr,
        /// The port there.
        port: u16,
    },
}

/// What a packet from outside meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReverseReport {
    /// The way and what stops it.
    #[serde(flatten)]
    pub report: TraceReport,
    /// By what the port is published; nothing where it is not.
    pub published_by: Option<PublishedBy>,
}

impl PublishedBy {
    /// In words.
    pub fn shown(&self) -> String {
        let at = |address: &IpAddr, port: u16| match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
        };
        match self {
            PublishedBy::Dnat { address, port: Some(port) } => format!("DNAT to {}", at(address, *port)),
            PublishedBy::Dnat { address, port: None } => format!("DNAT to {address}"),
            PublishedBy::DockerProxy { pid, address, port } => {
                format!("docker-proxy ({pid}), which connects to {} itself", at(address, *port))
            }
        }
    }
}
