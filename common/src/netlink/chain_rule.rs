//! Whose a rule of nf_tables is, by its comment, and which links it is about. linux/netfilter/nf_tables.h

use super::NetlinkError;
use super::netfilter::{
    FIXED_BYTES, NFT_MSG_GETRULE, NFTA_RULE_CHAIN, NFTA_RULE_TABLE, Netfilter, TableFamily, family, request,
    text,
};
use super::nft_rule::{NFTA_RULE_EXPRESSIONS, NftCompare, NftExpression, expressions};
use super::wire::{MalformedMessage, attributes};

const NFTA_RULE_USERDATA: u16 = 7;
/// enum nft_meta_keys: the index of the link that a packet came from, and of that it goes to.
const IIF: u32 = 4;
const OIF: u32 = 5;
/// libnftnl/udata.h: NFTNL_UDATA_RULE_COMMENT, a C string behind a byte for its kind and one for its length.
const COMMENT: u8 = 0;

/// A rule, as far as its comment tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRule {
    /// Its table's family.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its comment.
    pub comment: Option<String>,
    /// The indices of the links that packets have to come from or go to.
    pub links: Vec<u32>,
}

impl Netfilter {
    /// All rules of all tables of that name.
    ///
    /// # Errors
    /// As [`Socket::links`](super::Socket::links).
    pub fn rules(&mut self, table: &str) -> Result<Vec<ChainRule>, NetlinkError> {
        // Kernels that do not know the filter give all of them.
        let asked = |flags| request("rules", NFT_MSG_GETRULE, flags).with_text(NFTA_RULE_TABLE, table);
        let mut rules = self.socket().dump(asked, rule)?;
        rules.retain(|rule| rule.table == table);
        Ok(rules)
    }
}

fn rule(payload: &[u8]) -> Result<ChainRule, MalformedMessage> {
    let mut rule = ChainRule {
        family: family(payload)?,
        table: String::new(),
        chain: String::new(),
        comment: None,
        links: vec![],
    };
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (NFTA_RULE_TABLE, name) => rule.table = text(name),
            (NFTA_RULE_CHAIN, name) => rule.chain = text(name),
            (NFTA_RULE_USERDATA, data) => rule.comment = comment(data),
            (NFTA_RULE_EXPRESSIONS, list) => rule.links = compared_links(&expressions(list)?),
            _ => {}
        }
    }
    Ok(rule)
}

/// `iif` and `oif` of nft(8): the index is loaded, and then compared.
fn compared_links(expressions: &[NftExpression]) -> Vec<u32> {
    let pairs = expressions.iter().zip(expressions.iter().skip(1));
    let compared = pairs.filter_map(|pair| match pair {
        (
            NftExpression::Meta { key: IIF | OIF, .. },
            NftExpression::Compare { how: NftCompare::Equal, value, .. },
        ) => value.as_slice().try_into().ok().map(u32::from_ne_bytes),
        _ => None,
    });
    compared.collect()
}

fn comment(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *kind == COMMENT {
            return Some(text(value));
        }
        data = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::nft_rule::NftRegister;

    #[test]
    fn a_comment_is_found_behind_whatever_else_is_noted() {
        assert_eq!(comment(&[3, 1, 9, 0, 3, b'a', b'b', 0]).as_deref(), Some("ab"));
        assert_eq!(comment(&[0, 9, b'a']), None);
        assert_eq!(comment(&[1]), None);
        assert_eq!(comment(&[]), None);
    }

    #[test]
    fn a_link_is_one_that_is_compared_by_its_index() {
        let load = |key| NftExpression::Meta { key, to: NftRegister(0) };
        let compare =
            |how, value: &[u8]| NftExpression::Compare { from: NftRegister(0), how, value: value.to_vec() };
        let index = 7_u32.to_ne_bytes();
        let links = |parts: &[NftExpression]| compared_links(parts);
        assert_eq!(links(&[load(IIF), compare(NftCompare::Equal, &index)]), [7]);
        let both =
            [load(IIF), compare(NftCompare::Equal, &index), load(OIF), compare(NftCompare::Equal, &index)];
        assert_eq!(links(&both), [7, 7]);
        assert!(links(&[load(IIF), compare(NftCompare::NotEqual, &index)]).is_empty());
        assert!(links(&[load(3), compare(NftCompare::Equal, &index)]).is_empty());
        assert!(links(&[load(IIF), compare(NftCompare::Equal, b"br1")]).is_empty());
    }
}
