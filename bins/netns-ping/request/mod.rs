//! What a call asks for, as typed data: which job it is, and what its options say about it.

mod arp;
mod echo;
mod endpoints;
mod job;
mod matrix;
mod payload;
mod port;
mod scan;

pub use arp::{ArpMode, ArpRequest, AskConfig};
pub use common::dns::Families;
pub use echo::{EchoConfig, EchoRequest, ShowOptions};
pub use endpoints::ProbeEndpoints;
pub use job::Job;
pub use matrix::MatrixRequest;
pub use payload::{Payload, usual_payload};
pub use port::{PortConfig, PortRequest};
pub use scan::{ScanConfig, ScanRequest};
