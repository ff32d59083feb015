//! A packet socket on one link: what is sent and heard there, and how it is let go of.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, send, sendmsg, socket, socketpair,
};

use super::PacketError;
use crate::sys;

/// linux/if_ether.h
pub(super) const ETH_P_ARP: u16 = 0x0806;
pub(super) const ETH_P_IPV6: u16 = 0x86dd;
/// Of a socket that is to hear nothing: the kernel then gives it no copies.
pub(super) const NOTHING: u16 = 0;

/// One that belongs to a link. Dropped, it is closed, if only a moment later.
#[derive(Debug)]
pub(super) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// On the link of that index, in the network that this thread is in, for frames of that type.
    pub(super) fn open(index: u32, ethertype: u16) -> Result<Self, PacketError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd =
            socket(AddressFamily::Packet, SockType::Raw, flags, None).map_err(failed("open a socket"))?;
        let opened = PacketSocket(fd);
        sys::packet_bind(opened.0.as_fd(), index, ethertype).map_err(failed("bind it to the link"))?;
        Ok(opened)
    }

    pub(super) fn send(&self, frame: &[u8]) -> Result<(), PacketError> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).map(drop).map_err(failed("send"))
    }

    /// A frame that is there already.
    fn receive(&self) -> Result<Option<Vec<u8>>, PacketError> {
        let mut frame = vec![0; 2048];
        loop {
            match recv(self.0.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) => {
                    frame.truncate(length);
                    return Ok(Some(frame));
                }
                // Or the link went down, or was deleted: nothing comes from there any more.
                Err(Errno::EAGAIN | Errno::ENETDOWN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed("receive")(errno)),
            }
        }
    }

    /// Closes it without waiting for that. Whoever closes the last descriptor of a packet socket waits for every processor
    /// to have left all network code, 8 to 18 ms (packet_release in net/packet/af_packet.c calls synchronize_net, always).
    ///
    /// So the last one is left to the kernel: in a message that a unix socket was sent, together with that socket itself.
    /// With our descriptors closed nobody can ever receive it, and the garbage collector of unix sockets, which each close
    /// of one calls while descriptors are under way, throws it away. Since Linux 6.9, and in later releases of older series,
    /// that is the work of one kernel thread, and closing what was thrown away of another, be we alive or not (unix_gc in
    /// net/unix/garbage.c, delayed_fput in fs/file_table.c). Before, the collector works for whoever calls it, and we wait
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

impl Drop for PacketSocket {
    fn drop(&mut self) {
        // If anything fails, what is closed now is the socket itself.
        let _ = self.let_go();
    }
}

/// The next frame of any of them; none until then, or until `stop` can be read.
pub(super) fn next(
    sockets: &[PacketSocket],
    until: Instant,
    stop: Option<BorrowedFd<'_>>,
) -> Result<Option<Vec<u8>>, PacketError> {
    loop {
        for socket in sockets {
            if let Some(frame) = socket.receive()? {
                return Ok(Some(frame));
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let timeout = PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        let fds = stop.into_iter().chain(sockets.iter().map(|socket| socket.0.as_fd()));
        let mut waiting: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut waiting, timeout) {
            Ok(_) if stop.is_some() && waiting[0].any() == Some(true) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("wait for an answer")(errno)),
        }
    }
}

fn failed(action: &'static str) -> impl Fn(Errno) -> PacketError {
    move |errno| PacketError { action, source: errno.into() }
}
