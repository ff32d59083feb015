//! What becomes of a packet that comes in: RTM_GETROUTE with the link that it comes in by.

use std::net::IpAddr;

use nix::errno::Errno;

use super::route::{FIXED_BYTES, RTA_DST, RTA_MARK, RTA_SRC, RTM_GETROUTE, RouteLookup};
use super::wire::{NetlinkRequest, family_of};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const RTA_IIF: u16 = 3;

impl Socket {
    /// What becomes of a packet for `address` from `from` that comes in by the link of that index: where it is forwarded to, or that
    /// it is for the namespace itself.
    ///
    /// # Errors
    /// As [`route_lookup`](Socket::route_lookup); EXDEV, since Linux 6.13 EINVAL, where rp_filter refuses it, EINVAL for one that
    /// cannot come from there, and EHOSTUNREACH where the link does not forward.
    pub fn input_lookup(
        &mut self,
        address: IpAddr,
        from: IpAddr,
        index: u32,
        mark: Option<u32>,
    ) -> Result<RouteLookup, NetlinkError> {
        let request = |flags| {
            let request = input_request(flags, address, from, index);
            match mark {
                Some(mark) => request.with_u32(RTA_MARK, mark),
                None => request,
            }
        };
        self.one(request, RouteLookup::read)
    }

    /// Why the namespace would not take a packet for `address` from `from` that comes in by the link of that index: EXDEV
    /// where rp_filter refuses it, EINVAL for one that cannot come from there. `None` if it would take it.
    ///
    /// # Errors
    /// [`NetlinkError`], if it could not be asked.
    pub fn input_refusal(
        &mut self,
        address: IpAddr,
        from: IpAddr,
        index: u32,
    ) -> Result<Option<Errno>, NetlinkError> {
        match self.input_lookup(address, from, index, None) {
            Ok(_) => Ok(None),
            Err(NetlinkError::Refused { errno, .. }) => Ok(Some(errno)),
            Err(error) => Err(error),
        }
    }
}

fn input_request(flags: u16, address: IpAddr, from: IpAddr, index: u32) -> NetlinkRequest {
    let (to_len, from_len) = (Cidr::host(address).prefix_len(), Cidr::host(from).prefix_len());
    let mut fixed = [0; FIXED_BYTES];
    fixed[..3].copy_from_slice(&[family_of(address), to_len, from_len]);
    NetlinkRequest::new("route lookup", RTM_GETROUTE, flags, &fixed)
        .with_ip(RTA_DST, address)
        .with_ip(RTA_SRC, from)
        .with_u32(RTA_IIF, index)
}
