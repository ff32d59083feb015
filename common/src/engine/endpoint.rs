//! A container's networks as Docker's API and its files have them, and Podman's API too: moby `api/types/network/endpoint.go`,
//! `EndpointSettings`.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::networks::{ContainerNetwork, NetworkAddress};
use crate::cidr::Cidr;

/// `NetworkSettings`, as far as we need it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkFields {
    #[serde(default)]
    networks: Option<HashMap<String, Option<EndpointFields>>>,
}

/// One network. A field that the engine has nothing for is an empty word, or not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointFields {
    #[serde(rename = "NetworkID")]
    pub network_id: Option<String>,
    #[serde(rename = "Gateway")]
    pub gateway: Option<String>,
    #[serde(rename = "IPAddress")]
    pub ip_address: Option<String>,
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: Option<i64>,
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: Option<String>,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: Option<i64>,
    #[serde(rename = "MacAddress")]
    pub mac_address: Option<String>,
}

impl FromIterator<(String, EndpointFields)> for NetworkFields {
    fn from_iter<I: IntoIterator<Item = (String, EndpointFields)>>(networks: I) -> Self {
        let networks = networks.into_iter().map(|(name, endpoint)| (name, Some(endpoint))).collect();
        NetworkFields { networks: Some(networks) }
    }
}

impl NetworkFields {
    /// In the order of their names, without those where the container has no address of its own: `host`, `none`.
    pub(super) fn into_networks(self) -> Vec<ContainerNetwork> {
        let networks = self.networks.unwrap_or_default().into_iter();
        let mut networks: Vec<ContainerNetwork> = networks
            .filter_map(|(name, endpoint)| Some(endpoint?.into_network(name)))
            .filter(|network| !network.addresses.is_empty())
            .collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        networks
    }
}

impl EndpointFields {
    fn into_network(self, name: String) -> ContainerNetwork {
        let v4 = address(self.ip_address, self.ip_prefix_len, self.gateway);
        let v6 = address(self.global_ipv6_address, self.global_ipv6_prefix_len, self.ipv6_gateway);
        ContainerNetwork {
            id: self.network_id.filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone()),
            name,
            addresses: v4.into_iter().chain(v6).collect(),
            mac: self.mac_address.and_then(|mac| mac.parse().ok()),
            interface: None,
            default_route: None,
        }
    }
}

fn address(
    address: Option<String>,
    prefix_len: Option<i64>,
    gateway: Option<String>,
) -> Option<NetworkAddress> {
    let address: IpAddr = address?.parse().ok()?;
    let address = Cidr::new(address, u8::try_from(prefix_len?).ok()?)?;
    Some(NetworkAddress { address, gateway: gateway.and_then(|gateway| gateway.parse().ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `config.v2.json` of Docker 20.10 (28.2 has the same fields), and from the API of Podman 4.3.
    #[test]
    fn networks_are_read_as_engines_write_them() {
        let json = r#"{"Networks": {
            "none": {"NetworkID": "9f", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "MacAddress": ""},
            "host": null,
            "n6": {"IPAMConfig": null, "NetworkID": "aa63", "Gateway": "198.19.0.1", "IPAddress": "198.19.0.2",
                   "IPPrefixLen": 24, "IPv6Gateway": "fd77:6::1", "GlobalIPv6Address": "fd77:6::2",
                   "GlobalIPv6PrefixLen": 64, "MacAddress": "02:42:c6:13:00:02", "DriverOpts": null},
            "a": {"NetworkID": "", "IPAddress": "198.18.65.2", "IPPrefixLen": 24, "Gateway": ""}}}"#;
        let networks = serde_json::from_str::<NetworkFields>(json).unwrap().into_networks();
        let [a, n6] = networks.as_slice() else { panic!("{networks:?}") };
        assert_eq!((a.name.as_str(), a.id.as_str(), a.mac), ("a", "a", None));
        assert_eq!(a.addresses[0].gateway, None);
        assert_eq!((n6.id.as_str(), n6.mac.unwrap().to_string().as_str()), ("aa63", "02:42:c6:13:00:02"));
        let said: Vec<String> =
            n6.addresses.iter().map(|one| format!("{} {}", one.address, one.gateway.unwrap())).collect();
        assert_eq!(said, ["198.19.0.2/24 198.19.0.1", "fd77:6::2/64 fd77:6::1"]);
    }

    #[test]
    fn what_makes_no_sense_is_no_address() {
        let json = r#"{"Networks": {"n": {"IPAddress": "198.18.65.2", "IPPrefixLen": 2400}}}"#;
        assert_eq!(serde_json::from_str::<NetworkFields>(json).unwrap().into_networks(), []);
        assert_eq!(serde_json::from_str::<NetworkFields>("{}").unwrap().into_networks(), []);
    }
}
