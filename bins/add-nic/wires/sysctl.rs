//! Sets switches under /proc/sys/net, which are those of the namespace that the writer is in.

use std::fs::OpenOptions;
use std::io::Write;

use common::target::IfName;

use super::{WireError, Wires};
use crate::snapshot::enter;
use crate::step::{Place, ipv6_switch};

impl Wires {
    pub(super) fn allow_ipv6(&mut self, place: Place, link: &IfName) -> Result<(), WireError> {
        let file = ipv6_switch(link.as_str());
        let write = || OpenOptions::new().write(true).open(&file).and_then(|mut file| file.write_all(b"0\n"));
        let written = match self.sockets.namespace(place) {
            Some(namespace) => enter(&self.sockets.home, namespace, write)
                .map_err(|failure| WireError::Entering(Box::new(failure)))?,
            None => write(),
        };
        written.map_err(|source| WireError::Sysctl { file, source })
    }
}
