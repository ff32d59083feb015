//! The wire format: messages and attributes, written and read. Pure; reading cannot panic on any input.

use nix::errno::Errno;

/// linux/netlink.h: length, type, flags, sequence number, port.
pub(super) const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// The two bits above are flags: NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// A message that breaks off, or says that it is longer than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A message's length is less than its header's, or more than there is.
    #[error("a message of a wrong length")]
    Message,
    /// An attribute's length is less than its header's, or more than there is.
    #[error("an attribute of a wrong length")]
    Attribute,
    /// A message too short for what it is about.
    #[error("a message that is cut short")]
    Short,
    /// Something must be there, and is not.
    #[error("no {0} in it")]
    Missing(&'static str),
}

/// A question, before it has its sequence number.
#[derive(Debug)]
pub(super) struct Question {
    /// What it asks, for error messages.
    pub(super) name: &'static str,
    bytes: Vec<u8>,
}

impl Question {
    /// `fixed` is the part between the header and the attributes; its length is a multiple of four.
    pub(super) fn new(name: &'static str, kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        Question { name, bytes }
    }

    /// Adds an attribute that holds one number.
    pub(super) fn with_u32(mut self, kind: u16, value: u32) -> Self {
        const LENGTH: u16 = 8;
        self.bytes.extend_from_slice(&LENGTH.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// As it is sent.
    pub(super) fn numbered(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes
    }
}

/// A message of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram; ends after the first malformed one.
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok());
        let whole = whole.filter(|length| *length >= HEADER_BYTES).and_then(|length| rest.get(..length));
        let Some(whole) = whole else {
            rest = &[];
            return Some(Err(Malformed::Message));
        };
        rest = rest.get(aligned(whole.len())..).unwrap_or_default();
        let (kind, flags) = (u16_at(whole, 4).unwrap_or(0), u16_at(whole, 6).unwrap_or(0));
        let sequence = u32_at(whole, 8).unwrap_or(0);
        Some(Ok(Message { kind, flags, sequence, payload: &whole[HEADER_BYTES..] }))
    })
}

/// An attribute: what it is about, and its bytes.
pub(super) type Attribute<'a> = (u16, &'a [u8]);

/// The attributes that follow the fixed part of a message, or fill a nested one; ends after the first malformed one.
pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = u16_at(rest, 0).map(usize::from);
        let whole = whole.filter(|length| *length >= ATTRIBUTE_HEADER_BYTES);
        let Some(whole) = whole.and_then(|length| rest.get(..length)) else {
            rest = &[];
            return Some(Err(Malformed::Attribute));
        };
        rest = rest.get(aligned(whole.len())..).unwrap_or_default();
        let kind = u16_at(whole, 2).unwrap_or(0) & ATTRIBUTE_KIND;
        Some(Ok((kind, &whole[ATTRIBUTE_HEADER_BYTES..])))
    })
}

/// What an NLMSG_ERROR, or the NLMSG_DONE of a dump, says: 0 is no error.
pub(super) fn errno(payload: &[u8]) -> Result<Option<Errno>, Malformed> {
    match u32_at(payload, 0).ok_or(Malformed::Short)?.cast_signed() {
        0 => Ok(None),
        negative => Ok(Some(Errno::from_raw(negative.saturating_neg()))),
    }
}

/// The kernel's reason in words, behind an errno: NLMSGERR_ATTR_MSG. `None` if there is none, or it cannot be read.
pub(super) fn reason(attributes_at: &[u8]) -> Option<String> {
    const MESSAGE: u16 = 1;
    let found = attributes(attributes_at).map_while(Result::ok).find(|(kind, _)| *kind == MESSAGE);
    found
        .map(|(_, text)| String::from_utf8_lossy(until_nul(text)).into_owned())
        .filter(|text| !text.is_empty())
}

/// A C string without its end.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The whole number that an attribute holds.
pub(super) fn number(bytes: &[u8]) -> Result<u32, Malformed> {
    u32_at(bytes, 0).ok_or(Malformed::Short)
}

/// Messages and attributes begin at multiples of four.
const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}
