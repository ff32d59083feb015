//! Rules of policy routing, which say in what order the tables are asked: RTM_GETRULE, RTM_NEWRULE, RTM_DELRULE,
//! linux/fib_rules.h.

use std::fmt;

use nix::errno::Errno;

use super::socket::flag;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, family_of, ip, number, u32_at, until_nul};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
/// struct fib_rule_hdr: family, length of destination and of source, type of service, table, two reserved, action, flags.
const FIXED_BYTES: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_PROTOCOL: u16 = 21;

const FIB_RULE_INVERT: u32 = 2;
/// FR_ACT_TO_TBL
const TO_TABLE: u8 = 1;
/// What the kernel says of a rule that suppresses no route.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

/// A rule, as `ip rule` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The source that packets must have, if it is about some only.
    pub source: Option<Cidr>,
    /// Of several the least comes first; all of IPv4 are apart from those of IPv6.
    pub priority: u32,
    /// Which table is asked.
    pub table: u32,
    /// Whether it is one of IPv4.
    pub is_ipv4: bool,
    /// The destination that packets must have, if it is about some only.
    pub destination: Option<Cidr>,
    /// FR_ACT_*: 1 asks the table, 6 to 8 refuse (linux/fib_rules.h).
    pub action: u8,
    /// What else packets must have.
    pub conditions: RuleConditions,
    /// Whether it depends on more than the destination: a source, a mark, a link, a kind of service.
    pub is_conditional: bool,
    /// Whether this is all there is to it, so that one made of this would be the same.
    pub is_plain: bool,
}

/// What packets must have, besides their addresses, for a rule to be about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleConditions {
    /// The mark, and which of its bits count.
    pub mark: Option<(u32, u32)>,
    /// The link that they came in by; `lo` is what the host itself sends.
    pub inbound: Option<RuleLink>,
    /// The link that their socket is bound to.
    pub outbound: Option<RuleLink>,
    /// Whether the rule is about all packets but those.
    pub is_inverted: bool,
    /// Whether it is about packets that are bound to a VRF, and asks the table of that one.
    pub is_of_vrf: bool,
    /// Whether there is more, such as ports, users, a tunnel.
    pub has_more: bool,
}

/// The name of a link in a rule; it need not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RuleLink([u8; 16]);

impl RuleLink {
    fn read(value: &[u8]) -> Option<Self> {
        let name = until_nul(value);
        let mut bytes = [0; 16];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(RuleLink(bytes))
    }

    /// The name; like all names of links it can hold any bytes.
    pub fn name(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(until_nul(&self.0))
    }
}

impl fmt::Debug for RuleLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

/// A rule that is to be, or to be deleted: packets from `source` are routed by `table`, unless what comes before knows the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRule {
    /// The source that packets must have.
    pub source: Cidr,
    /// Of several the least comes first.
    pub priority: u32,
    /// Which table is asked.
    pub table: u32,
}

impl Rule {
    /// One that asks a table, and depends on nothing but a source.
    pub fn plain(is_ipv4: bool, source: Option<Cidr>, priority: u32, table: u32) -> Self {
        let is_conditional = source.is_some();
        let (action, destination, conditions) = (TO_TABLE, None, RuleConditions::default());
        Rule {
            source,
            priority,
            table,
            is_ipv4,
            destination,
            action,
            conditions,
            is_conditional,
            is_plain: true,
        }
    }

    /// Reads the payload of an RTM_NEWRULE; `None` for one of a family that is neither IPv4 nor IPv6.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let &[family, destination_len, source_len, tos, table, _, _, action, ..] = payload else {
            return Err(MalformedMessage::Short);
        };
        let flags = u32_at(payload, 8).ok_or(MalformedMessage::Short)?;
        if !matches!(i32::from(family), libc::AF_INET | libc::AF_INET6) {
            return Ok(None);
        }
        let mut is_plain = destination_len == 0 && tos == 0 && action == TO_TABLE && flags == 0;
        let (mut is_conditional, mut destination) = (tos != 0 || flags != 0, None);
        let (mut source, mut priority, mut table) = (None, 0, u32::from(table));
        let mut conditions = RuleConditions {
            is_inverted: flags & FIB_RULE_INVERT != 0,
            has_more: tos != 0,
            ..RuleConditions::default()
        };
        let (mut mark, mut mask) = (None, u32::MAX);
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (FRA_SRC, value) => source = ip(family, value),
                (FRA_PRIORITY, value) => priority = number(value)?,
                (FRA_TABLE, value) => table = number(value)?,
                (FRA_SUPPRESS_PREFIXLEN, value) => {
                    let suppresses_nothing = number(value)? == SUPPRESSES_NOTHING;
                    is_plain &= suppresses_nothing;
                    is_conditional |= !suppresses_nothing;
                }
                (FRA_DST, value) => {
                    destination = ip(family, value);
                    is_plain = false;
                }
                // What made it.
                (FRA_PROTOCOL, _) => {}
                (kind, value) => {
                    (is_plain, is_conditional) = (false, true);
                    match kind {
                        FRA_FWMARK => mark = Some(number(value)?),
                        FRA_FWMASK => mask = number(value)?,
                        FRA_IIFNAME => conditions.inbound = RuleLink::read(value),
                        FRA_OIFNAME => conditions.outbound = RuleLink::read(value),
                        FRA_L3MDEV => (conditions.is_of_vrf, conditions.has_more) = (true, true),
                        _ => conditions.has_more = true,
                    }
                }
            }
        }
        conditions.mark = mark.map(|mark| (mark, mask));
        is_conditional |= source.is_some();
        let destination = match destination {
            Some(address) => Some(Cidr::new(address, destination_len).ok_or(MalformedMessage::Short)?),
            None => None,
        };
        let source = match source {
            Some(address) => Some(Cidr::new(address, source_len).ok_or(MalformedMessage::Short)?),
            None => None,
        };
        let is_ipv4 = i32::from(family) == libc::AF_INET;
        Ok(Some(Rule {
            source,
            priority,
            table,
            is_ipv4,
            destination,
            action,
            conditions,
            is_conditional,
            is_plain,
        }))
    }
}

impl NewRule {
    fn request(&self, kind: u16, flags: u16) -> NetlinkRequest {
        let (family, length) = (family_of(self.source.address()), self.source.prefix_len());
        let table = u8::try_from(self.table).unwrap_or(0);
        let fixed = [family, 0, length, 0, table, 0, 0, TO_TABLE, 0, 0, 0, 0];
        NetlinkRequest::new("rule", kind, flags, &fixed)
            .with_ip(FRA_SRC, self.source.address())
            .with_u32(FRA_PRIORITY, self.priority)
            .with_u32(FRA_TABLE, self.table)
    }
}

/// Asks for all rules.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("rules", RTM_GETRULE, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// All IPv4 and IPv6 rules of the namespace; none where the kernel is without CONFIG_FIB_RULES.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn rules(&mut self) -> Result<Vec<Rule>, NetlinkError> {
        match self.dump(request, Rule::read) {
            Ok(rules) => Ok(rules.into_iter().flatten().collect()),
            Err(NetlinkError::Refused { errno: Errno::EOPNOTSUPP, .. }) => Ok(vec![]),
            Err(error) => Err(error),
        }
    }

    /// Makes a rule.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if there is the same one, EOPNOTSUPP where the kernel has one table only.
    pub fn add_rule(&mut self, rule: &NewRule) -> Result<(), NetlinkError> {
        self.change(|flags| rule.request(RTM_NEWRULE, flags | flag::CREATE | flag::EXCLUSIVE))
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`NetlinkError`]: ENOENT if there is none such.
    pub fn delete_rule(&mut self, rule: &NewRule) -> Result<(), NetlinkError> {
        self.change(|flags| rule.request(RTM_DELRULE, flags))
    }
}
