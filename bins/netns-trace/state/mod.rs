//! What is set up on this host: the map, and of each namespace on the way what it takes to follow a packet there, read when it is
//! asked for, once.

mod netns;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use common::cli::FindSession;
use common::failure::{Failure, Status};
use common::find::host;
use common::firewall::{FilterPacket, IpsecFate, is_firewalld, trusted_by_firewalld};
use common::hint;
use common::hint::Hint;
use common::map::{HostMap, LookDepth, MappedNetns, NetnsNames};
use common::netlink::{IpsecDirection, ListeningSocket};
use common::netns::Home;
use common::target::Transport;

pub use netns::{TrackedFlows, VisitedNetns};

/// The host, and what was read of its namespaces so far.
#[derive(Debug)]
pub struct HostState {
    /// Every namespace with its links.
    pub map: HostMap,
    /// Engines that could not be asked: their containers have no names.
    pub not_asked: Vec<String>,
    names: NetnsNames,
    home: Home,
    read: RefCell<BTreeMap<u64, Rc<VisitedNetns>>>,
}

impl HostState {
    /// Reads the map.
    ///
    /// # Errors
    /// When not even our own network can be read.
    pub fn read(find: &FindSession) -> Result<Self, Failure> {
        let known = host(LookDepth::Quick, &find.engines)?;
        let names = NetnsNames::of(&known.map, &HashMap::new());
        let not_asked = known.errors.iter().map(ToString::to_string).collect();
        let home = Home::current()?;
        Ok(HostState { map: known.map, not_asked, names, home, read: RefCell::default() })
    }

    /// What a namespace is called, as it came.
    pub fn who(&self, inode: u64) -> String {
        self.names.of_netns(inode)
    }

    /// The namespace with that inode.
    ///
    /// # Errors
    /// When it is not on the map.
    pub fn mapped(&self, inode: u64) -> Result<&MappedNetns, Failure> {
        self.map.netns(inode).ok_or_else(|| {
            Failure::failed(self.who(inode), "its network namespace is gone, or may not be looked at")
        })
    }

    /// The state of a namespace.
    ///
    /// # Errors
    /// When it has vanished, or may not be entered.
    pub fn netns(&self, inode: u64) -> Result<Rc<VisitedNetns>, Failure> {
        if let Some(known) = self.read.borrow().get(&inode) {
            return Ok(Rc::clone(known));
        }
        let opened = self.mapped(inode)?.open()?;
        let namespace = opened
            .ok_or_else(|| Failure::said(Status::No, format_args!("{}: has ended", self.who(inode))))?;
        let state = Rc::new(VisitedNetns::open(namespace, &self.home, &self.who(inode))?);
        self.read.borrow_mut().insert(inode, Rc::clone(&state));
        Ok(state)
    }

    /// Does `what` in a namespace.
    ///
    /// # Errors
    /// When it may not be entered.
    pub fn enter<T>(&self, inode: u64, what: impl FnOnce() -> T) -> Result<T, Failure> {
        let visited = self.netns(inode)?;
        let entered = self.home.inside(&visited.namespace, what);
        entered.map_err(|errno| Failure::failed(self.who(inode), errno.desc()))
    }

    /// A setting below `/proc/sys/net` of a namespace: `ipv4/ip_forward`.
    pub fn setting(&self, inode: u64, key: &str) -> Option<String> {
        self.netns(inode).ok()?.setting(&self.home, key)
    }

    /// Whether a setting is on; nothing where it could not be read.
    pub fn is_on(&self, inode: u64, key: &str) -> Option<bool> {
        self.setting(inode, key).map(|value| value != "0")
    }

    /// The sockets of a namespace that wait at a port.
    pub fn listeners(&self, inode: u64, transport: Transport, port: u16) -> Option<Vec<ListeningSocket>> {
        self.netns(inode).ok()?.listeners(&self.home, transport, port)
    }

    /// What IPsec does with a packet in a namespace; nothing is said where it could not be read.
    pub fn ipsec_fate(&self, inode: u64, direction: IpsecDirection, packet: &FilterPacket) -> IpsecFate {
        let fate = |netns: &VisitedNetns| Some(netns.ipsec(&self.home)?.fate(direction, packet));
        self.netns(inode).ok().and_then(|netns| fate(&netns)).unwrap_or(IpsecFate::Plain)
    }

    /// How full the connection tracking table of a namespace is.
    pub fn conntrack(&self, inode: u64) -> Option<TrackedFlows> {
        self.netns(inode).ok()?.conntrack(&self.home)
    }

    /// A command that undoes a rule of that table in the network of that namespace. firewalld's own is undone by it alone, where it is
    /// known by which interface the packet came in.
    pub fn undone(&self, inode: u64, table: &str, from: Option<&str>, command: Option<Hint>) -> Option<Hint> {
        if !is_firewalld(table) {
            return self.inside(inode, command);
        }
        let is_own = self.map.netns(inode)?.is_own;
        from.filter(|_| is_own).and_then(trusted_by_firewalld)
    }

    /// A command in the network of that namespace: as it is in our own; nothing where no TARGET means the other.
    pub fn inside(&self, inode: u64, command: Option<Hint>) -> Option<Hint> {
        let netns = self.map.netns(inode)?;
        if netns.is_own {
            return command;
        }
        let target = netns.target()?;
        command.and_then(|command| hint!("nsenter-rs -t {} -n {}", target, command))
    }
}
