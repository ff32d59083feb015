//! What is set up in one namespace, read when it is asked for.

use std::cell::RefCell;
use std::net::IpAddr;

use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::{NetlinkError, RouteLookup, Socket};
use common::netns::Home;

/// One namespace, held open.
#[derive(Debug)]
pub struct VisitedNetns {
    /// What people call it, as it came.
    pub name: String,
    /// The namespace.
    pub namespace: Namespace,
    socket: RefCell<Socket>,
}

impl VisitedNetns {
    /// Enters it with a socket.
    ///
    /// # Errors
    /// When it may not be entered.
    pub fn open(namespace: Namespace, home: &Home, name: String) -> Result<Self, Failure> {
        let socket = home.inside(&namespace, Socket::open).map_err(|errno| {
            Failure::failed(&name, format_args!("{namespace} cannot be entered: {}", errno.desc()))
                .hint("run it as root")
        })??;
        Ok(VisitedNetns { name, namespace, socket: RefCell::new(socket) })
    }

    /// Asks the kernel for the route of a packet that the namespace itself sends.
    ///
    /// # Errors
    /// As [`Socket::route_lookup`].
    pub fn route_out(
        &self,
        to: IpAddr,
        from: Option<IpAddr>,
        mark: Option<u32>,
        through: Option<u32>,
    ) -> Result<RouteLookup, NetlinkError> {
        self.socket.borrow_mut().marked_route_lookup(to, through, from, mark)
    }
}
