//! What a set or a map of nf_tables has in it: NFT_MSG_GETSETELEM, linux/netfilter/nf_tables.h.

use super::netfilter::{FIXED_BYTES, request_of};
use super::nft_data::datum;
use super::wire::{MalformedMessage, attributes};
use super::{Netfilter, NetlinkError, NftVerdict, TableFamily};

const NFT_MSG_GETSET: u16 = 10;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
/// enum nft_set_flags
const NFT_SET_INTERVAL: u32 = 4;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
/// What has it is no element, but the first key after an interval.
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
/// What takes all that nothing else does.
const NFT_SET_ELEM_CATCHALL: u32 = 2;

/// An element of a set, or of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftElement {
    /// Its key, or the first of an interval; nothing of the one for all other keys.
    pub key: Option<Vec<u8>>,
    /// The last key of an interval of several fields.
    pub last: Option<Vec<u8>>,
    /// Whether the key is the first that is in the interval before no more.
    pub is_end: bool,
    /// What it stands for in a map.
    pub value: Option<Vec<u8>>,
    /// The same, where that is a verdict.
    pub verdict: Option<NftVerdict>,
}

impl Netfilter {
    /// Whether a set or map has intervals, where one key stands for all up to the next one that ends it.
    ///
    /// # Errors
    /// As [`Socket::links`](super::Socket::links); that there is none of that name, too.
    pub fn has_intervals(
        &mut self,
        family: TableFamily,
        table: &str,
        set: &str,
    ) -> Result<bool, NetlinkError> {
        let asked = |flags| {
            request_of(family, "a set", NFT_MSG_GETSET, flags)
                .with_text(NFTA_SET_TABLE, table)
                .with_text(NFTA_SET_NAME, set)
        };
        let found = self.socket().one(asked, set_flags)?;
        Ok(found & NFT_SET_INTERVAL != 0)
    }

    /// The elements of a set or map; none where there is none of that name.
    ///
    /// # Errors
    /// As [`Socket::links`](super::Socket::links).
    pub fn elements(
        &mut self,
        family: TableFamily,
        table: &str,
        set: &str,
    ) -> Result<Vec<NftElement>, NetlinkError> {
        let asked = |flags| {
            request_of(family, "elements of a set", NFT_MSG_GETSETELEM, flags)
                .with_text(NFTA_SET_ELEM_LIST_TABLE, table)
                .with_text(NFTA_SET_ELEM_LIST_SET, set)
        };
        let lists = self.socket().dump(asked, elements)?;
        Ok(lists.into_iter().flatten().collect())
    }
}

fn set_flags(payload: &[u8]) -> Result<u32, MalformedMessage> {
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        if let (NFTA_SET_FLAGS, flags) = attribute? {
            return super::netfilter::big_endian(flags);
        }
    }
    Ok(0)
}

fn elements(payload: &[u8]) -> Result<Vec<NftElement>, MalformedMessage> {
    let mut found = Vec::new();
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        let (NFTA_SET_ELEM_LIST_ELEMENTS, list) = attribute? else { continue };
        for one in attributes(list) {
            if let (NFTA_LIST_ELEM, one) = one? {
                found.push(element(one)?);
            }
        }
    }
    Ok(found)
}

fn element(bytes: &[u8]) -> Result<NftElement, MalformedMessage> {
    let mut element = NftElement { key: None, last: None, is_end: false, value: None, verdict: None };
    for attribute in attributes(bytes) {
        match attribute? {
            (NFTA_SET_ELEM_KEY, key) => element.key = datum(key)?.0,
            (NFTA_SET_ELEM_KEY_END, key) => element.last = datum(key)?.0,
            (NFTA_SET_ELEM_DATA, data) => (element.value, element.verdict) = datum(data)?,
            (NFTA_SET_ELEM_FLAGS, flags) => {
                let flags = super::netfilter::big_endian(flags)?;
                element.is_end = flags & NFT_SET_ELEM_INTERVAL_END != 0;
                if flags & NFT_SET_ELEM_CATCHALL != 0 {
                    element.key = None;
                }
            }
            _ => {}
        }
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::super::nft_data::NFTA_DATA_VALUE;
    use super::super::wire::NetlinkRequest;
    use super::*;

    #[test]
    fn the_elements_of_a_map_are_read_and_one_that_breaks_off_is_no_panic() {
        let datum = |request: NetlinkRequest, kind, bytes: &[u8]| {
            request.with_nested(kind, |datum| datum.with(NFTA_DATA_VALUE, bytes))
        };
        let message = NetlinkRequest::new("elements", 0, 0, &[2, 0, 0, 0])
            .with_nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                let list = list.with_nested(NFTA_LIST_ELEM, |one| {
                    datum(datum(one, NFTA_SET_ELEM_KEY, &[0, 80]), NFTA_SET_ELEM_DATA, &[10, 0, 0, 2])
                });
                list.with_nested(NFTA_LIST_ELEM, |one| {
                    datum(one, NFTA_SET_ELEM_KEY, &[0, 81]).with(NFTA_SET_ELEM_FLAGS, &1_u32.to_be_bytes())
                })
            })
            .numbered(1);
        let read = elements(&message[16..]).unwrap();
        assert_eq!(
            (read[0].key.as_deref(), read[0].value.as_deref()),
            (Some(&[0, 80][..]), Some(&[10, 0, 0, 2][..]))
        );
        assert!(!read[0].is_end && read[1].is_end);
        for length in 0..message.len() - 16 {
            let _ = elements(&message[16..16 + length]);
        }
    }
}
