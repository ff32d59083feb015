//! A packet socket on one link, and how it is closed without waiting.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, send, sendmsg, socket, socketpair,
};

use super::error::{PacketError, failed};
use crate::sys;

/// For a socket that only sends: the kernel gives it no copies of frames.
pub(super) const NOTHING: u16 = 0;

/// A packet socket on one link. When it is dropped, it is closed a moment later.
#[derive(Debug)]
pub(in crate::packet) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens it on the link of that index, in the network that this thread is in, for frames of that type. What `prepare`
    /// does is done before the first frame can come.
    pub(super) fn open(
        index: u32,
        ethertype: u16,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<(), PacketError>,
    ) -> Result<Self, PacketError> {
        PacketSocket::of_kind(SockType::Raw, index, ethertype, prepare)
    }

    /// The same for packets from the network header on, whatever the link has in front of it; 0 means all links.
    pub(in crate::packet) fn cooked(
        index: u32,
        ethertype: u16,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<(), PacketError>,
    ) -> Result<Self, PacketError> {
        PacketSocket::of_kind(SockType::Datagram, index, ethertype, prepare)
    }

    fn of_kind(
        kind: SockType,
        index: u32,
        ethertype: u16,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<(), PacketError>,
    ) -> Result<Self, PacketError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, kind, flags, None).map_err(failed("open a socket"))?;
        let opened = PacketSocket(fd);
        prepare(opened.as_fd())?;
        sys::packet_bind(opened.0.as_fd(), index, ethertype).map_err(failed("bind it to the link"))?;
        Ok(opened)
    }

    pub(super) fn send(&self, frame: &[u8]) -> Result<(), PacketError> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).map(drop).map_err(failed("send"))
    }

    /// Closes it without waiting for that. Closing the last descriptor of a packet socket waits for every processor
    /// to have left all network code, 8 to 18 ms (packet_release in net/packet/af_packet.c calls synchronize_net, always).
    ///
    /// So the last one is left to the kernel: in a message that a unix socket was sent, together with that socket itself.
    /// With our descriptors closed it can never be received, and the garbage collector of unix sockets, which each close
    /// of one calls while descriptors are under way, throws it away. Since Linux 6.9, and in later releases of older series,
    /// that is the work of one kernel thread, and closing what was thrown away of another, be we alive or not (unix_gc in
    /// net/unix/garbage.c, delayed_fput in fs/file_table.c). Before, the collector runs in the process that calls it, and we wait
    /// as if we had just closed it.
    fn let_go(&mut self) -> nix::Result<()> {
        let (sender, keeper) =
            socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)?;
        let control = [ControlMessage::ScmRights(&[keeper.as_raw_fd(), self.0.as_raw_fd()])];
        sendmsg::<()>(sender.as_raw_fd(), &[IoSlice::new(b"-")], &control, MsgFlags::MSG_DONTWAIT, None)?;
        // First the packets' socket is closed, here, then the keeper, and when we are dropped the sender: that close calls
        // the collector, and all that it is to find must be garbage by then.
        self.0 = sender;
        Ok(())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        // If anything fails, what is closed now is the socket itself.
        let _ = self.let_go();
    }
}
