//! A netlink socket in each namespace, and how to enter the other namespaces.

use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::Socket;
use common::netns::Home;
use common::typed::with_sudo;

use crate::model::netns::Netns;
use crate::model::record::NicRecord;
use crate::read::container::reopen;

/// A netlink socket in each namespace.
#[derive(Debug)]
pub struct Sockets {
    pub home: Home,
    pub host: Socket,
    pub inside: Option<(Socket, Namespace)>,
    pub peer: Option<(Socket, Namespace)>,
}

impl Sockets {
    /// In the namespace that we run in, in the container's, and in that of the other container.
    pub fn open(inside: Option<Namespace>, peer: Option<Namespace>) -> Result<Self, Failure> {
        let home = Home::current()?;
        let host = Socket::open()?;
        let within = |namespace: Option<Namespace>| match namespace {
            Some(namespace) => {
                let socket = enter(&home, &namespace, Socket::open)??;
                Ok(Some((socket, namespace)))
            }
            None => Ok::<_, Failure>(None),
        };
        let (inside, peer) = (within(inside)?, within(peer)?);
        Ok(Sockets { home, host, inside, peer })
    }

    /// Those of a record; none where the namespace is gone.
    pub fn for_record(record: &NicRecord) -> Result<Self, Failure> {
        Sockets::open(reopen(&record.inside), record.peer.as_ref().and_then(reopen))
    }

    /// The one of that netns; none of a namespace that is gone.
    pub fn socket(&mut self, netns: Netns) -> Option<&mut Socket> {
        match netns {
            Netns::Host => Some(&mut self.host),
            Netns::Container => self.inside.as_mut().map(|(socket, _)| socket),
            Netns::Peer => self.peer.as_mut().map(|(socket, _)| socket),
        }
    }

    /// Does `what` in that netns; nothing of a namespace that is gone.
    pub fn within<T>(&self, netns: Netns, what: impl FnOnce() -> T) -> Result<Option<T>, Failure> {
        match (netns, self.namespace(netns)) {
            (Netns::Host, _) => Ok(Some(what())),
            (_, Some(namespace)) => enter(&self.home, namespace, what).map(Some),
            (_, None) => Ok(None),
        }
    }

    /// The namespace to enter in order to be in that netns; none where we are there already.
    pub fn namespace(&self, netns: Netns) -> Option<&Namespace> {
        match netns {
            Netns::Host => None,
            Netns::Container => self.inside.as_ref().map(|(_, namespace)| namespace),
            Netns::Peer => self.peer.as_ref().map(|(_, namespace)| namespace),
        }
    }
}

/// Does `what` in the container's network.
pub fn enter<T>(home: &Home, namespace: &Namespace, what: impl FnOnce() -> T) -> Result<T, Failure> {
    home.inside(namespace, what).map_err(|errno| match errno {
        nix::errno::Errno::EPERM => Failure::failed(
            namespace,
            "permission denied: needs CAP_SYS_ADMIN in the user namespace that owns it and in our own",
        )
        .hint(with_sudo()),
        errno => Failure::failed(namespace, format_args!("cannot be entered: {errno}")),
    })
}
