//! The wire format: messages and attributes, written and read. Pure; reading cannot panic on any input.

use std::net::IpAddr;

use nix::errno::Errno;

/// linux/netlink.h: length, type, flags, sequence number, port.
pub(super) const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// The two bits above are flags: NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// A message that breaks off, or says that it is longer than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
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

/// A request or an order, before it has its sequence number.
#[derive(Debug, Clone)]
pub(super) struct NetlinkRequest {
    /// What it asks or orders, for error messages.
    pub(super) name: &'static str,
    bytes: Vec<u8>,
}

impl NetlinkRequest {
    /// `fixed` is the part between the header and the attributes; its length is a multiple of four.
    pub(super) fn new(name: &'static str, kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        NetlinkRequest { name, bytes }
    }

    /// Adds an attribute that holds one number.
    pub(super) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute that holds an address, in the network's byte order as all of them are.
    pub(super) fn with_ip(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.with(kind, &address.octets()),
            IpAddr::V6(address) => self.with(kind, &address.octets()),
        }
    }

    /// Adds an attribute that holds a C string.
    pub(super) fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that holds these bytes. One that is too long for its length field is left out, and the
    /// kernel will say what is missing: no name or address is near that long.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let Ok(length) = u16::try_from(ATTRIBUTE_HEADER_BYTES + value.len()) else { return self };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// Adds an attribute that holds what `inner` adds: attributes, or a fixed part and attributes behind it.
    pub(super) fn with_nested(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        let mut whole = inner(self);
        let length = u16::try_from(whole.bytes.len() - start).unwrap_or(u16::MAX);
        whole.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        whole
    }

    /// Adds bytes as they are: a fixed part inside a nested attribute.
    pub(super) fn with_fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The same, to be acknowledged.
    pub(super) fn acknowledged(mut self) -> Self {
        const ACKNOWLEDGE: u16 = 0x4;
        let flags = u16_at(&self.bytes, 6).unwrap_or_default() | ACKNOWLEDGE;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    /// Whether it asks for a whole table.
    pub(super) fn is_dump(&self) -> bool {
        const DUMP: u16 = 0x300;
        u16_at(&self.bytes, 6).is_some_and(|flags| flags & DUMP == DUMP)
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
pub(super) struct NetlinkMessage<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram; ends after the first malformed one.
pub(super) fn messages(
    mut rest: &[u8],
) -> impl Iterator<Item = Result<NetlinkMessage<'_>, MalformedMessage>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok());
        let whole = whole.filter(|length| *length >= HEADER_BYTES).and_then(|length| rest.get(..length));
        let Some(whole) = whole else {
            rest = &[];
            return Some(Err(MalformedMessage::Message));
        };
        rest = rest.get(aligned(whole.len())..).unwrap_or_default();
        let (kind, flags) = (u16_at(whole, 4).unwrap_or(0), u16_at(whole, 6).unwrap_or(0));
        let sequence = u32_at(whole, 8).unwrap_or(0);
        Some(Ok(NetlinkMessage { kind, flags, sequence, payload: &whole[HEADER_BYTES..] }))
    })
}

/// An attribute: what it is about, and its bytes.
pub(super) type Attribute<'a> = (u16, &'a [u8]);

/// The attributes that follow the fixed part of a message, or fill a nested one; ends after the first malformed one.
pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, MalformedMessage>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = u16_at(rest, 0).map(usize::from);
        let whole = whole.filter(|length| *length >= ATTRIBUTE_HEADER_BYTES);
        let Some(whole) = whole.and_then(|length| rest.get(..length)) else {
            rest = &[];
            return Some(Err(MalformedMessage::Attribute));
        };
        rest = rest.get(aligned(whole.len())..).unwrap_or_default();
        let kind = u16_at(whole, 2).unwrap_or(0) & ATTRIBUTE_KIND;
        Some(Ok((kind, &whole[ATTRIBUTE_HEADER_BYTES..])))
    })
}

/// What an NLMSG_ERROR, or the NLMSG_DONE of a dump, says: 0 is no error.
pub(super) fn errno(payload: &[u8]) -> Result<Option<Errno>, MalformedMessage> {
    match u32_at(payload, 0).ok_or(MalformedMessage::Short)?.cast_signed() {
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
pub(super) fn number(bytes: &[u8]) -> Result<u32, MalformedMessage> {
    u32_at(bytes, 0).ok_or(MalformedMessage::Short)
}

/// The address of that family that an attribute holds; `None` if it is neither IPv4's nor IPv6's.
pub(super) fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        libc::AF_INET6 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

/// AF_INET or AF_INET6, as messages have it.
pub(super) fn family_of(address: IpAddr) -> u8 {
    family_number(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 })
}

/// The same of AF_INET or AF_INET6: 2 and 10 on every Linux.
pub(super) fn family_number(family: i32) -> u8 {
    u8::try_from(family).unwrap_or_default()
}

/// Messages and attributes begin at multiples of four.
const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}
