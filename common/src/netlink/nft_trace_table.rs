//! The table that marks packets which are to be traced: linux/netfilter/nf_tables.h.

use super::TableFamily;
use super::netfilter::{
    NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE,
    NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY, NFTA_RULE_CHAIN, NFTA_RULE_TABLE, request_of,
};
use super::nft_data::{NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE};
use super::nft_rule::{NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM, NFTA_RULE_EXPRESSIONS};
use super::socket::flag;
use super::wire::NetlinkRequest;

/// linux/netfilter/nfnetlink.h: NFNL_MSG_BATCH_BEGIN and END.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// NFNL_SUBSYS_NFTABLES
pub(super) const SUBSYSTEM: u16 = 10;
/// enum nf_tables_msg_types
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
/// linux/netlink.h
const NLM_F_APPEND: u16 = 0x800;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_OWNER: u32 = 2;
/// NF_INET_PRE_ROUTING and NF_INET_LOCAL_OUT, as a bridge has them, too; before all that others hang there.
const HOOKS: [(&str, u32); 2] = [("in", 0), ("out", 3)];
const PRIORITY: i32 = -450;
const ACCEPT: u32 = 1;
/// enum nft_registers, enum nft_verdicts, enum nft_meta_keys, enum nft_payload_bases.
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const JUMP: i32 = -3;
const META_PROTOCOL: u32 = 1;
const META_NFTRACE: u32 = 12;
const META_L4PROTO: u32 = 16;
const TRANSPORT_HEADER: u32 = 2;

/// One thing that has to be so of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftCondition {
    /// What the frame says that it holds: `ETH_P_IP`.
    Ethertype(u16),
    /// The protocol above IP.
    Protocol(u8),
    /// Bytes after the beginning of that protocol's header; at most 16.
    Transport {
        /// How many bytes after it.
        offset: u32,
        /// What is there.
        value: Vec<u8>,
    },
}

/// Packets that are to be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedPackets {
    /// What they are called in [`NftTraceEvent::packets`](super::NftTraceEvent::packets); also a chain's name, so a word.
    pub name: &'static str,
    /// All that has to be so of one.
    pub conditions: Vec<NftCondition>,
}

/// The orders that make such a table in each of these families, all or none.
pub(super) fn orders(families: &[u8], name: &str, packets: &[TracedPackets]) -> Vec<NetlinkRequest> {
    let mut orders = vec![batch(BATCH_BEGIN)];
    for family in families {
        orders.extend(table(TableFamily::from(*family), name, packets));
    }
    if let Some(last) = orders.pop() {
        orders.push(last.acknowledged());
    }
    orders.push(batch(BATCH_END));
    orders
}

fn batch(kind: u16) -> NetlinkRequest {
    // struct nfgenmsg: the number is the subsystem, in the network's byte order.
    let [high, low] = SUBSYSTEM.to_be_bytes();
    NetlinkRequest::new("trace packets", kind, flag::REQUEST, &[0, 0, high, low])
}

fn order(family: TableFamily, kind: u16, flags: u16) -> NetlinkRequest {
    request_of(family, "trace packets", kind, flag::REQUEST | flag::CREATE | flags)
}

/// The table with a chain for each kind of packet, which marks it, and the rules in the hooks that jump there.
fn table(family: TableFamily, name: &str, packets: &[TracedPackets]) -> Vec<NetlinkRequest> {
    let big = |value: u32| value.to_be_bytes();
    let mut orders = vec![
        order(family, NFT_MSG_NEWTABLE, 0)
            .with_text(NFTA_TABLE_NAME, name)
            .with(NFTA_TABLE_FLAGS, &big(NFT_TABLE_F_OWNER)),
    ];
    let chain = |called: &str| {
        order(family, NFT_MSG_NEWCHAIN, 0)
            .with_text(NFTA_CHAIN_TABLE, name)
            .with_text(NFTA_CHAIN_NAME, called)
    };
    let rule = |chain: &str, parts: &dyn Fn(NetlinkRequest) -> NetlinkRequest| {
        order(family, NFT_MSG_NEWRULE, NLM_F_APPEND)
            .with_text(NFTA_RULE_TABLE, name)
            .with_text(NFTA_RULE_CHAIN, chain)
            .with_nested(NFTA_RULE_EXPRESSIONS, parts)
    };
    for packets in packets {
        orders.push(chain(packets.name));
        orders.push(rule(packets.name, &|list| mark(list)));
    }
    for (called, hook) in HOOKS {
        let place = |request: NetlinkRequest| {
            let priority = PRIORITY.to_be_bytes();
            request.with(NFTA_HOOK_HOOKNUM, &big(hook)).with(NFTA_HOOK_PRIORITY, &priority)
        };
        let base = chain(called).with_nested(NFTA_CHAIN_HOOK, place);
        orders.push(base.with_text(NFTA_CHAIN_TYPE, "filter").with(NFTA_CHAIN_POLICY, &big(ACCEPT)));
        for packets in packets {
            orders.push(rule(called, &|list| {
                let list = packets.conditions.iter().fold(list, condition);
                jump(list, packets.name)
            }));
        }
    }
    orders
}

fn expression(
    list: NetlinkRequest,
    name: &str,
    data: impl FnOnce(NetlinkRequest) -> NetlinkRequest,
) -> NetlinkRequest {
    list.with_nested(NFTA_LIST_ELEM, |one| {
        one.with_text(NFTA_EXPR_NAME, name).with_nested(NFTA_EXPR_DATA, data)
    })
}

fn big(request: NetlinkRequest, attribute: u16, value: u32) -> NetlinkRequest {
    request.with(attribute, &value.to_be_bytes())
}

fn condition(list: NetlinkRequest, condition: &NftCondition) -> NetlinkRequest {
    // NFTA_META_DREG, NFTA_META_KEY.
    let meta = |list, key| expression(list, "meta", |data| big(big(data, 1, REGISTER), 2, key));
    match condition {
        NftCondition::Ethertype(kind) => equals(meta(list, META_PROTOCOL), &kind.to_be_bytes()),
        NftCondition::Protocol(number) => equals(meta(list, META_L4PROTO), &[*number]),
        NftCondition::Transport { offset, value } => {
            let length = u32::try_from(value.len()).unwrap_or_default();
            // NFTA_PAYLOAD_DREG, BASE, OFFSET, LEN.
            let loaded = expression(list, "payload", |data| {
                big(big(big(big(data, 1, REGISTER), 2, TRANSPORT_HEADER), 3, *offset), 4, length)
            });
            equals(loaded, value)
        }
    }
}

fn equals(list: NetlinkRequest, value: &[u8]) -> NetlinkRequest {
    // NFTA_CMP_SREG, OP (NFT_CMP_EQ), DATA.
    expression(list, "cmp", |data| {
        big(big(data, 1, REGISTER), 2, 0).with_nested(3, |datum| datum.with(NFTA_DATA_VALUE, value))
    })
}

fn jump(list: NetlinkRequest, to: &str) -> NetlinkRequest {
    // NFTA_IMMEDIATE_DREG, DATA.
    expression(list, "immediate", |data| {
        big(data, 1, VERDICT_REGISTER).with_nested(2, |datum| {
            datum.with_nested(NFTA_DATA_VERDICT, |verdict| {
                big(verdict, NFTA_VERDICT_CODE, JUMP.cast_unsigned()).with_text(NFTA_VERDICT_CHAIN, to)
            })
        })
    })
}

fn mark(list: NetlinkRequest) -> NetlinkRequest {
    let list = expression(list, "immediate", |data| {
        big(data, 1, REGISTER).with_nested(2, |datum| datum.with(NFTA_DATA_VALUE, &[1]))
    });
    // NFTA_META_KEY, NFTA_META_SREG.
    expression(list, "meta", |data| big(big(data, 2, META_NFTRACE), 3, REGISTER))
}
