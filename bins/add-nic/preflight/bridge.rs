//! Problems of the bridge and its ports, or of the parent link.

use common::hint;
use common::netlink::{Link, OperState};

use crate::model::nic::Nic;
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

pub fn warnings(nic: &Nic, input: &PlanInput<'_>) -> Vec<Warning> {
    let host = &input.snapshot.host;
    let mut warnings: Vec<Warning> = duplicate_mac(nic, input).into_iter().collect();
    let parent = nic.other_end.parent().and_then(|parent| host.link(parent.name.as_str()));
    warnings.extend(parent.and_then(|parent| no_carrier(parent, None)));
    let Some(bridge) = nic.other_end.bridge().and_then(|name| host.link(name.as_str())) else {
        return warnings;
    };
    let ports = || host.links.iter().filter(|link| link.master == Some(bridge.index));
    warnings.extend(spanning_tree(bridge));
    warnings.extend(
        ports().find(|port| port.mtu_bytes != nic.mtu_bytes).map(|port| other_mtu(port, bridge, nic)),
    );
    // A veth's other end may come up at any time.
    let uplinks = ports().filter(|port| port.kind.is_none() && !port.is_loopback());
    warnings.extend(uplinks.filter_map(|port| no_carrier(port, Some(bridge))));
    warnings
}

fn name(link: &Link) -> std::borrow::Cow<'_, str> {
    link.name.to_string_lossy()
}

fn spanning_tree(bridge: &Link) -> Option<Warning> {
    let name = name(bridge);
    bridge.spanning_tree.then(|| {
        Warning::new(
            WarningKind::SpanningTree,
            &name,
            "runs the spanning tree protocol: a new port forwards only after 30 s by default",
            hint!("ip link set {} type bridge stp_state 0", name),
        )
    })
}

fn other_mtu(port: &Link, bridge: &Link, nic: &Nic) -> Warning {
    let (port_name, mtu) = (name(port), port.mtu_bytes);
    let what = format!(
        "port {port_name} has MTU {mtu}, the NIC {}: the bridge drops packets that are larger than the port's MTU",
        nic.mtu_bytes
    );
    let fix = match mtu < nic.mtu_bytes {
        true => common::same_with!("--mtu {}", mtu),
        false => hint!("ip link set {} mtu {}", port_name, nic.mtu_bytes),
    };
    Warning::new(WarningKind::MtuMismatch, name(bridge), what, fix)
}

/// A link without carrier.
fn no_carrier(link: &Link, bridge: Option<&Link>) -> Option<Warning> {
    let is_dead =
        matches!(link.operstate, OperState::Down | OperState::LowerLayerDown | OperState::NotPresent);
    is_dead.then(|| {
        let name = name(link);
        let about = bridge.map_or(String::new(), |bridge| format!(", a port of {}", self::name(bridge)));
        let (what, fix) = match link.is_set_up() {
            true => ("has no carrier", hint!("ip link show {}", name)),
            false => ("is down", hint!("ip link set {} up", name)),
        };
        let what = format_args!("{what}: nothing is reachable through it");
        Warning::new(WarningKind::NoCarrier, format_args!("{name}{about}"), what, fix)
    })
}

/// A bridge sends to the port that used the address last.
fn duplicate_mac(nic: &Nic, input: &PlanInput<'_>) -> Option<Warning> {
    input.wanted.mac?;
    let links = input.snapshot.host.links.iter();
    let of_host =
        links.filter(|link| link.mac == Some(nic.mac)).map(|link| format!("the host's {}", name(link)));
    let of_ours = input.records.iter().filter(|record| record.plan.nic.mac == nic.mac);
    let of_ours = of_ours.map(|record| format!("{} of {}", record.plan.nic.name, record.inside.name));
    let whose = of_host.chain(of_ours).next()?;
    Some(Warning::new(
        WarningKind::DuplicateMac,
        nic.mac,
        format_args!("already the MAC address of {whose}: only one of the two will receive replies"),
        common::sentence!("omit --mac to get a random MAC address"),
    ))
}
