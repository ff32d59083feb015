//! Whether a network has IPsec policies: NETLINK_XFRM, linux/xfrm.h. ip-xfrm(8)

use super::netfilter::or_lacking;
use super::wire::NetlinkRequest;
use super::{NetlinkError, Socket};

const XFRM_MSG_GETPOLICY: u16 = 0x15;
/// struct xfrm_userpolicy_id.
const REQUEST_BYTES: usize = 64;

/// Whether the network namespace that this thread is in has any. It takes CAP_NET_ADMIN there.
///
/// # Errors
/// As [`Socket::links`]; a kernel without IPsec has none.
pub fn has_ipsec_policies() -> Result<bool, NetlinkError> {
    let Some(mut socket) = or_lacking(Socket::to_ipsec())? else { return Ok(false) };
    let asked = |flags| NetlinkRequest::new("IPsec policies", XFRM_MSG_GETPOLICY, flags, &[0; REQUEST_BYTES]);
    Ok(!socket.dump(asked, |_| Ok(()))?.is_empty())
}
