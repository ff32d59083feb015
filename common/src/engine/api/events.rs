//! The API's stream of events, as a descriptor for poll(2).

use std::os::fd::{AsRawFd, OwnedFd};

use jiff::Timestamp;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket};

use super::Api;

/// The events that change what a container is; others tell of every health check.
const CHANGES: [&str; 7] = ["create", "start", "die", "destroy", "pause", "unpause", "rename"];

impl Api {
    /// A stream on which the engine says something when a container has changed, from now on. What it says is
    /// of no matter, so it is not read here; the answer's head comes first, and at once.
    ///
    /// Without bollard, whose streams live in a runtime: this one is for callers that sleep in poll(2).
    pub(in super::super) fn events(&self) -> Option<OwnedFd> {
        let address = UnixAddr::new(&self.socket).ok()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
        connect(socket.as_raw_fd(), &address).ok()?;
        // Docker begins to listen for events only after the head is out: `since` closes that gap.
        let since = Timestamp::now().as_second();
        // {"type":["container"],"event":[…]}
        let changes = CHANGES.map(|change| format!("%22{change}%22")).join("%2C");
        let filters = format!("%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B{changes}%5D%7D");
        let request =
            format!("GET /events?since={since}&filters={filters} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let sent = send(socket.as_raw_fd(), request.as_bytes(), MsgFlags::MSG_NOSIGNAL).ok()?;
        (sent == request.len()).then_some(socket)
    }
}
