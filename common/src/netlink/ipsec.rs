//! What IPsec is set to do in a network: its policies, its states, and what becomes of a packet that no policy is about.
//! NETLINK_XFRM, linux/xfrm.h. ip-xfrm(8)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netfilter::or_lacking;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, u32_at};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const XFRM_MSG_GETSA: u16 = 0x12;
const XFRM_MSG_GETPOLICY: u16 = 0x15;
const XFRM_MSG_GETDEFAULT: u16 = 0x28;
/// struct xfrm_usersa_id, struct xfrm_userpolicy_id, struct xfrm_userpolicy_default.
const STATE_REQUEST_BYTES: usize = 24;
const POLICY_REQUEST_BYTES: usize = 64;
const DEFAULT_BYTES: usize = 4;
/// struct xfrm_userpolicy_info, struct xfrm_user_tmpl, struct xfrm_usersa_info.
const POLICY_BYTES: usize = 168;
const TEMPLATE_BYTES: usize = 64;
const STATE_BYTES: usize = 224;

const XFRMA_TMPL: u16 = 5;
const XFRMA_SEC_CTX: u16 = 8;
const XFRMA_POLICY_TYPE: u16 = 16;
const XFRMA_MARK: u16 = 21;
const XFRMA_IF_ID: u16 = 31;

/// All that IPsec is set to do in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpsecTables {
    /// Its policies.
    pub policies: Vec<IpsecPolicy>,
    /// Its states (security associations).
    pub states: Vec<IpsecState>,
    /// What is blocked where no policy is about it: `ip xfrm policy setdefault`, Linux 5.14.
    pub blocked_by_default: Vec<IpsecDirection>,
}

/// Which packets a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpsecDirection {
    /// Those for the host itself.
    In,
    /// Those of the host itself, and those that pass through it.
    Out,
    /// Those that pass through.
    Forward,
}

/// A policy, as `ip xfrm policy` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsecPolicy {
    /// Which packets.
    pub direction: IpsecDirection,
    /// The source that they must have.
    pub source: Cidr,
    /// The destination that they must have.
    pub destination: Cidr,
    /// The number of the protocol that they must be of; 0 is any.
    pub protocol: u8,
    /// Port and mask; of ICMP the type.
    pub source_port: (u16, u16),
    /// Port and mask; of ICMP the code.
    pub destination_port: (u16, u16),
    /// Of several the least comes first.
    pub priority: u32,
    /// Its number, for `ip xfrm policy delete index`.
    pub index: u32,
    /// Whether it drops them.
    pub blocks: bool,
    /// What is to be made of them, in its order.
    pub templates: Vec<IpsecTemplate>,
    /// Whether it depends on more: a link, a mark, an xfrm interface, a security label.
    pub has_more: bool,
}

/// What a policy wants to be made of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpsecTemplate {
    /// What is done.
    pub transform: IpsecTransform,
    /// Whether packets may go on without it: `level use`.
    pub is_optional: bool,
}

/// What is done to packets, of a template or of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpsecTransform {
    /// The tunnel's source; the unspecified address is any.
    pub source: IpAddr,
    /// The tunnel's destination; the unspecified address is any.
    pub destination: IpAddr,
    /// The number of the protocol: 50 ESP, 51 AH, 108 compression.
    pub protocol: u8,
    /// XFRM_MODE_* of linux/xfrm.h: 0 transport, 1 tunnel.
    pub mode: u8,
    /// The SPI; 0 is any, of a state one that is not negotiated yet.
    pub spi: u32,
    /// The number that templates and states agree in.
    pub request_id: u32,
}

/// A state, as `ip xfrm state` shows it; its keys are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpsecState(pub IpsecTransform);

impl IpsecTables {
    /// Those of the network namespace that this thread is in. It takes CAP_NET_ADMIN there.
    ///
    /// # Errors
    /// As [`Socket::links`]; a kernel without IPsec has none.
    pub fn read() -> Result<Self, NetlinkError> {
        let Some(mut socket) = or_lacking(Socket::to_ipsec())? else { return Ok(Self::default()) };
        let asked = |flags| {
            NetlinkRequest::new("IPsec policies", XFRM_MSG_GETPOLICY, flags, &[0; POLICY_REQUEST_BYTES])
        };
        let policies: Vec<IpsecPolicy> =
            socket.dump(asked, IpsecPolicy::read)?.into_iter().flatten().collect();
        let asked =
            |flags| NetlinkRequest::new("IPsec states", XFRM_MSG_GETSA, flags, &[0; STATE_REQUEST_BYTES]);
        let has_templates = policies.iter().any(|policy| !policy.templates.is_empty());
        let states = if has_templates { socket.dump(asked, IpsecState::read)? } else { Vec::new() };
        let asked = |flags| {
            NetlinkRequest::new("default IPsec policies", XFRM_MSG_GETDEFAULT, flags, &[0; DEFAULT_BYTES])
        };
        // Older kernels do not know the question.
        let blocked_by_default = or_lacking(socket.one(asked, read_default))?.unwrap_or_default();
        Ok(IpsecTables { policies, states, blocked_by_default })
    }

    /// Whether nothing is set, so that all packets pass as they are.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.blocked_by_default.is_empty()
    }
}

impl IpsecDirection {
    /// XFRM_POLICY_*; others are of one socket only.
    fn of(number: u8) -> Option<Self> {
        [IpsecDirection::In, IpsecDirection::Out, IpsecDirection::Forward].get(usize::from(number)).copied()
    }

    /// As ip-xfrm(8) has it.
    pub fn word(self) -> &'static str {
        match self {
            IpsecDirection::In => "in",
            IpsecDirection::Out => "out",
            IpsecDirection::Forward => "fwd",
        }
    }
}

/// struct xfrm_userpolicy_default: in, forward, out; 1 is XFRM_USERPOLICY_BLOCK.
fn read_default(payload: &[u8]) -> Result<Vec<IpsecDirection>, MalformedMessage> {
    const BLOCK: u8 = 1;
    let &[own, forward, out, ..] = payload else { return Err(MalformedMessage::Short) };
    let all = [(own, IpsecDirection::In), (forward, IpsecDirection::Forward), (out, IpsecDirection::Out)];
    Ok(all.into_iter().filter(|(value, _)| *value == BLOCK).map(|(_, direction)| direction).collect())
}

impl IpsecPolicy {
    /// Reads a struct xfrm_userpolicy_info; `None` for one of a single socket, or of another family.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let fixed = payload.get(..POLICY_BYTES).ok_or(MalformedMessage::Short)?;
        let family = half_at(fixed, 40)?;
        let Some(direction) = IpsecDirection::of(fixed[160]) else { return Ok(None) };
        let (Some(destination), Some(source)) = (address(fixed, 0, family), address(fixed, 16, family))
        else {
            return Ok(None);
        };
        let network = |address, prefix_len| Cidr::new(address, prefix_len).ok_or(MalformedMessage::Short);
        let mut policy = IpsecPolicy {
            direction,
            destination: network(destination, fixed[42])?,
            source: network(source, fixed[43])?,
            protocol: fixed[44],
            destination_port: (half_at(fixed, 32)?.to_be(), half_at(fixed, 34)?.to_be()),
            source_port: (half_at(fixed, 36)?.to_be(), half_at(fixed, 38)?.to_be()),
            priority: word_at(fixed, 152)?,
            index: word_at(fixed, 156)?,
            blocks: fixed[161] != 0,
            templates: Vec::new(),
            has_more: word_at(fixed, 48)? != 0,
        };
        for attribute in attributes(&payload[POLICY_BYTES..]) {
            match attribute? {
                (XFRMA_TMPL, value) => {
                    let templates = value.chunks_exact(TEMPLATE_BYTES).map(IpsecTemplate::read);
                    policy.templates = templates.collect::<Result<_, _>>()?;
                }
                // Sub-policies are asked besides the main ones.
                (XFRMA_POLICY_TYPE, value) => policy.has_more |= value.first() != Some(&0),
                (XFRMA_MARK, value) => policy.has_more |= word_at(value, 4)? != 0,
                (XFRMA_IF_ID, value) => policy.has_more |= word_at(value, 0)? != 0,
                (XFRMA_SEC_CTX, _) => policy.has_more = true,
                _ => {}
            }
        }
        Ok(Some(policy))
    }
}

impl IpsecTemplate {
    fn read(bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let family = half_at(bytes, 24)?;
        let any = || {
            if i32::from(family) == libc::AF_INET6 {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            }
        };
        let transform = IpsecTransform {
            destination: address(bytes, 0, family).unwrap_or_else(any),
            source: address(bytes, 28, family).unwrap_or_else(any),
            protocol: byte_at(bytes, 20)?,
            mode: byte_at(bytes, 48)?,
            spi: word_at(bytes, 16)?.to_be(),
            request_id: word_at(bytes, 44)?,
        };
        Ok(IpsecTemplate { transform, is_optional: byte_at(bytes, 50)? != 0 })
    }
}

impl IpsecState {
    /// Reads a struct xfrm_usersa_info.
    pub(super) fn read(payload: &[u8]) -> Result<Self, MalformedMessage> {
        let fixed = payload.get(..STATE_BYTES).ok_or(MalformedMessage::Short)?;
        let family = half_at(fixed, 212)?;
        Ok(IpsecState(IpsecTransform {
            destination: address(fixed, 56, family).ok_or(MalformedMessage::Missing("family"))?,
            source: address(fixed, 80, family).ok_or(MalformedMessage::Missing("family"))?,
            protocol: fixed[76],
            mode: fixed[214],
            spi: word_at(fixed, 72)?.to_be(),
            request_id: word_at(fixed, 208)?,
        }))
    }
}

/// xfrm_address_t: 16 bytes, of which IPv4 uses the first four.
fn address(bytes: &[u8], at: usize, family: u16) -> Option<IpAddr> {
    let bytes = bytes.get(at..at + 16)?;
    match i32::from(family) {
        libc::AF_INET => <[u8; 4]>::try_from(&bytes[..4]).ok().map(IpAddr::from),
        libc::AF_INET6 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn byte_at(bytes: &[u8], at: usize) -> Result<u8, MalformedMessage> {
    bytes.get(at).copied().ok_or(MalformedMessage::Short)
}

fn half_at(bytes: &[u8], at: usize) -> Result<u16, MalformedMessage> {
    let half = bytes.get(at..at + 2).ok_or(MalformedMessage::Short)?;
    Ok(u16::from_ne_bytes([half[0], half[1]]))
}

fn word_at(bytes: &[u8], at: usize) -> Result<u32, MalformedMessage> {
    u32_at(bytes, at).ok_or(MalformedMessage::Short)
}
