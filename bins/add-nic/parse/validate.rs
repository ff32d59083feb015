//! Validates a request as a whole: contradictions are refused.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;

use super::words::refuse_unusable;
use crate::model::wanted::{OtherAddresses, Wanted, WantedEnd};

impl Wanted {
    /// Refuses contradictions.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        if let Some(mac) = self.mac.filter(|mac| !mac.is_unicast()) {
            return Err(Failure::failed(mac, "multicast or zero MAC address"));
        }
        if let (Some(mac), WantedEnd::On(parent)) = (self.mac, &self.other_end)
            && parent.on.has_parents_mac()
        {
            return Err(Failure::failed(
                format_args!("--mac {mac}"),
                format_args!("not possible: {} uses the MAC address of {}", parent.on, parent.name),
            ));
        }
        self.validate_mtu()?;
        if self.metric.is_some() && self.gateways.is_empty() && self.routes.is_empty() {
            return Err(Failure::failed("--metric", "needs --gateway or --route")
                .hint(common::sentence!("give --gateway IP or --route CIDR too")));
        }
        let next = self.gateways.iter().copied().chain(self.routes.iter().filter_map(|route| route.via));
        for router in next {
            self.validate_router(router)?;
        }
        for family in [true, false] {
            if let Some(second) = self.gateways.iter().filter(|gateway| gateway.is_ipv4() == family).nth(1) {
                return Err(Failure::failed(second, "second gateway of the same address family"));
            }
        }
        self.validate_routes()?;
        match (self.other_end.bridge(), &self.other_name) {
            (Some(bridge), Some(name)) if bridge == name => {
                Err(Failure::failed(name, "already the name of the bridge"))
            }
            _ => Ok(()),
        }
    }

    fn validate_routes(&self) -> Result<(), Failure> {
        for (at, route) in self.routes.iter().enumerate() {
            let refuse = |why: &str| Err(Failure::failed(route.to, why));
            if route.to.prefix_len() == 0 {
                return refuse("--route does not take a default route")
                    .map_err(|failure| failure.hint(common::sentence!("use --gateway IP instead")));
            }
            if route.via.is_some_and(|via| via.is_ipv4() != route.to.address().is_ipv4()) {
                return refuse("the router has another address family");
            }
            if self.routes[..at].iter().any(|other| other.to == route.to) {
                return refuse("given twice");
            }
            // The kernel adds that route with the address; for IPv6 with a metric of its own.
            let is_own = |cidr: &Cidr| cidr.address().is_ipv4() && cidr.network() == route.to;
            if self.metric.unwrap_or(0) == 0 && self.addresses.iter().any(is_own) {
                return refuse("the NIC's own network needs no route");
            }
        }
        Ok(())
    }

    fn validate_mtu(&self) -> Result<(), Failure> {
        let Some(mtu) = self.mtu_bytes else { return Ok(()) };
        // RFC 791, RFC 8200; veth.c has ETH_MAX_MTU.
        let least = if self.addresses.iter().any(|cidr| cidr.address().is_ipv6()) { 1280 } else { 68 };
        if !(least..=65535).contains(&mtu) {
            return Err(Failure::failed(format_args!("MTU {mtu}"), format_args!("must be {least} to 65535")));
        }
        Ok(())
    }

    /// A router must be reached without a router.
    fn validate_router(&self, router: IpAddr) -> Result<(), Failure> {
        if self.addresses.iter().any(|cidr| cidr.address() == router) {
            return Err(Failure::failed(router, "the NIC's own address cannot be the router"));
        }
        let is_other_end =
            matches!(&self.other_addresses, OtherAddresses::These(these) if these.contains(&router));
        match self.addresses.iter().find(|cidr| cidr.contains(router)) {
            None if !is_other_end => {
                let networks: Vec<String> =
                    self.addresses.iter().map(|cidr| cidr.network().to_string()).collect();
                Err(Failure::failed(
                    router,
                    format_args!("not in {}, the NIC's network", networks.join(", ")),
                ))
            }
            Some(cidr) if !is_other_end => refuse_unusable(cidr.with_address(router)),
            _ => Ok(()),
        }
    }
}
