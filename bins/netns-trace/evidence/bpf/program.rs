//! The programs at the tracepoints. Each looks whether a packet is the probe, its answer, or an ICMP error about it, by bytes that
//! NAT and routers do not change; only then it tells of it. Every other packet costs a few loads, and where the kernel cannot cast
//! (before Linux 6.2) two calls that read.
//!
//! Why they are our own: docs/decisions/own-bpf.md.

use common::packet::IpFamily;

use super::assembler::Register::*;
use super::assembler::{Assembler, Condition, JumpLabel, KernelFunction, Register, Width};
use super::layout::{PacketLayout, TypeCast};
use crate::model::{ProbeSignature, SignedContent};

/// Where a program runs, with the words that its tracepoint gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramPlace {
    /// kfree_skb: the packet, the function, and since Linux 5.17 the reason.
    Dropped { has_reason: bool },
    /// net_dev_start_xmit: the packet, the interface.
    Sent,
    /// netif_receive_skb: the packet, which begins with its IP header.
    Received,
}

/// What a program tells: numbers of the machine, at these bytes.
pub(super) mod told {
    pub(in super::super) const AT: usize = 0;
    pub(in super::super) const PACKET_ID: usize = 8;
    pub(in super::super) const FUNCTION: usize = 16;
    pub(in super::super) const REASON: usize = 24;
    pub(in super::super) const INDEX: usize = 28;
    pub(in super::super) const NETNS: usize = 32;
    pub(in super::super) const PLACE: usize = 36;
    pub(in super::super) const PACKET: usize = 37;
    pub(in super::super) const KIND: usize = 38;
    /// The first bytes of the packet, from its IP header on.
    pub(in super::super) const HEADERS: usize = 40;
    pub(in super::super) const BYTES: usize = HEADERS + super::READ as usize;
}

/// How much of a packet is read: an IPv6 header, and sixteen bytes of what follows it.
const READ: i32 = 64;
/// The stack, from its end downwards: what is told; what is read of the packet's description; what an error quotes; a number.
const TOLD: i16 = -(told::BYTES as i16);
const HEADERS: i16 = TOLD + told::HEADERS as i16;
const DESCRIPTION: i16 = TOLD - 64;
const QUOTE: i16 = DESCRIPTION - 16;
const NUMBER: i16 = QUOTE - 8;
/// All that is wanted of a packet's description is nearly always within this.
const MOST_DESCRIPTION: u32 = 64;

/// linux/if_ether.h
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ICMP: i32 = 1;
const TCP: i32 = 6;
const UDP: i32 = 17;
const ICMP6: i32 = 58;
/// A header of IPv4 without options.
const PLAIN_V4: i32 = 0x45;

/// How a packet of one family is laid out.
struct FamilyLayout {
    ethertype: u16,
    protocol_at: i16,
    header_bytes: i16,
    icmp: i32,
    request: i32,
    reply: i32,
    errors: &'static [i32],
}

const V4: FamilyLayout = FamilyLayout {
    ethertype: ETH_P_IP,
    protocol_at: 9,
    header_bytes: 20,
    icmp: ICMP,
    request: 8,
    reply: 0,
    errors: &[3, 4, 5, 11, 12],
};
const V6: FamilyLayout = FamilyLayout {
    ethertype: ETH_P_IPV6,
    protocol_at: 6,
    header_bytes: 40,
    icmp: ICMP6,
    request: 128,
    reply: 129,
    errors: &[1, 2, 3, 4],
};
/// ICMP's own header, before what it quotes.
const ICMP_BYTES: i16 = 8;

struct Writer<'a> {
    code: Assembler,
    layout: &'a PacketLayout,
    family: &'static FamilyLayout,
    content: SignedContent,
    /// Where R8 is which packet it is.
    found: JumpLabel,
    end: JumpLabel,
}

/// The program for a place; it tells through the ring of that descriptor.
pub(super) fn program(
    place: ProgramPlace,
    layout: &PacketLayout,
    signature: &ProbeSignature,
    ring: i32,
) -> Option<Vec<[u8; 8]>> {
    let mut code = Assembler::default();
    let (found, end) = (code.label(), code.label());
    let family = if signature.family() == IpFamily::V4 { &V4 } else { &V6 };
    let mut writer = Writer { code, layout, family, content: signature.content, found, end };
    writer.find_header(place == ProgramPlace::Received);
    writer.recognise();
    writer.tell(place, ring);
    writer.code.finish()
}

impl Writer<'_> {
    /// R6 = the packet, R7 = the words of the tracepoint, R9 = where the IP header is. It ends for a packet of another family.
    fn find_header(&mut self, begins_with_header: bool) {
        let PacketLayout { protocol, network_header, head, data, .. } = *self.layout;
        let start = if begins_with_header { data } else { head };
        self.code.copy(R7, R1);
        self.code.load(Width::Double, R6, R1, 0);
        if let Some(TypeCast { function, packet, .. }) = self.layout.cast {
            self.code.copy(R1, R6);
            self.code.set(R2, packet.cast_signed());
            self.code.call_typed(function);
            self.code.load(Width::Half, R8, R0, protocol as i16);
            self.unless_family();
            self.code.load(Width::Double, R9, R0, start as i16);
            if !begins_with_header {
                self.code.load(Width::Half, R8, R0, network_header as i16);
                self.code.add_register(R9, R8);
            }
            return;
        }
        let members = [protocol, network_header, head, data];
        let first = members.into_iter().min().unwrap_or_default() & !7;
        let last = members.into_iter().max().unwrap_or_default() + 8;
        // They are next to each other in every kernel that has been.
        self.read(R6, first, DESCRIPTION, (last - first).min(MOST_DESCRIPTION).cast_signed());
        let at = |place: u32| DESCRIPTION + (place - first) as i16;
        self.code.load(Width::Half, R8, R10, at(protocol));
        self.unless_family();
        self.code.load(Width::Double, R9, R10, at(start));
        if !begins_with_header {
            self.code.load(Width::Half, R8, R10, at(network_header));
            self.code.add_register(R9, R8);
        }
        self.read_packet();
    }

    fn unless_family(&mut self) {
        self.code.jump_if(R8, Condition::NotEqual, self.family.ethertype.to_be().into(), self.end);
    }

    fn read_packet(&mut self) {
        self.read(R9, 0, HEADERS, READ);
        self.code.jump_if(R0, Condition::NotEqual, 0, self.end);
    }

    /// R8 = what is so many bytes after the beginning of the IP header, which is on the stack if it takes a call to read it.
    fn field(&mut self, width: Width, offset: i16) {
        let Some(TypeCast { function, bytes, .. }) = self.layout.cast else {
            return self.code.load(width, R8, R10, HEADERS + offset);
        };
        self.code.copy(R1, R9);
        self.code.add(R1, i32::from(offset & !7));
        self.code.set(R2, bytes.cast_signed());
        self.code.call_typed(function);
        self.code.load(width, R8, R0, offset & 7);
    }

    /// Reads so many bytes after a place in the kernel's memory to one of the stack.
    fn read(&mut self, from: Register, offset: u32, to: i16, bytes: i32) {
        self.code.copy(R3, from);
        self.code.add(R3, offset.cast_signed());
        self.code.copy(R1, R10);
        self.code.add(R1, to.into());
        self.code.set(R2, bytes);
        self.code.call(KernelFunction::Read);
    }

    /// Ends the program unless the packet is the probe, its answer, or an error about it.
    fn recognise(&mut self) {
        if self.family.header_bytes == V4.header_bytes {
            self.field(Width::Byte, 0);
            self.code.jump_if(R8, Condition::NotEqual, PLAIN_V4, self.end);
            // All but the first fragment have the beginning of nothing.
            self.field(Width::Half, 6);
            self.code.and(R8, 0x1fff_u16.to_be().into());
            self.code.jump_if(R8, Condition::NotEqual, 0, self.end);
        }
        let (icmp, own) = (self.code.label(), self.code.label());
        self.field(Width::Byte, self.family.protocol_at);
        self.code.jump_if(R8, Condition::Equal, self.family.icmp, icmp);
        let protocol = match self.content {
            SignedContent::Echo { .. } => None,
            SignedContent::Syn { .. } => Some(TCP),
            SignedContent::Datagram { .. } => Some(UDP),
        };
        if let Some(protocol) = protocol {
            self.code.jump_if(R8, Condition::Equal, protocol, own);
        }
        self.code.jump(self.end);
        // The kernel refuses a program with instructions that nothing leads to.
        if protocol.is_some() {
            self.code.place(own);
            self.recognise_own();
        }
        self.code.place(icmp);
        self.recognise_icmp();
        self.code.place(self.found);
    }

    /// TCP and UDP.
    fn recognise_own(&mut self) {
        let start = self.family.header_bytes;
        let answer = self.code.label();
        match self.content {
            SignedContent::Echo { .. } => {}
            SignedContent::Syn { sequence } => {
                self.field(Width::Word, start + 8);
                self.code.jump_if_word(R8, Condition::Equal, sequence.wrapping_add(1).to_be(), answer);
                self.field(Width::Word, start + 4);
                self.code.jump_if_word(R8, Condition::NotEqual, sequence.to_be(), self.end);
                self.is(SeenNumber::Request);
            }
            SignedContent::Datagram { source_port, token } => {
                self.field(Width::Half, start + 2);
                self.code.jump_if(R8, Condition::Equal, source_port.to_be().into(), answer);
                self.unless_token(start + 8, token, self.end);
                self.is(SeenNumber::Request);
            }
        }
        self.code.place(answer);
        self.is(SeenNumber::Answer);
    }

    fn recognise_icmp(&mut self) {
        let start = self.family.header_bytes;
        let error = self.code.label();
        self.field(Width::Byte, start);
        if let SignedContent::Echo { token, .. } = self.content {
            let (request, reply) = (self.code.label(), self.code.label());
            self.code.jump_if(R8, Condition::Equal, self.family.request, request);
            self.code.jump_if(R8, Condition::Equal, self.family.reply, reply);
            for kind in self.family.errors {
                self.code.jump_if(R8, Condition::Equal, *kind, error);
            }
            self.code.jump(self.end);
            for (label, number) in [(request, SeenNumber::Request), (reply, SeenNumber::Answer)] {
                self.code.place(label);
                self.unless_token(start + ICMP_BYTES, token, self.end);
                self.is(number);
            }
        } else {
            for kind in self.family.errors {
                self.code.jump_if(R8, Condition::Equal, *kind, error);
            }
            self.code.jump(self.end);
        }
        self.code.place(error);
        self.recognise_quote();
    }

    /// The first bytes of the packet that an ICMP error is about. Routers need not quote more than eight of them behind the IP
    /// header (RFC 792).
    fn recognise_quote(&mut self) {
        let quoted = self.family.header_bytes + ICMP_BYTES;
        let inner = quoted + self.family.header_bytes;
        self.field(Width::Byte, quoted + self.family.protocol_at);
        let protocol = match self.content {
            SignedContent::Echo { .. } => self.family.icmp,
            SignedContent::Syn { .. } => TCP,
            SignedContent::Datagram { .. } => UDP,
        };
        self.code.jump_if(R8, Condition::NotEqual, protocol, self.end);
        self.read(R9, inner.cast_unsigned().into(), QUOTE, 16);
        self.code.jump_if(R0, Condition::NotEqual, 0, self.end);
        let quote = self.code.label();
        match self.content {
            SignedContent::Echo { ident, sequence, token } => {
                let [a, b] = ident.to_be_bytes();
                let [c, d] = sequence.to_be_bytes();
                self.code.load(Width::Word, R8, R10, QUOTE + 4);
                let numbers = u32::from_ne_bytes([a, b, c, d]);
                self.code.jump_if_word(R8, Condition::Equal, numbers, quote);
                self.unless_token_quoted(token);
            }
            SignedContent::Syn { sequence } => {
                self.code.load(Width::Word, R8, R10, QUOTE + 4);
                self.code.jump_if_word(R8, Condition::NotEqual, sequence.to_be(), self.end);
            }
            SignedContent::Datagram { source_port, token } => {
                self.code.load(Width::Half, R8, R10, QUOTE);
                self.code.jump_if(R8, Condition::Equal, source_port.to_be().into(), quote);
                self.unless_token_quoted(token);
            }
        }
        self.code.place(quote);
        self.is(SeenNumber::Error);
    }

    /// Goes to a label unless the token is so many bytes after the beginning of the IP header, a multiple of four.
    fn unless_token(&mut self, at: i16, token: [u8; 8], to: JumpLabel) {
        for (nth, half) in halves(token) {
            self.field(Width::Word, at + nth);
            self.code.jump_if_word(R8, Condition::NotEqual, half, to);
        }
    }

    /// Goes to the end unless the token is in what was read of a quote.
    fn unless_token_quoted(&mut self, token: [u8; 8]) {
        for (nth, half) in halves(token) {
            self.code.load(Width::Word, R8, R10, QUOTE + 8 + nth);
            self.code.jump_if_word(R8, Condition::NotEqual, half, self.end);
        }
    }

    fn is(&mut self, number: SeenNumber) {
        self.code.set(R8, number as i32);
        self.code.jump(self.found);
    }

    /// R8 is which packet it is.
    fn tell(&mut self, place: ProgramPlace, ring: i32) {
        let at = |place: usize| TOLD + place as i16;
        if self.layout.cast.is_some() {
            self.read_packet();
        }
        self.code.store(Width::Double, R10, at(told::PACKET_ID), R6);
        for empty in [told::FUNCTION, told::REASON, told::NETNS] {
            self.code.store_number(Width::Double, R10, at(empty), 0);
        }
        let (number, device) = match place {
            ProgramPlace::Dropped { has_reason } => {
                self.code.load(Width::Double, R3, R7, 8);
                self.code.store(Width::Double, R10, at(told::FUNCTION), R3);
                if has_reason {
                    self.code.load(Width::Double, R3, R7, 16);
                    self.code.store(Width::Word, R10, at(told::REASON), R3);
                }
                (0, None)
            }
            ProgramPlace::Sent => (1, Some(8)),
            ProgramPlace::Received => (2, None),
        };
        self.code.store_number(Width::Byte, R10, at(told::PLACE), number);
        self.code.store(Width::Byte, R10, at(told::PACKET), R8);
        self.tell_interface(device);
        let kind = self.layout.kind;
        self.read(R6, kind.offset, NUMBER, 1);
        self.code.load(Width::Byte, R8, R10, NUMBER);
        if let Some((shift, bits)) = kind.bits {
            self.code.shift_right(R8, shift.cast_signed());
            self.code.and(R8, (1 << bits) - 1);
        }
        self.code.store(Width::Byte, R10, at(told::KIND), R8);
        self.code.call(KernelFunction::Now);
        self.code.store(Width::Double, R10, at(told::AT), R0);
        self.code.set_map(R1, ring);
        self.code.copy(R2, R10);
        self.code.add(R2, TOLD.into());
        self.code.set(R3, told::BYTES as i32);
        self.code.set(R4, 0);
        self.code.call(KernelFunction::Tell);
        self.code.place(self.end);
        self.code.set(R0, 0);
        self.code.exit();
    }

    /// Index and namespace of the interface that the packet is at: the one that the tracepoint names, that of the packet, or that of
    /// its route, which is all that a packet has that is being sent. Without one, the namespace of the socket that sends it.
    fn tell_interface(&mut self, named: Option<i16>) {
        let (index, netns) = (TOLD + told::INDEX as i16, TOLD + told::NETNS as i16);
        let (has_device, has_namespace, done) = (self.code.label(), self.code.label(), self.code.label());
        match named {
            Some(word) => self.code.load(Width::Double, R9, R7, word),
            None => self.read_number(R6, self.layout.device),
        }
        self.code.jump_if(R9, Condition::NotEqual, 0, has_device);
        self.read_number(R6, self.layout.route);
        // The lowest bit says whether the packet holds the route.
        self.code.and(R9, -2);
        self.read_number(R9, self.layout.device_of_route);
        self.code.place(has_device);
        self.read(R9, self.layout.index, index, 4);
        self.read_number(R9, self.layout.netns_of_device);
        self.code.jump_if(R9, Condition::NotEqual, 0, has_namespace);
        self.read_number(R6, self.layout.socket);
        self.read_number(R9, self.layout.netns_of_socket);
        self.code.jump_if(R9, Condition::Equal, 0, done);
        self.code.place(has_namespace);
        self.read(R9, self.layout.inode, netns, 4);
        self.code.place(done);
    }

    /// R9 = the number at that place, 0 where there is no memory.
    fn read_number(&mut self, from: Register, offset: u32) {
        self.read(from, offset, NUMBER, 8);
        self.code.load(Width::Double, R9, R10, NUMBER);
    }
}

/// The token as two numbers, with their places.
fn halves([a, b, c, d, e, f, g, h]: [u8; 8]) -> [(i16, u32); 2] {
    [(0, u32::from_ne_bytes([a, b, c, d])), (4, u32::from_ne_bytes([e, f, g, h]))]
}

/// Which packet a program has recognised.
#[derive(Debug, Clone, Copy)]
pub(super) enum SeenNumber {
    Request = 0,
    Answer = 1,
    Error = 2,
}
