//! Waits for changes of links, addresses, routes and rules, and of nf_tables: what changed is for the caller to look up.
//!
//! rtnetlink(7), RTNLGRP_* in linux/rtnetlink.h; NFNLGRP_NFTABLES in linux/netfilter/nfnetlink.h, which a flush of the ruleset
//! sends too. With NETLINK_LISTEN_ALL_NSID (netlink(7), Linux 4.2) one socket also has the events of each namespace that has an
//! identifier in ours, as one does to which a veth pair leads; and unlike a socket in it, it keeps none of them alive.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use super::NetlinkError;
use crate::sys;

/// RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE; group N is bit N-1.
const ROUTING: u32 = 1 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18;
/// NFNLGRP_NFTABLES
const NFTABLES: u32 = 1 << 6;

/// Hears that something was changed in a part of the kernel.
#[derive(Debug)]
pub struct ChangeListener(OwnedFd);

impl ChangeListener {
    /// Links, addresses, routes and policy rules of this network namespace and of those that it has identifiers of.
    ///
    /// # Errors
    /// `Socket`, with what socket(2) and bind(2) say.
    pub fn routing() -> Result<Self, NetlinkError> {
        let listener = ChangeListener::listening(SockProtocol::NetlinkRoute, ROUTING)?;
        // Without it, changes inside are found by looking.
        let _ = sys::netlink_switch_on(listener.0.as_fd(), libc::NETLINK_LISTEN_ALL_NSID);
        Ok(listener)
    }

    /// Tables, chains and rules of nf_tables in this network namespace; `None` on a kernel without.
    #[must_use]
    pub fn nftables() -> Option<Self> {
        ChangeListener::listening(SockProtocol::NetlinkNetFilter, NFTABLES).ok()
    }

    fn listening(protocol: SockProtocol, groups: u32) -> Result<Self, NetlinkError> {
        let failed = |action| move |errno: Errno| NetlinkError::Socket { action, source: errno.into() };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .map_err(failed("open a socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(failed("listen to changes"))?;
        Ok(ChangeListener(fd))
    }

    /// Whether there were changes since the last call, also if there were more than the kernel keeps.
    #[must_use]
    pub fn heard(&self) -> bool {
        let mut heard = false;
        loop {
            match recv(self.0.as_raw_fd(), &mut [0; 4096], MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENOBUFS) => heard = true,
                Err(Errno::EINTR) => {}
                Err(_) => return heard,
            }
        }
    }
}

impl AsFd for ChangeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
