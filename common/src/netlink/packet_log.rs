//! What netfilter logs of packets to programs (NFLOG), and by which the older iptables tells its traces: linux/netfilter/nfnetlink_log.h.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockProtocol, recv};

use super::netfilter::{FIXED_BYTES, big_endian, family, text};
use super::socket::flag;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, messages};
use super::{NetlinkError, Socket, TableFamily};

/// NFNL_SUBSYS_ULOG, with enum nfulnl_msg_types.
const PACKET: u16 = 4 << 8;
const CONFIG: u16 = 4 << 8 | 1;
/// enum nfulnl_attr_config, enum nfulnl_msg_config_cmds
const NFULA_CFG_CMD: u16 = 1;
const NFULNL_CFG_CMD_BIND: u8 = 1;
/// enum nfulnl_attr_type
const NFULA_PACKET_HDR: u16 = 1;
const NFULA_IFINDEX_INDEV: u16 = 4;
const NFULA_IFINDEX_OUTDEV: u16 = 5;
const NFULA_PAYLOAD: u16 = 9;
const NFULA_PREFIX: u16 = 10;
/// A whole packet, and what is said of it.
const MESSAGE_BYTES: usize = 1 << 17;

/// The packets of one group, in the network namespace that the thread was in when it was opened. One program has a group.
#[derive(Debug)]
pub struct PacketLog(Socket);

/// A packet that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedPacket {
    /// What the rule says about it; a trace says which rule that is.
    pub prefix: String,
    /// IPv4's, or IPv6's.
    pub family: TableFamily,
    /// The hook that it is in: NF_INET_* of linux/netfilter.h.
    pub hook: Option<u8>,
    /// The indices of the interfaces that it came in by, and is to leave by.
    pub interfaces: (Option<u32>, Option<u32>),
    /// It, from its IP header on.
    pub packet: Vec<u8>,
}

impl PacketLog {
    /// Begins to listen to a group; `None` where the kernel has no such log.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with EBUSY where another program has it.
    pub fn open(group: u16) -> Result<Option<Self>, NetlinkError> {
        let opened = Socket::speaking(SockProtocol::NetlinkNetFilter).map(PacketLog);
        let Some(mut log) = super::netfilter::or_lacking(opened)? else { return Ok(None) };
        let [high, low] = group.to_be_bytes();
        let bind = |flags| {
            NetlinkRequest::new("listen to a packet log", CONFIG, flags, &[0, 0, high, low])
                .with(NFULA_CFG_CMD, &[NFULNL_CFG_CMD_BIND])
        };
        let bound = log.0.change(|flags| bind(flags | flag::REQUEST));
        Ok(super::netfilter::or_lacking(bound)?.map(|()| log))
    }

    /// Hands over what was logged since.
    ///
    /// # Errors
    /// ENOBUFS if there was more than the kernel keeps.
    pub fn drain(&mut self, mut each: impl FnMut(LoggedPacket)) -> nix::Result<()> {
        let mut buffer = vec![0; MESSAGE_BYTES];
        loop {
            let length = match recv(self.0.as_fd().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            let all = messages(&buffer[..length]).map_while(Result::ok);
            let logged = all.filter(|message| message.kind == PACKET);
            logged.filter_map(|message| read(message.payload).ok()).for_each(&mut each);
        }
    }
}

impl AsFd for PacketLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn read(payload: &[u8]) -> Result<LoggedPacket, MalformedMessage> {
    let mut logged = LoggedPacket {
        prefix: String::new(),
        family: family(payload)?,
        hook: None,
        interfaces: (None, None),
        packet: Vec::new(),
    };
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (NFULA_PREFIX, prefix) => logged.prefix = text(prefix),
            // struct nfulnl_msg_packet_hdr: two bytes of what the frame holds, then the hook.
            (NFULA_PACKET_HDR, header) => logged.hook = header.get(2).copied(),
            (NFULA_IFINDEX_INDEV, index) => logged.interfaces.0 = Some(big_endian(index)?),
            (NFULA_IFINDEX_OUTDEV, index) => logged.interfaces.1 = Some(big_endian(index)?),
            (NFULA_PAYLOAD, packet) => logged.packet = packet.to_vec(),
            _ => {}
        }
    }
    Ok(logged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_packet_has_its_prefix_its_hook_and_its_bytes_cut_off_at_each_byte() {
        let message = NetlinkRequest::new("packet", PACKET, 0, &[2, 0, 0, 0])
            .with(NFULA_PACKET_HDR, &[8, 0, 2, 0])
            .with(NFULA_IFINDEX_INDEV, &7_u32.to_be_bytes())
            .with_text(NFULA_PREFIX, "TRACE: filter:FORWARD:rule:1 ")
            .with(NFULA_PAYLOAD, &[0x45, 0, 0, 20])
            .numbered(1);
        let logged = read(&message[16..]).unwrap();
        assert_eq!((logged.family, logged.hook), (TableFamily::Ip, Some(2)));
        assert_eq!(logged.prefix, "TRACE: filter:FORWARD:rule:1 ");
        assert_eq!((logged.interfaces, logged.packet.len()), ((Some(7), None), 4));
        for length in 16..message.len() {
            let _ = read(&message[16..length]);
        }
    }
}
