//! What both sides are before anything is changed: all that a plan is made from.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::{Address, Link, NetlinkError, PortVlan, Route, Rule, Socket};
use common::netns::Home;
use common::target::{IfName, Mac};

use crate::firewall::{self, Wall};
use crate::inside::reopen;
use crate::journal::Record;
use crate::step::{Place, Step, ipv6_switch};
use crate::sysctl::{self, Settings};
use crate::wanted::{Wanted, WantedEnd};

/// One side of the cable.
#[derive(Debug, Clone, Default)]
pub struct Side {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
    /// Of the ports of bridges that keep VLANs apart.
    pub port_vlans: Vec<PortVlan>,
    pub rules: Vec<Rule>,
    /// Whether new links may have IPv6 addresses; `None` where the kernel has no IPv6, and if nobody has asked.
    pub allows_ipv6: Option<bool>,
}

/// Both sides.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub outside: Side,
    pub inside: Side,
    /// The other container, where there is one.
    pub peer: Side,
    /// Whether both are the same namespace.
    pub is_one: bool,
    /// Those that somebody asked for.
    pub settings: Settings,
    /// The packet filters, if somebody asked for them.
    pub wall: Wall,
    /// Of a NIC of the host's that is to move, the switches under /proc/sys/net that a new link would not have so.
    pub switches: Vec<(String, String)>,
}

/// A socket in each namespace, and the way into the other one.
#[derive(Debug)]
pub struct Sockets {
    pub home: Home,
    pub outside: Socket,
    pub inside: Option<(Socket, Namespace)>,
    pub peer: Option<(Socket, Namespace)>,
}

impl Sockets {
    /// In the namespace that we run in, in the container's, and in that of the other container.
    pub fn open(inside: Option<Namespace>, peer: Option<Namespace>) -> Result<Self, Failure> {
        let home = Home::current()?;
        let outside = Socket::open()?;
        let within = |namespace: Option<Namespace>| match namespace {
            Some(namespace) => {
                let socket = enter(&home, &namespace, Socket::open)??;
                Ok(Some((socket, namespace)))
            }
            None => Ok::<_, Failure>(None),
        };
        let (inside, peer) = (within(inside)?, within(peer)?);
        Ok(Sockets { home, outside, inside, peer })
    }

    /// Those of a record; none where the namespace is gone.
    pub fn of_record(record: &Record) -> Result<Self, Failure> {
        Sockets::open(reopen(&record.inside), record.peer.as_ref().and_then(reopen))
    }

    /// The one of that place; none of a namespace that is gone.
    pub fn of(&mut self, place: Place) -> Option<&mut Socket> {
        match place {
            Place::Outside => Some(&mut self.outside),
            Place::Inside => self.inside.as_mut().map(|(socket, _)| socket),
            Place::Peer => self.peer.as_mut().map(|(socket, _)| socket),
        }
    }

    /// Does `what` in that place; nothing of a namespace that is gone.
    pub fn within<T>(&self, place: Place, what: impl FnOnce() -> T) -> Result<Option<T>, Failure> {
        match (place, self.namespace(place)) {
            (Place::Outside, _) => Ok(Some(what())),
            (_, Some(namespace)) => enter(&self.home, namespace, what).map(Some),
            (_, None) => Ok(None),
        }
    }

    /// The namespace to enter in order to be in that place; none where we are there already.
    pub fn namespace(&self, place: Place) -> Option<&Namespace> {
        match place {
            Place::Outside => None,
            Place::Inside => self.inside.as_ref().map(|(_, namespace)| namespace),
            Place::Peer => self.peer.as_ref().map(|(_, namespace)| namespace),
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
        let links = socket.links()?;
        let keeps_apart = |link: &Link| link.vlan_filtering.is_some_and(|vlans| vlans.is_on);
        Ok(Side {
            port_vlans: if links.iter().any(keeps_apart) { socket.port_vlans()? } else { vec![] },
            links,
            addresses: socket.addresses()?,
            routes: socket.routes()?,
            rules: socket.rules()?,
            allows_ipv6: None,
        })
    }

    /// Only its links; nothing of a namespace that is gone.
    pub fn links_of(socket: Option<&mut Socket>) -> Result<Self, NetlinkError> {
        let links = socket.map_or(Ok(vec![]), Socket::links)?;
        Ok(Side { links, ..Side::default() })
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
            Place::Peer => &self.peer,
        }
    }

    fn side_mut(&mut self, place: Place) -> &mut Side {
        match place {
            Place::Outside => &mut self.outside,
            Place::Inside => &mut self.inside,
            Place::Peer => &mut self.peer,
        }
    }

    /// Looks at what few NICs are about: whether there may be IPv6, the settings and the packet filters that `wanted` changes, and `records` have
    /// changed.
    pub fn look_closer<'a>(
        &mut self,
        wanted: Option<&Wanted>,
        records: impl Iterator<Item = &'a Record> + Clone,
        sockets: &Sockets,
    ) -> Result<(), Failure> {
        if let Some(WantedEnd::Phys(nic)) = wanted.map(|wanted| &wanted.other_end) {
            self.switches = switches_of(nic);
        }
        // Of hundreds of namespaces each has a file of that name, and the kernel looks at all of them to find one.
        if wanted.is_some_and(|wanted| wanted.addresses.iter().any(|cidr| cidr.address().is_ipv6())) {
            for place in [Place::Outside, Place::Inside, Place::Peer] {
                self.side_mut(place).allows_ipv6 = sockets.within(place, allows_ipv6)?.flatten();
            }
        }
        let mut keys: [Vec<sysctl::Key>; 2] = [vec![], wanted.map_or(vec![], sysctl::needed)];
        for (step, _) in records.clone().flat_map(|record| &record.plan.steps) {
            if let Step::SetSysctl(changed) = step {
                keys[usize::from(changed.place == Place::Inside)].push(changed.key.clone());
            }
        }
        if let Some(wanted) = wanted {
            keys[0].extend(firewall::needed_settings(wanted, &self.outside));
        }
        for (place, mut keys) in [Place::Outside, Place::Inside].into_iter().zip(keys) {
            let along = keys.iter().flat_map(|key| sysctl::needed_with(key, self.side(place)));
            keys.extend(along.collect::<Vec<_>>());
            if !keys.is_empty() {
                self.settings.read(place, keys, sockets)?;
            }
        }
        self.wall = firewall::look(wanted, records)?;
        Ok(())
    }

    /// What is now.
    pub fn take(sockets: &mut Sockets) -> Result<Self, Failure> {
        let outside = Side::of(&mut sockets.outside)?;
        let within = |within: &mut Option<(Socket, Namespace)>| {
            within.as_mut().map_or_else(|| Ok(Side::default()), |(socket, _)| Side::of(socket))
        };
        let (inside, peer) = (within(&mut sockets.inside)?, within(&mut sockets.peer)?);
        let home = sockets.home.identity();
        let is_one = sockets.namespace(Place::Inside).map(Namespace::identity) == Some(home);
        Ok(Snapshot { outside, inside, peer, is_one, ..Snapshot::default() })
    }
}

/// The switches of a link of the host's that are not as `default` has them: file and value. What cannot be read, as a
/// secret that was never set, is not set.
fn switches_of(link: &IfName) -> Vec<(String, String)> {
    let mut switches = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let directory = format!("/proc/sys/net/{family}/conf");
        let entries = fs::read_dir(format!("{directory}/{link}")).into_iter().flatten().flatten();
        for entry in entries {
            let (file, switch) = (entry.path(), entry.file_name());
            let value = |file: &Path| fs::read_to_string(file).ok();
            let usual = value(&Path::new(&directory).join("default").join(&switch));
            let is_ours_to_set = entry.metadata().is_ok_and(|data| data.mode() & 0o200 != 0);
            let now = value(&file).filter(|now| is_ours_to_set && Some(now) != usual.as_ref());
            let switch = |now: String| (file.to_string_lossy().into_owned(), now.trim_end().to_owned());
            switches.extend(now.map(switch));
        }
    }
    switches.sort();
    switches
}

/// /proc/sys/net is that of the namespace which the reader is in.
fn allows_ipv6() -> Option<bool> {
    let switch = |link| fs::read_to_string(ipv6_switch(link)).ok().map(|text| text.trim() == "0");
    // A new link takes over what `default` says, whatever `all` says (addrconf.c, ipv6_add_dev).
    switch("default")
}
