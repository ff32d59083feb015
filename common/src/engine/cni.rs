//! What CNI keeps of the networks that containers were put on: `/var/lib/cni/results/NETWORK-CONTAINER-INTERFACE`, for Podman
//! with CNI, containerd's CRI plugin, nerdctl and CRI-O.
//!
//! Format: containernetworking/cni `libcni/api.go` (`cachedInfo`) and SPEC.md (the result of ADD, versions 0.2.0 to 1.1.0).

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::EngineError;
use super::networks::{ContainerNetwork, NetworkAddress};
use super::state::{self, StatePath};
use crate::cidr::Cidr;
use crate::target::Mac;

/// One file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CachedResult {
    container_id: String,
    network_name: String,
    if_name: String,
    result: AddResult,
}

#[derive(Deserialize)]
struct AddResult {
    #[serde(default)]
    interfaces: Vec<ResultInterface>,
    #[serde(default)]
    ips: Vec<ResultIp>,
    #[serde(default)]
    routes: Vec<ResultRoute>,
}

#[derive(Deserialize)]
struct ResultInterface {
    name: String,
    #[serde(default)]
    mac: String,
    #[serde(default)]
    sandbox: String,
}

#[derive(Deserialize)]
struct ResultIp {
    address: String,
    gateway: Option<IpAddr>,
    interface: Option<usize>,
}

#[derive(Deserialize)]
struct ResultRoute {
    dst: String,
}

/// The networks of the containers with these IDs, each that is in `data`, `/var/lib`. nerdctl puts containerd's namespace
/// and a hyphen before the ID (nerdctl `pkg/ocihook/ocihook.go`).
///
/// # Errors
/// A directory or file that cannot be read.
pub(super) fn networks(
    data: &StatePath,
    ids: &[&str],
) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
    let results = data.join("cni/results");
    let mut found: HashMap<String, Vec<ContainerNetwork>> = HashMap::new();
    for name in state::names(&results)? {
        let Some(name) = name.to_str() else { continue };
        let is_of = |id: &&&str| name.split('-').any(|word| word == **id);
        let Some(id) = ids.iter().filter(|id| state::is_id(id)).find(is_of) else { continue };
        let file = results.join(name);
        // One of another format tells nothing.
        let Some(bytes) = state::read(&file)? else { continue };
        let Ok(cached) = serde_json::from_slice::<CachedResult>(&bytes) else { continue };
        if cached.container_id == *id || cached.container_id.ends_with(&format!("-{id}")) {
            found.entry((*id).to_owned()).or_default().extend(cached.into_network());
        }
    }
    Ok(found)
}

impl CachedResult {
    /// `None` for the loopback link, which is a network to CNI.
    fn into_network(self) -> Option<ContainerNetwork> {
        let AddResult { interfaces, ips, routes } = self.result;
        let link = interfaces.iter().find(|link| link.name == self.if_name && !link.sandbox.is_empty());
        let mac = link.and_then(|link| link.mac.parse::<Mac>().ok());
        let is_ours = |ip: &ResultIp| {
            let named = ip.interface.and_then(|at| interfaces.get(at));
            named.is_none_or(|link| link.name == self.if_name)
        };
        let addresses = ips.iter().filter(|ip| is_ours(ip)).filter_map(|ip| {
            let address: Cidr = ip.address.parse().ok()?;
            let gateway = ip.gateway.filter(|gateway| !gateway.is_unspecified());
            (!address.address().is_loopback()).then_some(NetworkAddress { address, gateway })
        });
        let addresses: Vec<NetworkAddress> = addresses.collect();
        let is_default = |route: &ResultRoute| route.dst.ends_with("/0");
        (!addresses.is_empty()).then_some(ContainerNetwork {
            name: self.network_name.clone(),
            id: self.network_name,
            addresses,
            mac,
            interface: Some(self.if_name),
            default_route: Some(routes.iter().any(is_default)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Podman 4.3.1 wrote it.
    const PODMAN: &str = r#"{"kind":"cniCacheV1","containerId":"8b97","config":"e30=","ifName":"eth0","networkName":"podman",
        "cniArgs":[["IgnoreUnknown","1"]],"capabilityArgs":{},"result":{"cniVersion":"0.4.0","dns":{},
        "interfaces":[{"mac":"92:08:40:bb:29:ae","name":"cni-podman0"},{"mac":"e6:c2:ff:f6:1b:8d","name":"veth568fcd29"},
        {"mac":"02:fc:08:17:6d:72","name":"eth0","sandbox":"/run/netns/netns-8ff485c2"}],
        "ips":[{"address":"198.18.65.2/24","gateway":"198.18.65.1","interface":2,"version":"4"}],
        "routes":[{"dst":"0.0.0.0/0"}]}}"#;

    fn network(json: &str) -> Option<ContainerNetwork> {
        serde_json::from_str::<CachedResult>(json).unwrap().into_network()
    }

    #[test]
    fn a_cached_result_tells_address_gateway_and_mac() {
        let podman = network(PODMAN).unwrap();
        assert_eq!((podman.name.as_str(), podman.interface.as_deref()), ("podman", Some("eth0")));
        assert_eq!(podman.mac.unwrap().to_string(), "02:fc:08:17:6d:72");
        assert_eq!(podman.addresses[0].address.to_string(), "198.18.65.2/24");
        assert_eq!(
            (podman.addresses[0].gateway, podman.default_route),
            ("198.18.65.1".parse().ok(), Some(true))
        );
    }

    #[test]
    fn the_loopback_link_is_no_network() {
        let json = r#"{"kind":"cniCacheV1","containerId":"8b97","ifName":"lo","networkName":"cni-loopback",
            "result":{"cniVersion":"1.0.0","interfaces":[{"name":"lo","mac":"00:00:00:00:00:00","sandbox":"/run/netns/x"}],
            "ips":[{"address":"127.0.0.1/8","interface":0}]}}"#;
        assert_eq!(network(json), None);
    }
}
