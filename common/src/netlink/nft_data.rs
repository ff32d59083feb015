//! The values in rules and sets of nf_tables: bytes, or a verdict. linux/netfilter/nf_tables.h, enum nft_data_attributes.

use super::netfilter::{big_endian, text};
use super::wire::{MalformedMessage, attributes};

pub(super) const NFTA_DATA_VALUE: u16 = 1;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;
pub(super) const NFTA_VERDICT_CODE: u16 = 1;
pub(super) const NFTA_VERDICT_CHAIN: u16 = 2;

/// What a rule, or an element of a map, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftVerdict {
    /// The packet goes through this chain, and comes back.
    Jump(String),
    /// The packet goes through this chain, and does not come back.
    Goto(String),
    /// Back to the chain that jumped here.
    Return,
    /// The packet passes this chain.
    Accept,
    /// The packet goes no further.
    Drop,
    /// A program is given the packet.
    Queue,
    /// On to the next rule.
    Continue,
}

/// What a nested attribute of struct nft_data holds: bytes, or a verdict.
pub(super) fn datum(data: &[u8]) -> Result<(Option<Vec<u8>>, Option<NftVerdict>), MalformedMessage> {
    for attribute in attributes(data) {
        match attribute? {
            (NFTA_DATA_VALUE, value) => return Ok((Some(value.to_vec()), None)),
            (NFTA_DATA_VERDICT, nested) => return Ok((None, Some(verdict(nested)?))),
            _ => {}
        }
    }
    Ok((None, None))
}

fn verdict(nested: &[u8]) -> Result<NftVerdict, MalformedMessage> {
    let (mut code, mut chain) = (0, String::new());
    for attribute in attributes(nested) {
        match attribute? {
            (NFTA_VERDICT_CODE, value) => code = big_endian(value)?.cast_signed(),
            (NFTA_VERDICT_CHAIN, name) => chain = text(name),
            _ => {}
        }
    }
    // enum nft_verdicts
    Ok(match code {
        -1 | -2 => NftVerdict::Continue,
        -3 => NftVerdict::Jump(chain),
        -4 => NftVerdict::Goto(chain),
        -5 => NftVerdict::Return,
        // linux/netfilter.h: NF_DROP, NF_ACCEPT; NF_QUEUE has a number in its upper half.
        0 => NftVerdict::Drop,
        1 => NftVerdict::Accept,
        _ => NftVerdict::Queue,
    })
}
