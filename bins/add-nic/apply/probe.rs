//! Duplicate address detection: asks all hosts on the segment whether they use the addresses, before anything is changed.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use common::cli::FindConfig;
use common::failure::Failure;
use common::map;
use common::netlink::{Link, PortState};
use common::packet::neighbour::{Claim, ClaimKind, Segment};

use crate::apply::executor::Executor;
use crate::model::netns::Netns;
use crate::model::nic::{Nic, ParentLink};
use crate::model::plan::Plan;
use crate::model::snapshot::NetnsState;
use crate::read::owner::{NetnsOwner, describe_owner};
use crate::read::sockets::enter;

/// Containers on this host answer within tens of microseconds, hosts behind one switch within one or two milliseconds.
pub const QUICK: [Duration; 1] = [Duration::from_millis(5)];

/// The same for links on one parent: the kernel hands what is for all of them on from a thread of its own
/// (macvlan_process_broadcast, ipvlan_process_multicast), which a busy machine keeps waiting.
pub const QUICK_ON_A_PARENT: [Duration; 1] = [Duration::from_millis(20)];

/// RFC 5227, 1.1: PROBE_NUM probes, PROBE_MIN to PROBE_MAX apart, and ANNOUNCE_WAIT behind the last. Its PROBE_WAIT before
/// the first is for hosts that are all switched on at once. RFC 4862, 5.4 asks for one and a second, which is less.
pub fn full(random: [u8; 2]) -> [Duration; 3] {
    let [first, second] = random.map(|byte| Duration::from_millis(1000 + u64::from(byte) * 1000 / 255));
    [first, second, Duration::from_secs(2)]
}

/// Refuses an address that another host on the segment claims.
pub fn refuse_duplicates(
    plan: &Plan,
    host: &NetnsState,
    waits: &[Duration],
    find: FindConfig,
) -> Result<(), Failure> {
    let Some((segment, link)) = segment(&plan.nic, host) else { return Ok(()) };
    let addresses: Vec<_> = plan.nic.addresses.iter().map(|cidr| cidr.address()).collect();
    match segment.who_has(&addresses, waits, None)? {
        None => Ok(()),
        Some(claim) => Err(refused(&claim, &link, find)),
    }
}

/// The segment that the NIC will be on, and its link here; `None` if no host on it can be asked from here.
fn segment(nic: &Nic, host: &NetnsState) -> Option<(Segment, String)> {
    // Of a VLAN that it only switches, a bridge hears nothing itself.
    let bridge = nic.other_end.bridge().filter(|_| nic.other_end.vlan().is_none())?;
    // A new bridge has no other hosts on it.
    let link = host.link(bridge.as_str())?;
    let carries = |port: &Link| matches!(port.port_state, None | Some(PortState::Forwarding));
    let mut ports = host.links.iter().filter(|port| port.master == Some(link.index));
    if link.is_bridge() && !ports.any(carries) {
        return None;
    }
    Some((Segment { index: link.index, mac: link.mac? }, link.name.to_string_lossy().into_owned()))
}

/// The same once the NIC is up, from a link on its segment: the host reaches none of the NICs on the same parent. Ends when
/// `stop` is readable.
pub fn refuse_duplicates_late(
    plan: &Plan,
    executor: &mut Executor,
    waits: &[Duration],
    stop: BorrowedFd<'_>,
    find: FindConfig,
) -> Result<(), Failure> {
    let nic = &plan.nic;
    let Some((netns, link)) = plan.duplicate_prober() else { return Ok(()) };
    let below = nic.other_end.parent().and_then(ParentLink::link);
    let on = below.as_ref().or(nic.other_end.bridge()).unwrap_or(&nic.name).as_str();
    let index = executor.index(netns, &link).map_err(|error| Failure::failed(&link, error))?;
    let addresses: Vec<_> = nic.addresses.iter().map(|cidr| cidr.address()).collect();
    let segment = Segment { index, mac: nic.mac };
    let ask = || segment.who_has(&addresses, waits, Some(stop));
    let claim = match (netns, &executor.sockets.inside) {
        (Netns::Container, Some((_, namespace))) => enter(&executor.sockets.home, namespace, ask)??,
        _ => ask()?,
    };
    claim.map_or(Ok(()), |claim| Err(refused(&claim, on, find)))
}

fn refused(claim: &Claim, link: &str, find: FindConfig) -> Failure {
    let Claim { address, mac, kind, .. } = claim;
    let whose = owner(claim, find);
    let name = whose.as_ref().map_or(String::new(), |whose| format!(" ({})", whose.name));
    let does = match kind {
        ClaimKind::Has => "already in use by",
        ClaimKind::Wants => "requested at the same time by",
    };
    let hint = whose.and_then(|whose| whose.hint).or_else(|| common::hint!("cpid --of $(cpid mac:{})", mac));
    Failure::failed(address, format_args!("{does} {mac}{name} on {link}")).hint(hint)
}

/// The owner of this MAC address, if it is on this host.
fn owner(claim: &Claim, find: FindConfig) -> Option<NetnsOwner> {
    let owners = map::owners_of_mac(claim.mac).ok()?;
    Some(describe_owner(&owners.owners.first()?.entry, find))
}
