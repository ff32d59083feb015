//! Whose MAC address a packet is sent to: the neighbour table, and whether its owner can be asked.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::hint;
use common::map::{LinkPlace, MappedLink};
use common::target::Mac;

use super::segment::{SegmentStation, has_address, reach};
use super::walker::{StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

/// linux/neighbour.h: NUD_PERMANENT, and all states in which the kernel sends without asking.
const PERMANENT: u16 = 0x80;
const USED: u16 = 0x80 | 0x40 | 0x02 | 0x04 | 0x08 | 0x10;

impl Walker<'_> {
    /// Which of those that have the address gets the packet.
    pub fn chosen(
        &mut self,
        out: LinkPlace,
        next_hop: IpAddr,
        owners: &[SegmentStation],
    ) -> Option<SegmentStation> {
        let answering: Vec<&SegmentStation> =
            owners.iter().filter(|owner| self.answers(owner.place, next_hop)).collect();
        let meant = match answering.as_slice() {
            [] => owners.first(),
            [only] => Some(*only),
            [first, ..] => {
                let known =
                    self.state.netns(out.netns).ok().and_then(|netns| netns.neighbour(out.index, next_hop));
                let mac = known.filter(|known| known.state & USED != 0).and_then(|known| known.mac);
                let has_it = |owner: &&&SegmentStation| {
                    mac.is_some() && self.state.map.link(owner.place).is_some_and(|link| link.link.mac == mac)
                };
                Some(answering.iter().find(has_it).map_or(*first, |owner| *owner))
            }
        };
        let meant = meant.cloned()?;
        self.other_owner(out, next_hop, owners, &meant);
        Some(meant)
    }

    /// Whether an interface answers who asks for that address.
    fn answers(&self, place: LinkPlace, address: IpAddr) -> bool {
        let no_arp = libc::IFF_NOARP.cast_unsigned();
        let is_able = |link: &MappedLink| link.link.is_set_up() && link.link.flags & no_arp == 0;
        self.state.map.link(place).is_some_and(is_able) && self.ignores_arp(place, address).is_none()
    }

    /// The setting by which an interface does not answer ARP for an address: ip-sysctl.rst, arp_ignore. From 1 on it has to be the
    /// interface's own; 8 is none at all.
    fn ignores_arp(&self, place: LinkPlace, address: IpAddr) -> Option<String> {
        let of = |name: &str| {
            let key = format!("ipv4/conf/{name}/arp_ignore");
            let value = self.state.setting(place.netns, &key)?.parse::<u8>().ok()?;
            Some((value, format!("net/{key}=0")))
        };
        let (value, set) =
            [of("all"), of(&self.link_name(place))].into_iter().flatten().max_by_key(|(value, _)| *value)?;
        let is_own = self.state.map.link(place).is_some_and(|link| has_address(link, address));
        let ignores = address.is_ipv4() && (value == 8 || (1..8).contains(&value) && !is_own);
        ignores.then_some(set)
    }

    /// Several have the address.
    fn other_owner(
        &mut self,
        out: LinkPlace,
        next_hop: IpAddr,
        owners: &[SegmentStation],
        meant: &SegmentStation,
    ) {
        let others = owners.iter().filter(|owner| owner.place.netns != meant.place.netns);
        let Some(other) = others.map(|owner| owner.place).next() else { return };
        let address = next_hop;
        let is_other_meant = self.dest.is_some_and(|dest| dest == other.netns);
        if is_other_meant && !self.answers(other, address) {
            let text = format!(
                "{}: has {address}, too, and answers {} for it, where {} does not",
                self.at(meant.place),
                self.asking(),
                self.at(other)
            );
            // What was learned from the wrong answer stays for half a minute.
            let name = self.pasted(out);
            let forget = name.and_then(|name| hint!("ip neigh flush to {} dev {}", address, name));
            let reason = StopReason::new(Cause::NeighbourOtherHost, TraceVerdict::Refused, text)
                .fixed_by(self.without_address(meant.place, address))
                .fixed_by(self.inside(out.netns, forget));
            let place = self.link_place(meant.place, Some(HopHook::Neighbour));
            self.stop(place, reason);
            return;
        }
        let text = format!(
            "{}: {address} is an address of {} and of {}: either may get the packet",
            self.at(out),
            self.at(meant.place),
            self.at(other)
        );
        let reason = StopReason::new(Cause::AddressConflict, TraceVerdict::Lost, text)
            .advised("give each its own address");
        let place = self.link_place(out, Some(HopHook::Neighbour));
        self.suspect(place, reason);
    }

    /// How neighbours are asked.
    pub fn asking(&self) -> &'static str {
        if self.packet.is_six() { "neighbour solicitations" } else { "ARP" }
    }

    /// The command that takes an address from an interface.
    pub fn without_address(&self, place: LinkPlace, address: IpAddr) -> Option<hint::Hint> {
        let link = self.state.map.link(place)?;
        let own = link.addresses.iter().find(|own| own.address == address)?;
        let cidr = format!("{address}/{}", own.prefix_len);
        let command = hint!("ip addr del {} dev {}", cidr, self.pasted(place)?);
        self.inside(place.netns, command)
    }

    /// Whether the kernel of `out` knows the station's MAC address already; what is wrong with that is noted.
    pub fn neighbour(
        &mut self,
        out: LinkPlace,
        next_hop: IpAddr,
        station: &SegmentStation,
        owners: &[SegmentStation],
    ) -> bool {
        let Ok(visited) = self.state.netns(out.netns) else { return true };
        let no_arp = libc::IFF_NOARP.cast_unsigned();
        let out_link = self.state.map.link(out);
        if out_link.is_some_and(|link| link.link.flags & (no_arp | libc::IFF_LOOPBACK.cast_unsigned()) != 0) {
            return true;
        }
        let known = visited.neighbour(out.index, next_hop).filter(|known| known.state & USED != 0);
        let macs: Vec<_> =
            owners.iter().filter_map(|owner| self.state.map.link(owner.place)?.link.mac).collect();
        if let Some(known) = known {
            if let Some(mac) = known.mac.filter(|mac| !macs.contains(mac)) {
                self.wrong_mac(out, next_hop, mac, station.place, known.state & PERMANENT != 0);
            }
            return true;
        }
        self.ask(out, next_hop, station.place);
        false
    }

    /// An entry that somebody set is wrong, and one that was learned of an interface that has the address no more; another one may be
    /// of somebody whom we do not see.
    fn wrong_mac(
        &mut self,
        out: LinkPlace,
        next_hop: IpAddr,
        mac: Mac,
        right: LinkPlace,
        is_permanent: bool,
    ) {
        let kind = if is_permanent { "is permanent and" } else { "was learned and" };
        let text = format!(
            "{}: the neighbour entry of {next_hop} {kind} says {mac}, which is not the MAC address of {}",
            self.at(out),
            self.at(right)
        );
        let command = self.pasted(out).and_then(|name| hint!("ip neigh del {} dev {}", next_hop, name));
        let reason = StopReason::new(Cause::NeighbourWrongMac, TraceVerdict::Lost, text)
            .fixed_by(self.inside(out.netns, command));
        let place = self.link_place(out, Some(HopHook::Neighbour));
        let hears = reach(&self.state.map, out);
        let has_mac = |place: LinkPlace| {
            self.state.map.link(place).is_some_and(|link| link.link.mac.as_ref() == Some(&mac))
        };
        let is_of_other = hears.stations.iter().any(|station| has_mac(station.place));
        match is_permanent || is_of_other {
            true => self.stop(place, reason),
            false => self.suspect(place, reason),
        };
    }

    /// The station is asked for its MAC address, and has to answer.
    fn ask(&mut self, out: LinkPlace, next_hop: IpAddr, station: LinkPlace) {
        if self.state.map.link(station).is_some_and(|link| link.link.is_set_up())
            && !self.answers(station, next_hop)
        {
            let text = format!("{}: is set not to answer {}", self.at(station), self.asking());
            let command = match self.ignores_arp(station, next_hop) {
                Some(set) => hint!("sysctl -w {}", set),
                None => self.pasted(station).and_then(|name| hint!("ip link set {} arp on", name)),
            };
            let reason = StopReason::new(Cause::ArpOff, TraceVerdict::Lost, text)
                .fixed_by(self.inside(station.netns, command));
            let place = self.link_place(station, Some(HopHook::Neighbour));
            self.stop(place, reason);
            return;
        }
        self.ask_neighbour(out, next_hop, station);
    }
}
