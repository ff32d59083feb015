//! Reads the state of both sides, before anything is changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::{Link, NetlinkError, Socket};
use common::target::IfName;

use crate::model::change::{PlanStep, ipv6_switch};
use crate::model::netns::Netns;
use crate::model::record::NicRecord;
use crate::model::snapshot::{NetnsState, Snapshot};
use crate::model::sysctl::SysctlKey;
use crate::model::wanted::{Wanted, WantedEnd};
use crate::plan::filter::needed_settings;
use crate::plan::{sysctl, sysctl_forwarding};
use crate::read::filter;
use crate::read::sockets::Sockets;

impl NetnsState {
    fn read(socket: &mut Socket) -> Result<Self, NetlinkError> {
        let links = socket.links()?;
        let keeps_apart = |link: &Link| link.vlan_filtering.is_some_and(|vlans| vlans.is_on);
        Ok(NetnsState {
            port_vlans: if links.iter().any(keeps_apart) { socket.port_vlans()? } else { vec![] },
            links,
            addresses: socket.addresses()?,
            routes: socket.routes()?,
            rules: socket.rules()?,
            allows_ipv6: None,
        })
    }

    /// Only its links; nothing of a namespace that is gone.
    pub fn read_links(socket: Option<&mut Socket>) -> Result<Self, NetlinkError> {
        let links = socket.map_or(Ok(vec![]), Socket::links)?;
        Ok(NetnsState { links, ..NetnsState::default() })
    }
}

impl Snapshot {
    /// Reads what only some NICs need: whether IPv6 is allowed, and the settings and packet filters that `wanted` changes and
    /// `records` have changed.
    pub fn read_details<'a>(
        &mut self,
        wanted: Option<&Wanted>,
        records: impl Iterator<Item = &'a NicRecord> + Clone,
        sockets: &Sockets,
    ) -> Result<(), Failure> {
        if let Some(WantedEnd::Phys(nic)) = wanted.map(|wanted| &wanted.other_end) {
            self.switches = switches_of(nic);
        }
        // Only then: with hundreds of namespaces, the kernel is slow to find the file of one.
        if wanted.is_some_and(|wanted| wanted.addresses.iter().any(|cidr| cidr.address().is_ipv6())) {
            for netns in [Netns::Host, Netns::Container, Netns::Peer] {
                self.side_mut(netns).allows_ipv6 = sockets.within(netns, allows_ipv6)?.flatten();
            }
        }
        let mut keys: [Vec<SysctlKey>; 2] = [vec![], wanted.map_or(vec![], sysctl::needed)];
        for (step, _) in records.clone().flat_map(|record| &record.plan.steps) {
            if let PlanStep::SetSysctl(changed) = step {
                keys[usize::from(changed.netns == Netns::Container)].push(changed.key.clone());
            }
        }
        if let Some(wanted) = wanted {
            keys[0].extend(needed_settings(wanted, &self.host));
        }
        for (netns, mut keys) in [Netns::Host, Netns::Container].into_iter().zip(keys) {
            let along = keys.iter().flat_map(|key| sysctl_forwarding::needed(key, self.side(netns)));
            keys.extend(along.collect::<Vec<_>>());
            if !keys.is_empty() {
                self.settings.read(netns, keys, sockets)?;
            }
        }
        self.filters = filter::read(wanted, records)?;
        Ok(())
    }

    /// Reads the current state.
    pub fn read(sockets: &mut Sockets) -> Result<Self, Failure> {
        let host = NetnsState::read(&mut sockets.host)?;
        let within = |within: &mut Option<(Socket, Namespace)>| {
            within.as_mut().map_or_else(|| Ok(NetnsState::default()), |(socket, _)| NetnsState::read(socket))
        };
        let (inside, peer) = (within(&mut sockets.inside)?, within(&mut sockets.peer)?);
        let home = sockets.home.identity();
        let is_one = sockets.namespace(Netns::Container).map(Namespace::identity) == Some(home);
        Ok(Snapshot { host, inside, peer, is_one, ..Snapshot::default() })
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

/// /proc/sys/net shows the namespace of the reader.
fn allows_ipv6() -> Option<bool> {
    let switch = |link| fs::read_to_string(ipv6_switch(link)).ok().map(|text| text.trim() == "0");
    // A new link takes over what `default` says, whatever `all` says (addrconf.c, ipv6_add_dev).
    switch("default")
}
