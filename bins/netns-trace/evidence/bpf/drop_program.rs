//! The program that tells of every packet of IP or ARP that the kernel drops: where, why, and in whose call. What the ring has no
//! room for is counted.

use super::assembler::Register::*;
use super::assembler::{Assembler, Condition, KernelFunction, Register, Width};
use super::layout::PacketLayout;

/// What the tracepoint kfree_skb gives: the packet and the function; since Linux 5.17 the reason; since 6.11 the socket that was to
/// receive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DropWords {
    pub(super) has_reason: bool,
    pub(super) has_socket: bool,
}

/// What a program tells: numbers of the machine, at these bytes.
pub(super) mod told {
    pub(in super::super) const AT: usize = 0;
    pub(in super::super) const FUNCTION: usize = 8;
    pub(in super::super) const REASON: usize = 16;
    pub(in super::super) const INDEX: usize = 20;
    pub(in super::super) const NETNS: usize = 24;
    /// The interface of its route: by which it is to leave.
    pub(in super::super) const OUT: usize = 28;
    pub(in super::super) const MARK: usize = 32;
    pub(in super::super) const LENGTH: usize = 36;
    /// As on the wire.
    pub(in super::super) const ETHERTYPE: usize = 40;
    pub(in super::super) const KIND: usize = 42;
    /// The three lowest bits of its flow say its state; [`IS_TRACKED`](super::IS_TRACKED) that there is one.
    pub(in super::super) const FLOW: usize = 43;
    /// The Ethernet header, zeroes where there is none.
    pub(in super::super) const LINK_HEADER: usize = 48;
    pub(in super::super) const HEADERS: usize = 64;
    pub(in super::super) const CALLERS: usize = HEADERS + super::READ as usize;
    pub(in super::super) const BYTES: usize = CALLERS + 8 * super::MOST_CALLERS;
}

/// How much of a packet is read, from its network header on: an IPv6 header, and what tells the ports.
pub(super) const READ: i32 = 64;
/// The bit of [`told::FLOW`] that says that connection tracking knows the packet.
pub(super) const IS_TRACKED: u8 = 8;
/// As many functions as lie between the tracepoint and the hook, and some.
pub(super) const MOST_CALLERS: usize = 12;
/// The stack, from its end downwards.
const TOLD: i16 = -(told::BYTES as i16);
const NUMBER: i16 = TOLD - 8;
/// linux/if_ether.h: ETH_P_IP, ETH_P_IPV6, ETH_P_ARP; ETH_HLEN.
const ETHERTYPES: [u16; 3] = [0x0800, 0x86dd, 0x0806];
const LINK_BYTES: i32 = 14;
/// What the header's place is where there is none.
const NO_HEADER: i32 = 0xffff;

struct DropWriter<'a> {
    code: Assembler,
    layout: &'a PacketLayout,
}

/// The program; it tells through the ring, and adds to the first of the counters what that has no room for.
pub(super) fn drop_program(
    words: DropWords,
    layout: &PacketLayout,
    ring: i32,
    counters: i32,
) -> Option<Vec<[u8; 8]>> {
    let mut writer = DropWriter { code: Assembler::default(), layout };
    writer.write(words, ring, counters);
    writer.code.finish()
}

impl DropWriter<'_> {
    /// R6 = the packet, R7 = the words of the tracepoint.
    fn write(&mut self, words: DropWords, ring: i32, counters: i32) {
        let (is_ours, end) = (self.code.label(), self.code.label());
        self.code.copy(R7, R1);
        self.code.load(Width::Double, R6, R1, 0);
        self.read(R6, self.layout.protocol, NUMBER, 2);
        self.code.load(Width::Half, R8, R10, NUMBER);
        for ethertype in ETHERTYPES {
            self.code.jump_if(R8, Condition::Equal, ethertype.to_be().into(), is_ours);
        }
        self.code.jump(end);
        self.code.place(is_ours);
        for byte in (0..told::BYTES).step_by(8) {
            self.code.store_number(Width::Double, R10, TOLD + byte as i16, 0);
        }
        self.code.store(Width::Half, R10, at(told::ETHERTYPE), R8);
        self.code.load(Width::Double, R3, R7, 8);
        self.code.store(Width::Double, R10, at(told::FUNCTION), R3);
        if words.has_reason {
            self.code.load(Width::Double, R3, R7, 16);
            self.code.store(Width::Word, R10, at(told::REASON), R3);
        }
        self.tell_headers();
        self.tell_places(words.has_socket);
        self.tell_rest();
        self.code.copy(R1, R7);
        self.code.copy(R2, R10);
        self.code.add(R2, at(told::CALLERS).into());
        self.code.set(R3, 8 * MOST_CALLERS as i32);
        self.code.set(R4, 0);
        self.code.call(KernelFunction::Callers);
        self.code.call(KernelFunction::Now);
        self.code.store(Width::Double, R10, at(told::AT), R0);
        self.code.set_map(R1, ring);
        self.code.copy(R2, R10);
        self.code.add(R2, TOLD.into());
        self.code.set(R3, told::BYTES as i32);
        self.code.set(R4, 0);
        self.code.call(KernelFunction::Tell);
        self.code.jump_if(R0, Condition::Equal, 0, end);
        self.code.set_counter(R1, counters, 0);
        self.code.set(R2, 1);
        self.code.add_at(R1, R2);
        self.code.place(end);
        self.code.set(R0, 0);
        self.code.exit();
    }

    /// The bytes of the packet. What cannot be read stays zeroes.
    fn tell_headers(&mut self) {
        let no_link = self.code.label();
        self.read_number(R6, self.layout.head);
        self.read(R6, self.layout.link_header, NUMBER, 2);
        self.code.load(Width::Half, R8, R10, NUMBER);
        self.code.jump_if(R8, Condition::Equal, NO_HEADER, no_link);
        self.code.add_register(R8, R9);
        self.read(R8, 0, at(told::LINK_HEADER), LINK_BYTES);
        self.code.place(no_link);
        self.read(R6, self.layout.network_header, NUMBER, 2);
        self.code.load(Width::Half, R8, R10, NUMBER);
        self.code.add_register(R8, R9);
        self.read(R8, 0, at(told::HEADERS), READ);
    }

    /// The interface that it is at, the one of its route, and a namespace: that of the first of these, or of its socket.
    fn tell_places(&mut self, has_socket: bool) {
        let (no_device, no_route, done) = (self.code.label(), self.code.label(), self.code.label());
        self.read_number(R6, self.layout.device);
        self.code.jump_if(R9, Condition::Equal, 0, no_device);
        self.tell_namespace(told::INDEX);
        self.code.place(no_device);
        self.read_number(R6, self.layout.route);
        // The lowest bit says whether the packet holds the route.
        self.code.and(R9, -2);
        self.code.jump_if(R9, Condition::Equal, 0, no_route);
        self.read_number(R9, self.layout.device_of_route);
        self.code.jump_if(R9, Condition::Equal, 0, no_route);
        self.tell_namespace(told::OUT);
        self.code.place(no_route);
        self.tell_socket(done, |writer| writer.read_number(R6, writer.layout.socket));
        if has_socket {
            self.tell_socket(done, |writer| writer.code.load(Width::Double, R9, R7, 24));
        }
        self.code.place(done);
    }

    /// R9 = an interface: its index, and its namespace if none is known yet.
    fn tell_namespace(&mut self, index: usize) {
        let known = self.code.label();
        self.read(R9, self.layout.index, at(index), 4);
        self.code.load(Width::Word, R8, R10, at(told::NETNS));
        self.code.jump_if(R8, Condition::NotEqual, 0, known);
        self.read_number(R9, self.layout.netns_of_device);
        self.read(R9, self.layout.inode, at(told::NETNS), 4);
        self.code.place(known);
    }

    fn tell_socket(&mut self, done: super::assembler::JumpLabel, load: impl Fn(&mut Self)) {
        let none = self.code.label();
        self.code.load(Width::Word, R8, R10, at(told::NETNS));
        self.code.jump_if(R8, Condition::NotEqual, 0, done);
        load(self);
        self.code.jump_if(R9, Condition::Equal, 0, none);
        self.read_number(R9, self.layout.netns_of_socket);
        self.read(R9, self.layout.inode, at(told::NETNS), 4);
        self.code.place(none);
    }

    fn tell_rest(&mut self) {
        self.read(R6, self.layout.mark, at(told::MARK), 4);
        self.read(R6, self.layout.bytes, at(told::LENGTH), 4);
        let kind = self.layout.kind;
        self.read(R6, kind.offset, NUMBER, 1);
        self.code.load(Width::Byte, R8, R10, NUMBER);
        if let Some((shift, bits)) = kind.bits {
            self.code.shift_right(R8, shift.cast_signed());
            self.code.and(R8, (1 << bits) - 1);
        }
        self.code.store(Width::Byte, R10, at(told::KIND), R8);
        let Some(flow) = self.layout.flow else { return };
        let none = self.code.label();
        self.read_number(R6, flow);
        self.code.copy(R8, R9);
        self.code.and(R8, 7);
        self.code.and(R9, -8);
        self.code.jump_if(R9, Condition::Equal, 0, none);
        self.code.add(R8, IS_TRACKED.into());
        self.code.place(none);
        self.code.store(Width::Byte, R10, at(told::FLOW), R8);
    }

    /// Reads so many bytes after a place in the kernel's memory to one of the stack: zeroes where there is no memory.
    fn read(&mut self, from: Register, offset: u32, to: i16, bytes: i32) {
        self.code.copy(R3, from);
        self.code.add(R3, offset.cast_signed());
        self.code.copy(R1, R10);
        self.code.add(R1, to.into());
        self.code.set(R2, bytes);
        self.code.call(KernelFunction::Read);
    }

    /// R9 = the number at that place, 0 where there is no memory.
    fn read_number(&mut self, from: Register, offset: u32) {
        self.read(from, offset, NUMBER, 8);
        self.code.load(Width::Double, R9, R10, NUMBER);
    }
}

fn at(place: usize) -> i16 {
    TOLD + place as i16
}
