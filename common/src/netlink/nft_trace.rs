//! Has nf_tables tell which of its rules decide about some packets: a table of our own marks them in the hooks that they come
//! to first, and the kernel says what every rule after that does with them. The table belongs to the socket that made it
//! (NFT_TABLE_F_OWNER, Linux 5.12): it goes with that, also when the process is killed, and nobody else can change it.
//!
//! linux/netfilter/nf_tables.h, enum nft_trace_attributes; net/netfilter/nf_tables_trace.c

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

use super::netfilter::{FIXED_BYTES, big_endian, family, text};
use super::nft_data::NFTA_VERDICT_CODE;
use super::nft_trace_table::{SUBSYSTEM, TracedPackets, orders};
use super::wire::{MalformedMessage, attributes, messages, number};
use super::{Netfilter, NetlinkError, TableFamily};

/// linux/netfilter/nfnetlink.h: NFNLGRP_NFTRACE; group N is bit N-1.
const NFTRACE: u32 = 1 << 8;
/// enum nf_tables_msg_types
const NFT_MSG_TRACE: u16 = 17;
const NFTA_TRACE_TABLE: u16 = 1;
const NFTA_TRACE_CHAIN: u16 = 2;
const NFTA_TRACE_RULE_HANDLE: u16 = 3;
const NFTA_TRACE_VERDICT: u16 = 5;
const NFTA_TRACE_ID: u16 = 6;
const NFTA_TRACE_IIF: u16 = 10;
const NFTA_TRACE_OIF: u16 = 12;
const NFTA_TRACE_POLICY: u16 = 16;
/// A message has the beginnings of three headers.
const MESSAGE_BYTES: usize = 4096;
/// One packet passes some hundred rules; the usual buffer has room for as many messages.
const BUFFER_BYTES: i32 = 4 << 20;

/// Traces packets in one network namespace, until it is dropped.
#[derive(Debug)]
pub struct NftTracer {
    /// Its table is ours as long as this is open.
    _owner: Netfilter,
    listener: OwnedFd,
    table: String,
    names: Vec<&'static str>,
    /// Which packets are which: the kernel's numbers of them.
    traced: Vec<(u32, &'static str)>,
}

/// What a rule, or the policy of a chain, did with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftTraceEvent {
    /// Which of the [`TracedPackets`].
    pub packets: &'static str,
    /// The kernel's number of the packet: the same at each rule in one namespace.
    pub id: u32,
    /// The table's family.
    pub family: TableFamily,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule; nothing of a policy, and of the end of a chain.
    pub handle: Option<u64>,
    /// What was decided.
    pub verdict: NftTraceVerdict,
    /// The indices of the interfaces that it came in by, and is to leave by.
    pub interfaces: (Option<u32>, Option<u32>),
}

/// What is decided about a packet: enum nft_verdicts, and linux/netfilter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NftTraceVerdict {
    /// It is thrown away. A rule that sends an error or a reset back does this, too.
    Drop,
    /// It goes on to the next hook or priority.
    Accept,
    /// A program is given it.
    Queue,
    /// On to another rule.
    GoesOn,
}

impl NftTracer {
    /// Begins to trace, in the network namespace that this thread is in: in tables of IPv4 and IPv6, and of bridges if `bridges`.
    /// `None` where the kernel has no nf_tables. `name` tells its table from others.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with EINVAL or EOPNOTSUPP below Linux 5.12, EPERM without CAP_NET_ADMIN there.
    pub fn arm(name: &str, packets: &[TracedPackets], bridges: bool) -> Result<Option<Self>, NetlinkError> {
        let Some(mut owner) = Netfilter::open()? else { return Ok(None) };
        let listener = listen()?;
        let families: &[u8] = if bridges { &[INET, BRIDGE] } else { &[INET] };
        let orders = orders(families, name, packets);
        owner.socket().change_together(&orders)?;
        let names = packets.iter().map(|packets| packets.name).collect();
        Ok(Some(NftTracer { _owner: owner, listener, table: name.to_owned(), names, traced: Vec::new() }))
    }

    /// Hands over what was decided since.
    ///
    /// # Errors
    /// ENOBUFS if there was more than the kernel keeps.
    pub fn drain(&mut self, mut each: impl FnMut(NftTraceEvent)) -> nix::Result<()> {
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            let length = match recvfrom::<NetlinkAddr>(self.listener.as_raw_fd(), &mut buffer) {
                // Root of a container can send us datagrams too.
                Ok((_, Some(from))) if from.pid() != 0 => continue,
                Ok((length, _)) => length,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            for message in messages(&buffer[..length]).map_while(Result::ok) {
                if message.kind != SUBSYSTEM << 8 | NFT_MSG_TRACE {
                    continue;
                }
                if let Ok(told) = read(message.payload) {
                    self.take(told).into_iter().for_each(&mut each);
                }
            }
        }
    }

    /// What a rule of our own says is which packet it is; packets that it says nothing of are traced by somebody else.
    fn take(&mut self, mut told: NftTraceEvent) -> Option<NftTraceEvent> {
        if told.table == self.table {
            let name = self.names.iter().find(|name| **name == told.chain)?;
            // The number comes from where the packet is in memory: a later one can have it again.
            self.traced.retain(|(id, _)| *id != told.id);
            self.traced.push((told.id, name));
            return None;
        }
        told.packets = self.traced.iter().find(|(id, _)| *id == told.id)?.1;
        Some(told)
    }
}

impl AsFd for NftTracer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// NFPROTO_INET and NFPROTO_BRIDGE.
const INET: u8 = 1;
const BRIDGE: u8 = 7;

fn listen() -> Result<OwnedFd, NetlinkError> {
    let failed = |action| move |errno: Errno| NetlinkError::Socket { action, source: errno.into() };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)
        .map_err(failed("open a socket"))?;
    // Without the right to, it is as large as the system lets it be.
    let _ = crate::sys::set_option(
        fd.as_fd(),
        crate::sys::SocketOption::RCVBUFFORCE,
        &BUFFER_BYTES.to_ne_bytes(),
    );
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, NFTRACE)).map_err(failed("listen to traces"))?;
    Ok(fd)
}

fn read(payload: &[u8]) -> Result<NftTraceEvent, MalformedMessage> {
    let mut event = NftTraceEvent {
        packets: "",
        id: 0,
        family: family(payload)?,
        table: String::new(),
        chain: String::new(),
        handle: None,
        verdict: NftTraceVerdict::GoesOn,
        interfaces: (None, None),
    };
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (NFTA_TRACE_TABLE, name) => event.table = text(name),
            (NFTA_TRACE_CHAIN, name) => event.chain = text(name),
            (NFTA_TRACE_RULE_HANDLE, handle) => {
                event.handle =
                    Some(handle.try_into().map(u64::from_be_bytes).map_err(|_| MalformedMessage::Short)?);
            }
            (NFTA_TRACE_VERDICT, nested) => event.verdict = verdict(nested)?,
            (NFTA_TRACE_POLICY, policy) => event.verdict = decided(big_endian(policy)?.cast_signed()),
            // In the machine's own byte order.
            (NFTA_TRACE_ID, id) => event.id = number(id)?,
            (NFTA_TRACE_IIF, index) => event.interfaces.0 = Some(big_endian(index)?),
            (NFTA_TRACE_OIF, index) => event.interfaces.1 = Some(big_endian(index)?),
            _ => {}
        }
    }
    Ok(event)
}

fn verdict(nested: &[u8]) -> Result<NftTraceVerdict, MalformedMessage> {
    for attribute in attributes(nested) {
        if let (NFTA_VERDICT_CODE, code) = attribute? {
            return Ok(decided(big_endian(code)?.cast_signed()));
        }
    }
    Ok(NftTraceVerdict::GoesOn)
}

/// NF_DROP, NF_ACCEPT and NF_QUEUE with flags above; the others are less than 0, or NF_STOLEN.
fn decided(code: i32) -> NftTraceVerdict {
    match code & 0xff {
        _ if code < 0 => NftTraceVerdict::GoesOn,
        0 => NftTraceVerdict::Drop,
        1 => NftTraceVerdict::Accept,
        3 => NftTraceVerdict::Queue,
        _ => NftTraceVerdict::GoesOn,
    }
}

#[cfg(test)]
mod tests {
    use super::super::NftCondition;
    use super::super::wire::NetlinkRequest;
    use super::*;

    #[test]
    fn a_trace_says_which_rule_and_what_it_did_cut_off_at_each_byte() {
        let message = NetlinkRequest::new("trace", 0, 0, &[2, 0, 0, 0])
            .with(NFTA_TRACE_ID, &7_u32.to_ne_bytes())
            .with_text(NFTA_TRACE_TABLE, "filter")
            .with_text(NFTA_TRACE_CHAIN, "DOCKER-USER")
            .with(NFTA_TRACE_RULE_HANDLE, &5_u64.to_be_bytes())
            .with_nested(NFTA_TRACE_VERDICT, |verdict| verdict.with(NFTA_VERDICT_CODE, &[0; 4]))
            .with(NFTA_TRACE_IIF, &3_u32.to_be_bytes())
            .numbered(1);
        let told = read(&message[16..]).unwrap();
        assert_eq!((told.family, told.id, told.handle), (TableFamily::Ip, 7, Some(5)));
        assert_eq!((told.table.as_str(), told.chain.as_str()), ("filter", "DOCKER-USER"));
        assert_eq!((told.verdict, told.interfaces), (NftTraceVerdict::Drop, (Some(3), None)));
        for length in 16..message.len() {
            let _ = read(&message[16..length]);
        }
        assert_eq!([-1, -3, 1, 0x1_0003, 2].map(decided).map(|verdict| verdict as u8), [3, 3, 1, 2, 3]);
    }

    /// In a network of its own: a rule that drops what is sent to a closed port, traced by it and not by another table.
    #[test]
    fn the_kernel_tells_which_rule_drops_what_it_is_asked_about() {
        let test = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
            let run = |program: &str, words: &[&str]| {
                std::process::Command::new(program).args(words).status().ok().filter(|ended| ended.success())
            };
            run("ip", &["link", "set", "lo", "up"])?;
            run("nft", &["add table ip q; add chain ip q c { type filter hook input priority 0; };"])?;
            run("nft", &["add rule ip q c udp dport 7 counter drop"])?;
            let packets = |name, port: u16| TracedPackets {
                name,
                conditions: vec![
                    NftCondition::Ethertype(0x0800),
                    NftCondition::Protocol(17),
                    NftCondition::Transport { offset: 2, value: port.to_be_bytes().to_vec() },
                ],
            };
            let asked = [packets("seven", 7), packets("eight", 8)];
            let mut tracer = NftTracer::arm("netns-toolbox-test", &asked, true).unwrap()?;
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for port in [7, 8, 9] {
                let _ = socket.send_to(b"x", ("127.0.0.1", port));
            }
            let mut told = Vec::new();
            tracer.drain(|event| told.push(event)).unwrap();
            let listed = || {
                let listed = std::process::Command::new("nft").args(["list", "tables"]).output().unwrap();
                String::from_utf8_lossy(&listed.stdout).contains("netns-toolbox-test")
            };
            let while_armed = listed();
            drop(tracer);
            Some((told, while_armed, listed()))
        };
        // Without nf_tables, or as an ordinary user, there is nothing to ask.
        let Some((told, while_armed, after)) = std::thread::spawn(test).join().unwrap() else { return };
        assert_eq!((while_armed, after), (true, false));
        let drops: Vec<_> = told.iter().filter(|event| event.verdict == NftTraceVerdict::Drop).collect();
        assert_eq!(drops.len(), 1, "{told:?}");
        assert_eq!((drops[0].packets, drops[0].chain.as_str()), ("seven", "c"));
        assert!(drops[0].handle.is_some());
        assert!(told.iter().any(|event| event.packets == "eight"), "{told:?}");
    }
}
