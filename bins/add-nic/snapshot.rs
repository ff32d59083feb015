//! What both sides are before anything is changed: all that a plan is made from.

use std::fs;
use std::net::IpAddr;

use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::{Address, Link, NetlinkError, Route, Socket};
use common::netns::Home;
use common::target::Mac;

use crate::step::{Place, ipv6_switch};

/// One side of the cable.
#[derive(Debug, Clone, Default)]
pub struct Side {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
    /// Whether new links may have IPv6 addresses; `None` where the kernel has no IPv6.
    pub allows_ipv6: Option<bool>,
}

/// Both sides.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub outside: Side,
    pub inside: Side,
    /// Whether both are the same namespace.
    pub is_one: bool,
}

/// A socket in each namespace, and the way into the other one.
#[derive(Debug)]
pub struct Sockets {
    pub home: Home,
    pub outside: Socket,
    pub inside: Option<(Socket, Namespace)>,
}

impl Sockets {
    /// In the namespace that we run in, and in the container's.
    pub fn open(inside: Option<Namespace>) -> Result<Self, Failure> {
        let home = Home::current()?;
        let outside = Socket::open()?;
        let inside = match inside {
            Some(namespace) => Some((enter(&home, &namespace, Socket::open)??, namespace)),
            None => None,
        };
        Ok(Sockets { home, outside, inside })
    }

    /// The one of that place; none of a namespace that is gone.
    pub fn of(&mut self, place: Place) -> Option<&mut Socket> {
        match place {
            Place::Outside => Some(&mut self.outside),
            Place::Inside => self.inside.as_mut().map(|(socket, _)| socket),
        }
    }

    /// The namespace to enter in order to be in that place; none where we are there already.
    pub fn namespace(&self, place: Place) -> Option<&Namespace> {
        match place {
            Place::Outside => None,
            Place::Inside => self.inside.as_ref().map(|(_, namespace)| namespace),
        }
    }
}

/// Does `what` in the container's network.
pub fn enter<T>(home: &Home, namespace: &Namespace, what: impl FnOnce() -> T) -> Result<T, Failure> {
    home.inside(namespace, what).map_err(|errno| match errno {
        nix::errno::Errno::EPERM => Failure::trouble(
            namespace,
            "permission denied: entering it takes CAP_SYS_ADMIN over the user namespace that owns it, and over our own",
        )
        .hint("run it as root"),
        errno => Failure::trouble(namespace, format_args!("cannot be entered: {errno}")),
    })
}

impl Side {
    fn of(socket: &mut Socket) -> Result<Self, NetlinkError> {
        Ok(Side {
            links: socket.links()?,
            addresses: socket.addresses()?,
            routes: socket.routes()?,
            allows_ipv6: allows_ipv6(),
        })
    }

    /// The link of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name.to_str() == Some(name))
    }

    /// The veth end of that link-layer address.
    pub fn veth(&self, mac: Mac) -> Option<&Link> {
        self.links.iter().find(|link| link.is_veth() && link.mac == Some(mac))
    }

    /// The name of the link of that index, for messages.
    pub fn name_of(&self, index: u32) -> String {
        let name = self.links.iter().find(|link| link.index == index);
        name.map_or_else(|| format!("link {index}"), |link| link.name.to_string_lossy().into_owned())
    }

    /// Who has that address.
    pub fn holder(&self, address: IpAddr) -> Option<&Address> {
        self.addresses.iter().find(|held| held.address == address)
    }

    /// The addresses of one link.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |held| held.index == index)
    }
}

impl Snapshot {
    /// What is in that place.
    pub fn side(&self, place: Place) -> &Side {
        match place {
            Place::Outside => &self.outside,
            Place::Inside => &self.inside,
        }
    }

    /// What is now.
    pub fn take(sockets: &mut Sockets) -> Result<Self, Failure> {
        let outside = Side::of(&mut sockets.outside)?;
        let Some((inside, namespace)) = &mut sockets.inside else {
            return Ok(Snapshot { outside, ..Snapshot::default() });
        };
        let is_one = namespace.identity() == sockets.home.identity();
        // Inside, because it is there that the switch is read.
        let inside = enter(&sockets.home, namespace, || Side::of(inside))??;
        Ok(Snapshot { outside, inside, is_one })
    }
}

/// /proc/sys/net is that of the namespace which the reader is in.
fn allows_ipv6() -> Option<bool> {
    let switch = |link| fs::read_to_string(ipv6_switch(link)).ok().map(|text| text.trim() == "0");
    // A new link takes over what `default` says, whatever `all` says (addrconf.c, ipv6_add_dev).
    switch("default")
}
