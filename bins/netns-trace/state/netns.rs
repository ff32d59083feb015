//! What is set up in one namespace, read when it is asked for, once.

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use common::failure::Failure;
use common::firewall::{FilterListing, NamedSet, NetnsFilters};
use common::map::{LinkProgram, NetnsDetails, WantedDetails, details};
use common::namespace::Namespace;
use common::netlink::{
    FdbEntry, IpsecTables, ListeningSocket, Neighbour, NetlinkError, Route, RouteLookup, Rule, Socket,
    listening,
};
use common::netns::Home;
use common::target::Transport;
use common::typed::with_sudo;

/// One namespace, held open.
#[derive(Debug)]
pub struct VisitedNetns {
    /// What people call it, as it came.
    pub name: String,
    /// The namespace.
    pub namespace: Namespace,
    socket: RefCell<Socket>,
    filters: OnceCell<NetnsFilters>,
    tables: OnceCell<NetnsDetails>,
    fdb: OnceCell<Vec<FdbEntry>>,
    programs: OnceCell<Vec<LinkProgram>>,
    ipsec: OnceCell<Option<IpsecTables>>,
}

/// How full the connection tracking table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackedFlows {
    /// Flows that are tracked.
    pub used: u64,
    /// Flows that may be.
    pub most: u64,
}

impl VisitedNetns {
    /// Enters it with a socket.
    ///
    /// # Errors
    /// When it may not be entered.
    pub fn open(namespace: Namespace, home: &Home, name: &str) -> Result<Self, Failure> {
        let socket = home.inside(&namespace, Socket::open).map_err(|errno| {
            Failure::failed(name, format_args!("{namespace} cannot be entered: {}", errno.desc()))
                .hint(with_sudo())
        })??;
        Ok(VisitedNetns {
            name: name.to_owned(),
            namespace,
            socket: RefCell::new(socket),
            filters: OnceCell::new(),
            tables: OnceCell::new(),
            fdb: OnceCell::new(),
            programs: OnceCell::new(),
            ipsec: OnceCell::new(),
        })
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

    /// Asks the kernel what becomes of a packet that comes in by a link.
    ///
    /// # Errors
    /// As [`Socket::input_lookup`].
    pub fn route_in(
        &self,
        to: IpAddr,
        from: IpAddr,
        index: u32,
        mark: Option<u32>,
    ) -> Result<RouteLookup, NetlinkError> {
        self.socket.borrow_mut().input_lookup(to, from, index, mark)
    }

    /// What the kernel knows of a neighbour.
    pub fn neighbour(&self, index: u32, address: IpAddr) -> Option<Neighbour> {
        self.socket.borrow_mut().neighbour(index, address).ok().flatten()
    }

    /// Its routes, of all tables.
    pub fn routes(&self) -> &[Route] {
        self.tables().routes.as_deref().unwrap_or_default()
    }

    /// Its rules of policy routing.
    pub fn rules(&self) -> &[Rule] {
        self.tables().rules.as_deref().unwrap_or_default()
    }

    fn tables(&self) -> &NetnsDetails {
        self.tables.get_or_init(|| {
            let wanted = WantedDetails { routes: true, rules: true, ..WantedDetails::default() };
            details(&self.namespace, wanted).unwrap_or_default()
        })
    }

    /// What its bridges know of who is where.
    pub fn fdb(&self) -> &[FdbEntry] {
        self.fdb.get_or_init(|| self.socket.borrow_mut().forwarding_table().unwrap_or_default())
    }

    /// What is attached to its links.
    pub fn programs(&self) -> &[LinkProgram] {
        self.programs.get_or_init(|| {
            let wanted = WantedDetails { programs: true, ..WantedDetails::default() };
            details(&self.namespace, wanted).ok().and_then(|read| read.programs).unwrap_or_default()
        })
    }

    /// Its packet filters.
    pub fn filters(&self) -> &NetnsFilters {
        self.filters.get_or_init(|| self.filters_now().unwrap_or_default())
    }

    /// The same as they are by now, with their counters; nothing where it may not be entered.
    pub fn filters_now(&self) -> Option<NetnsFilters> {
        Home::current().ok()?.inside(&self.namespace, filters_here).ok()
    }

    /// A setting below `/proc/sys/net`, without the blanks around it.
    pub fn setting(&self, home: &Home, key: &str) -> Option<String> {
        let read = || fs::read_to_string(Path::new("/proc/sys/net").join(key));
        let text = home.inside(&self.namespace, read).ok()?.ok()?;
        Some(text.trim().to_owned())
    }

    /// The sockets that wait at a port.
    pub fn listeners(&self, home: &Home, transport: Transport, port: u16) -> Option<Vec<ListeningSocket>> {
        home.inside(&self.namespace, || listening(transport, port)).ok()?.ok()
    }

    /// What IPsec is set to do; nothing where it could not be read.
    pub fn ipsec(&self, home: &Home) -> Option<&IpsecTables> {
        self.ipsec.get_or_init(|| home.inside(&self.namespace, IpsecTables::read).ok()?.ok()).as_ref()
    }

    /// How full its connection tracking table is.
    pub fn conntrack(&self, home: &Home) -> Option<TrackedFlows> {
        let number = |key: &str| self.setting(home, &format!("netfilter/{key}"))?.parse().ok();
        Some(TrackedFlows { used: number("nf_conntrack_count")?, most: number("nf_conntrack_max")? })
    }
}

/// Those of the namespace that this thread is in, with the sets that they look into.
fn filters_here() -> NetnsFilters {
    let FilterListing { chains, not_read, unread, .. } = FilterListing::read();
    NetnsFilters { sets: NamedSet::read_mentioned(&chains), is_whole: not_read.is_empty(), chains, unread }
}
