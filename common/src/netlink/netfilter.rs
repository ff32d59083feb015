//! What nf_tables has in one network namespace: its chains. linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h. It is only looked at here: rules are changed by the programs that own them.

use std::io;

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, until_nul};
use super::{NetlinkError, Socket};

/// NFNL_SUBSYS_NFTABLES
const NFTABLES: u16 = 10;
const NFT_MSG_GETCHAIN: u16 = 4;
pub(super) const NFT_MSG_GETRULE: u16 = 7;
/// struct nfgenmsg: family, version, two bytes of a number that nf_tables does not use.
pub(super) const FIXED_BYTES: usize = 4;

pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_USE: u16 = 6;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
/// linux/netfilter.h: NF_INET_FORWARD.
const FORWARD: u32 = 2;
/// linux/netfilter.h: NF_DROP.
const DROP: u32 = 0;

/// The families of nf_tables that see IP packets (linux/netfilter.h, NFPROTO_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableFamily {
    /// IPv4 and IPv6 in one.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Another one, by its number.
    Other(u8),
}

impl TableFamily {
    /// What passes from one port of a bridge to another.
    pub const BRIDGE: TableFamily = TableFamily::Other(7);

    /// As nft(8) calls it; a number of one that no tool of ours looks into.
    pub fn word(self) -> String {
        match self {
            TableFamily::Inet => "inet".to_owned(),
            TableFamily::Ip => "ip".to_owned(),
            TableFamily::Ip6 => "ip6".to_owned(),
            TableFamily::BRIDGE => "bridge".to_owned(),
            TableFamily::Other(number) => number.to_string(),
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            TableFamily::Inet => 1,
            TableFamily::Ip => 2,
            TableFamily::Ip6 => 10,
            TableFamily::Other(other) => other,
        }
    }
}

impl From<u8> for TableFamily {
    fn from(number: u8) -> Self {
        match number {
            1 => TableFamily::Inet,
            2 => TableFamily::Ip,
            10 => TableFamily::Ip6,
            other => TableFamily::Other(other),
        }
    }
}

/// A chain of rules, as `nft list chains` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its table's family.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its name there.
    pub name: String,
    /// Whether packets that are passed on come to it by themselves.
    pub is_forward_hook: bool,
    /// The number of its hook, of a chain that packets come to by themselves: NF_INET_* of linux/netfilter.h, of the family
    /// netdev NF_NETDEV_*.
    pub hook: Option<u32>,
    /// What such a chain is for: `filter`, `nat`, `route`; nothing of one that only jumps lead to.
    pub kind: Option<String>,
    /// Which of several at one hook is first: the least.
    pub priority: i32,
    /// Whether it drops what none of its rules has decided about.
    pub drops: bool,
    /// How many rules it has, and others that jump to it.
    pub uses: u32,
}

/// A socket to the netfilter of the network namespace that the thread was in when it was opened. It takes CAP_NET_ADMIN
/// there to ask anything.
#[derive(Debug)]
pub struct Netfilter(Socket);

impl Netfilter {
    /// Opens one; `None` where the kernel has no netfilter to talk to.
    ///
    /// # Errors
    /// `Socket`.
    pub fn open() -> Result<Option<Self>, NetlinkError> {
        or_lacking(Socket::speaking(SockProtocol::NetlinkNetFilter).map(Netfilter))
    }

    /// As [`Socket::netns_cookie`].
    pub fn netns_cookie(&self) -> Option<u64> {
        self.0.netns_cookie()
    }

    /// The socket, for what another file asks of it.
    pub(super) fn socket(&mut self) -> &mut Socket {
        &mut self.0
    }

    /// All chains of all families; `None` where the kernel has no nf_tables.
    ///
    /// # Errors
    /// As [`Socket::links`].
    pub fn chains(&mut self) -> Result<Option<Vec<Chain>>, NetlinkError> {
        or_lacking(self.0.dump(|flags| request("chains", NFT_MSG_GETCHAIN, flags), chain))
    }
}

pub(super) fn request(name: &'static str, kind: u16, flags: u16) -> NetlinkRequest {
    // Of every family.
    request_of(TableFamily::Other(0), name, kind, flags)
}

pub(super) fn request_of(family: TableFamily, name: &'static str, kind: u16, flags: u16) -> NetlinkRequest {
    NetlinkRequest::new(name, NFTABLES << 8 | kind, flags, &[family.number(), 0, 0, 0])
}

/// A kernel without netfilter has no such protocol, and one without nf_tables knows no such subsystem: EINVAL
/// (nfnetlink_rcv_msg in net/netfilter/nfnetlink.c).
pub(super) fn or_lacking<T>(answer: Result<T, NetlinkError>) -> Result<Option<T>, NetlinkError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(NetlinkError::Refused { errno: Errno::EINVAL | Errno::EOPNOTSUPP, .. }) => Ok(None),
        Err(NetlinkError::Socket { source, .. }) if source.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(NetlinkError::Socket { source, .. })
            if source.raw_os_error() == Some(Errno::EPROTONOSUPPORT as i32) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn chain(payload: &[u8]) -> Result<Chain, MalformedMessage> {
    let mut chain = Chain {
        family: family(payload)?,
        table: String::new(),
        name: String::new(),
        is_forward_hook: false,
        hook: None,
        kind: None,
        priority: 0,
        drops: false,
        uses: 0,
    };
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (NFTA_CHAIN_TABLE, name) => chain.table = text(name),
            (NFTA_CHAIN_NAME, name) => chain.name = text(name),
            (NFTA_CHAIN_HOOK, hook) => {
                (chain.hook, chain.priority) = hook_number(hook)?;
                chain.is_forward_hook = chain.hook == Some(FORWARD);
            }
            (NFTA_CHAIN_TYPE, kind) => chain.kind = Some(text(kind)),
            (NFTA_CHAIN_POLICY, policy) => chain.drops = big_endian(policy)? == DROP,
            (NFTA_CHAIN_USE, uses) => chain.uses = big_endian(uses)?,
            _ => {}
        }
    }
    Ok(chain)
}

/// The hook, and the priority there.
fn hook_number(hook: &[u8]) -> Result<(Option<u32>, i32), MalformedMessage> {
    let (mut number, mut priority) = (None, 0);
    for attribute in attributes(hook) {
        match attribute? {
            (NFTA_HOOK_HOOKNUM, value) => number = Some(big_endian(value)?),
            (NFTA_HOOK_PRIORITY, value) => priority = big_endian(value)?.cast_signed(),
            _ => {}
        }
    }
    Ok((number, priority))
}

pub(super) fn family(payload: &[u8]) -> Result<TableFamily, MalformedMessage> {
    payload.first().map(|number| TableFamily::from(*number)).ok_or(MalformedMessage::Short)
}

/// Names in nf_tables are whatever root made them.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}

/// Unlike route netlink, nf_tables has its numbers in the network's byte order.
pub(super) fn big_endian(bytes: &[u8]) -> Result<u32, MalformedMessage> {
    bytes.try_into().map(u32::from_be_bytes).map_err(|_| MalformedMessage::Short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno) -> Result<(), NetlinkError> {
        Err(NetlinkError::Refused { request: "chains", errno, why: None })
    }

    #[test]
    fn a_kernel_without_nf_tables_is_no_error_and_one_that_refuses_is() {
        assert!(matches!(or_lacking(refused(Errno::EINVAL)), Ok(None)));
        let none = NetlinkError::Socket { action: "open a socket", source: Errno::EPROTONOSUPPORT.into() };
        assert!(matches!(or_lacking(Err::<(), _>(none)), Ok(None)));
        assert!(or_lacking(refused(Errno::EPERM)).is_err());
        assert!(matches!(or_lacking(Ok(7)), Ok(Some(7))));
    }

    /// `ip filter FORWARD` with the policy DROP, as Linux 6.18 sends it.
    #[test]
    fn a_chain_says_where_it_hangs_and_what_it_does_with_the_rest() {
        let hook = |request: NetlinkRequest| {
            request.with(1, &2_u32.to_be_bytes()).with(2, &(-100_i32).to_be_bytes())
        };
        let message = NetlinkRequest::new("chain", 0, 0, &[2, 0, 0, 0])
            .with_text(NFTA_CHAIN_TABLE, "filter")
            .with_text(NFTA_CHAIN_NAME, "FORWARD")
            .with_nested(NFTA_CHAIN_HOOK, hook)
            .with_text(NFTA_CHAIN_TYPE, "filter")
            .with(NFTA_CHAIN_POLICY, &0_u32.to_be_bytes())
            .with(NFTA_CHAIN_USE, &7_u32.to_be_bytes())
            .numbered(1);
        let read = chain(&message[16..]).unwrap();
        assert_eq!(
            (read.family, read.table.as_str(), read.name.as_str()),
            (TableFamily::Ip, "filter", "FORWARD")
        );
        assert!(read.is_forward_hook && read.hook == Some(FORWARD) && read.drops);
        assert_eq!((read.uses, read.kind.as_deref(), read.priority), (7, Some("filter"), -100));
        for length in 0..message.len() - 16 {
            let _ = chain(&message[16..16 + length]);
        }
    }
}
