//! Rules of nf_tables with their expressions, as far as they decide about addresses and ports: linux/netfilter/nf_tables.h.

use std::collections::HashMap;

use super::netfilter::{
    FIXED_BYTES, NFT_MSG_GETRULE, NFTA_RULE_CHAIN, NFTA_RULE_TABLE, big_endian, family, request, text,
};
use super::nft_data::{NftVerdict, datum};
use super::wire::{MalformedMessage, attributes};
use super::{Netfilter, NetlinkError, TableFamily};

const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;

/// NFT_REG_1 is the first of four registers of 16 bytes, NFT_REG32_00 the first of sixteen of 4 bytes: the same bytes.
const FIRST_WIDE: u32 = 1;
const FIRST_NARROW: u32 = 8;
const LAST_NARROW: u32 = 23;

/// A register, by where it begins among the 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NftRegister(pub u32);

/// A match or a target of xtables, in the layout of its kernel header (linux/netfilter/xt_*.h).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XtPart {
    /// What it is called: `tcp`, `DNAT`.
    pub name: String,
    /// Which layout.
    pub revision: u8,
    /// Its struct.
    pub info: Vec<u8>,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NftCompare {
    /// They are equal.
    Equal,
    /// They are not.
    NotEqual,
    /// By the number of NFT_CMP_LT to NFT_CMP_GTE: less, less or equal, greater, greater or equal.
    Order(u32),
}

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftExpression {
    /// Loads a fact about the packet: the number is one of enum nft_meta_keys.
    Meta {
        /// Which fact.
        key: u32,
        /// To where.
        to: NftRegister,
    },
    /// Loads bytes of the packet.
    Payload {
        /// 1 from its IP header on, 2 from its TCP or UDP header on: enum nft_payload_bases.
        base: u32,
        /// How many bytes after that.
        offset: u32,
        /// How many bytes.
        length: u32,
        /// To where.
        to: NftRegister,
    },
    /// Replaces bytes of the packet.
    Write {
        /// As of [`NftExpression::Payload`].
        base: u32,
        /// How many bytes after that.
        offset: u32,
        /// With what.
        from: NftRegister,
    },
    /// The rule ends unless this is so.
    Compare {
        /// What.
        from: NftRegister,
        /// How.
        how: NftCompare,
        /// With what.
        value: Vec<u8>,
    },
    /// The rule ends unless a value is in a range, or outside of it.
    Range {
        /// What.
        from: NftRegister,
        /// Whether it has to be outside.
        is_outside: bool,
        /// The least in it.
        least: Vec<u8>,
        /// The greatest in it.
        most: Vec<u8>,
    },
    /// Masks a value.
    Mask {
        /// What.
        from: NftRegister,
        /// To where.
        to: NftRegister,
        /// With what.
        mask: Vec<u8>,
    },
    /// Loads a constant.
    Constant {
        /// To where.
        to: NftRegister,
        /// Which.
        value: Vec<u8>,
    },
    /// Decides.
    Verdict(NftVerdict),
    /// Looks a value up in a set or a map; the rule ends where it is not in there.
    Lookup {
        /// Its name in the table of the rule.
        set: String,
        /// What is looked up.
        from: NftRegister,
        /// Where what it stands for goes to; nothing of a plain set.
        to: Option<NftRegister>,
        /// Whether what it stands for is a verdict.
        is_verdict: bool,
        /// Whether the rule ends where it is in there.
        is_inverted: bool,
    },
    /// Loads the type of an address (RTN_LOCAL and so on, of linux/rtnetlink.h).
    AddressType {
        /// Whether of the packet's destination and without regard to interfaces; else something of its source.
        of_destination: bool,
        /// To where.
        to: NftRegister,
    },
    /// Replaces the destination.
    Dnat {
        /// The family of the address: 2 or 10.
        family: u32,
        /// The new address; unchanged without.
        address: Option<NftRegister>,
        /// The new port, or the first of several; unchanged without.
        port: Option<NftRegister>,
        /// The last of several.
        last_port: Option<NftRegister>,
    },
    /// Replaces the destination with the address of the host itself.
    Redirect {
        /// The new port; unchanged without.
        port: Option<NftRegister>,
    },
    /// A match of xtables, as iptables-nft has them.
    XtMatch(XtPart),
    /// A target of xtables.
    XtTarget(XtPart),
    /// Loads what is not known, a calculation or a fact about the flow, to there.
    Calculated(NftRegister),
    /// Has no influence on where the packet goes: counts, logs, marks, is a comment.
    Neutral,
    /// Anything else, by its name: whether a packet comes through is not known.
    Other(String),
}

/// A rule of nf_tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftRule {
    /// Its table's family.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// What names it in there, `# handle 5` in `nft -a`.
    pub handle: u64,
    /// Its parts, in their order.
    pub expressions: Vec<NftExpression>,
}

impl Netfilter {
    /// The rules of one table, in the order in which packets meet them, chain by chain.
    ///
    /// # Errors
    /// As [`Socket::links`](super::Socket::links).
    pub fn table_rules(&mut self, of: TableFamily, table: &str) -> Result<Vec<NftRule>, NetlinkError> {
        // Older kernels give all of them.
        let asked = |flags| request("rules", NFT_MSG_GETRULE, flags).with_text(NFTA_RULE_TABLE, table);
        let wanted = |payload: &[u8]| {
            let rule = rule(payload)?;
            Ok(Some(rule).filter(|rule| rule.family == of && rule.table == table))
        };
        Ok(self.socket().dump(asked, wanted)?.into_iter().flatten().collect())
    }
}

fn rule(payload: &[u8]) -> Result<NftRule, MalformedMessage> {
    let (table, chain) = (String::new(), String::new());
    let mut rule = NftRule { family: family(payload)?, table, chain, handle: 0, expressions: vec![] };
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (NFTA_RULE_TABLE, name) => rule.table = text(name),
            (NFTA_RULE_CHAIN, name) => rule.chain = text(name),
            (NFTA_RULE_HANDLE, handle) => {
                rule.handle =
                    handle.try_into().map(u64::from_be_bytes).map_err(|_| MalformedMessage::Short)?;
            }
            (NFTA_RULE_EXPRESSIONS, list) => rule.expressions = expressions(list)?,
            _ => {}
        }
    }
    Ok(rule)
}

pub(super) fn expressions(list: &[u8]) -> Result<Vec<NftExpression>, MalformedMessage> {
    let mut expressions = Vec::new();
    for element in attributes(list) {
        if let (NFTA_LIST_ELEM, one) = element? {
            expressions.push(expression(one)?);
        }
    }
    Ok(expressions)
}

fn expression(bytes: &[u8]) -> Result<NftExpression, MalformedMessage> {
    let (mut name, mut data) = (String::new(), &[][..]);
    for attribute in attributes(bytes) {
        match attribute? {
            (NFTA_EXPR_NAME, value) => name = text(value),
            (NFTA_EXPR_DATA, value) => data = value,
            _ => {}
        }
    }
    let read = ExpressionData::read(data)?;
    let known = match name.as_str() {
        "meta" => read.meta(),
        "ct" => read.flow(),
        "byteorder" => read.calculated(2),
        "payload" => read.payload(),
        "cmp" => read.compare()?,
        "range" => read.range()?,
        "bitwise" => read.mask()?,
        "immediate" => read.constant()?,
        "lookup" => read.lookup(),
        "fib" => read.address_type(),
        "nat" => read.dnat(),
        "redir" => Some(NftExpression::Redirect { port: read.register(1) }),
        "match" => read.xt_part().map(NftExpression::XtMatch),
        "target" => read.xt_part().map(NftExpression::XtTarget),
        "counter" | "log" | "last" | "notrack" => Some(NftExpression::Neutral),
        _ => None,
    };
    Ok(known.unwrap_or(NftExpression::Other(name)))
}

/// The attributes of an expression, by their numbers: each kind of expression counts its own from 1.
struct ExpressionData<'a>(HashMap<u16, &'a [u8]>);

impl<'a> ExpressionData<'a> {
    fn read(data: &'a [u8]) -> Result<Self, MalformedMessage> {
        Ok(ExpressionData(attributes(data).collect::<Result<_, _>>()?))
    }

    fn number(&self, attribute: u16) -> Option<u32> {
        self.0.get(&attribute).and_then(|value| big_endian(value).ok())
    }

    fn register(&self, attribute: u16) -> Option<NftRegister> {
        match self.number(attribute)? {
            wide @ FIRST_WIDE..FIRST_NARROW => Some(NftRegister((wide - FIRST_WIDE) * 16)),
            narrow @ FIRST_NARROW..=LAST_NARROW => Some(NftRegister((narrow - FIRST_NARROW) * 4)),
            _ => None,
        }
    }

    fn value(&self, attribute: u16) -> Result<Option<Vec<u8>>, MalformedMessage> {
        self.0.get(&attribute).map_or(Ok(None), |data| Ok(datum(data)?.0))
    }

    fn meta(&self) -> Option<NftExpression> {
        // NFTA_META_DREG, KEY, SREG.
        match self.register(1) {
            Some(to) => self.number(2).map(|key| NftExpression::Meta { key, to }),
            None => self.sets_mark(3),
        }
    }

    fn flow(&self) -> Option<NftExpression> {
        self.sets_mark(4).or_else(|| self.calculated(1))
    }

    fn sets_mark(&self, from: u16) -> Option<NftExpression> {
        // NFT_META_MARK, and NFT_CT_MARK.
        self.register(from).filter(|_| self.number(2) == Some(3)).map(|_| NftExpression::Neutral)
    }

    /// What NFTA_*_DREG of that number gets.
    fn calculated(&self, to: u16) -> Option<NftExpression> {
        self.register(to).map(NftExpression::Calculated)
    }

    fn payload(&self) -> Option<NftExpression> {
        // NFTA_PAYLOAD_DREG, BASE, OFFSET, LEN, SREG.
        let (base, offset) = self.number(2).zip(self.number(3))?;
        if let Some(from) = self.register(5) {
            return Some(NftExpression::Write { base, offset, from });
        }
        let to = self.register(1)?;
        self.number(4).map(|length| NftExpression::Payload { base, offset, length, to })
    }

    fn compare(&self) -> Result<Option<NftExpression>, MalformedMessage> {
        // NFTA_CMP_SREG, OP, DATA.
        let how = self.number(2).map(|how| match how {
            0 => NftCompare::Equal,
            1 => NftCompare::NotEqual,
            order => NftCompare::Order(order),
        });
        let all = self.register(1).zip(how).zip(self.value(3)?);
        Ok(all.map(|((from, how), value)| NftExpression::Compare { from, how, value }))
    }

    fn range(&self) -> Result<Option<NftExpression>, MalformedMessage> {
        // NFTA_RANGE_SREG, OP, FROM_DATA, TO_DATA.
        let is_outside = self.number(2) == Some(1);
        let all = self.register(1).zip(self.value(3)?).zip(self.value(4)?);
        Ok(all.map(|((from, least), most)| NftExpression::Range { from, is_outside, least, most }))
    }

    fn mask(&self) -> Result<Option<NftExpression>, MalformedMessage> {
        // NFTA_BITWISE_SREG, DREG, LEN, MASK, XOR, OP: only "and" without a "xor" is a mask.
        let turned = self.value(5)?.is_some_and(|bits| bits.iter().any(|byte| *byte != 0));
        if turned || self.number(6).unwrap_or_default() != 0 {
            return Ok(self.calculated(2));
        }
        let all = self.register(1).zip(self.register(2)).zip(self.value(4)?);
        Ok(all.map(|((from, to), mask)| NftExpression::Mask { from, to, mask }))
    }

    fn constant(&self) -> Result<Option<NftExpression>, MalformedMessage> {
        // NFTA_IMMEDIATE_DREG, DATA.
        let Some(data) = self.0.get(&2) else { return Ok(None) };
        Ok(match datum(data)? {
            (_, Some(verdict)) => Some(NftExpression::Verdict(verdict)),
            (Some(value), None) => self.register(1).map(|to| NftExpression::Constant { to, value }),
            (None, None) => None,
        })
    }

    fn lookup(&self) -> Option<NftExpression> {
        // NFTA_LOOKUP_SET, SREG, DREG, SET_ID, FLAGS. Register 0 is the verdict's.
        let set = text(self.0.get(&1)?);
        let is_inverted = self.number(5).unwrap_or_default() & 1 != 0;
        let (to, is_verdict) = (self.register(3), self.number(3) == Some(0));
        self.register(2).map(|from| NftExpression::Lookup { set, from, to, is_verdict, is_inverted })
    }

    fn address_type(&self) -> Option<NftExpression> {
        // NFTA_FIB_DREG, RESULT (NFT_FIB_RESULT_ADDRTYPE), FLAGS (NFTA_FIB_F_DADDR alone).
        const ADDRESS_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        let to = self.register(1).filter(|_| self.number(2) == Some(ADDRESS_TYPE))?;
        Some(NftExpression::AddressType { of_destination: self.number(3) == Some(OF_DESTINATION), to })
    }

    fn dnat(&self) -> Option<NftExpression> {
        // NFTA_NAT_TYPE (NFT_NAT_DNAT), FAMILY, REG_ADDR_MIN, REG_ADDR_MAX, REG_PROTO_MIN, REG_PROTO_MAX.
        const DNAT: u32 = 1;
        let family = self.number(2).filter(|_| self.number(1) == Some(DNAT))?;
        let (address, port, last_port) = (self.register(3), self.register(5), self.register(6));
        Some(NftExpression::Dnat { family, address, port, last_port })
    }

    fn xt_part(&self) -> Option<XtPart> {
        // NFTA_MATCH_NAME, REV, INFO; the same numbers of a target.
        let revision = u8::try_from(self.number(2).unwrap_or_default()).ok()?;
        Some(XtPart { name: text(self.0.get(&1)?), revision, info: self.0.get(&3)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::nft_data::{NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE};
    use super::super::wire::NetlinkRequest;
    use super::*;

    fn part(
        list: NetlinkRequest,
        name: &str,
        data: impl FnOnce(NetlinkRequest) -> NetlinkRequest,
    ) -> NetlinkRequest {
        list.with_nested(NFTA_LIST_ELEM, |one| {
            one.with_text(NFTA_EXPR_NAME, name).with_nested(NFTA_EXPR_DATA, data)
        })
    }

    fn big(request: NetlinkRequest, kind: u16, value: u32) -> NetlinkRequest {
        request.with(kind, &value.to_be_bytes())
    }

    /// `tcp dport 8080 jump web`, as Linux 6.18 sends it, cut off at each byte.
    #[test]
    fn a_rule_is_read_part_by_part() {
        let parts = |list: NetlinkRequest| {
            let list = part(list, "payload", |data| big(big(big(big(data, 1, 1), 2, 2), 3, 2), 4, 2));
            let list = part(list, "cmp", |data| {
                big(big(data, 1, 1), 2, 0).with_nested(3, |value| value.with(NFTA_DATA_VALUE, &[0x1f, 0x90]))
            });
            let list = part(list, "counter", |data| data.with(1, &[0; 8]));
            part(list, "immediate", |data| {
                big(data, 1, 0).with_nested(2, |value| {
                    value.with_nested(NFTA_DATA_VERDICT, |verdict| {
                        big(verdict, NFTA_VERDICT_CODE, (-3_i32).cast_unsigned()).with_text(2, "web")
                    })
                })
            })
        };
        let message = NetlinkRequest::new("rule", 0, 0, &[2, 0, 0, 0])
            .with_text(NFTA_RULE_TABLE, "nat")
            .with_text(NFTA_RULE_CHAIN, "PREROUTING")
            .with(NFTA_RULE_HANDLE, &7_u64.to_be_bytes())
            .with_nested(NFTA_RULE_EXPRESSIONS, parts)
            .numbered(1);
        let read = rule(&message[16..]).unwrap();
        assert_eq!((read.family, read.chain.as_str(), read.handle), (TableFamily::Ip, "PREROUTING", 7));
        let at = NftRegister(0);
        assert_eq!(
            read.expressions,
            [
                NftExpression::Payload { base: 2, offset: 2, length: 2, to: at },
                NftExpression::Compare { from: at, how: NftCompare::Equal, value: vec![0x1f, 0x90] },
                NftExpression::Neutral,
                NftExpression::Verdict(NftVerdict::Jump("web".to_owned())),
            ]
        );
        for length in 0..message.len() - 16 {
            let _ = rule(&message[16..16 + length]);
        }
    }

    #[test]
    fn wide_and_narrow_registers_are_the_same_bytes() {
        let register = |number: u32| {
            let bytes = number.to_be_bytes();
            ExpressionData(HashMap::from([(1, bytes.as_slice())])).register(1)
        };
        assert_eq!(register(1), register(8));
        assert_eq!((register(2), register(12)), (Some(NftRegister(16)), Some(NftRegister(16))));
        assert_eq!((register(0), register(24)), (None, None));
    }
}
