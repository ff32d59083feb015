//! Which abstract Unix sockets listen and whose they are, as the kernel has it, without a connection:
//! linux/unix_diag.h, linux/sock_diag.h. Only those of the network namespace that we are in.

use nix::sys::socket::SockProtocol;
use nix::unistd::Uid;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, number};
use super::{NetlinkError, Socket};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/tcp.h: the bit of TCP_LISTEN, which sockets of this family have too.
const LISTENING: u32 = 1 << 10;
/// UDIAG_SHOW_NAME and UDIAG_SHOW_UID.
const SHOWN: u32 = 0x1 | 0x40;
/// Any socket: no cookie.
const ANY: [u8; 8] = [0xff; 8];
/// struct unix_diag_msg
const FIXED_BYTES: usize = 16;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_UID: u16 = 7;

/// A socket that listens under an abstract name (unix(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbstractListener {
    /// Its name without the NUL before it: any bytes.
    pub name: Vec<u8>,
    /// The user that made it.
    pub owner: Uid,
}

/// The sockets that listen under abstract names, as far as they are `wanted`: any user may make any number. None below
/// Linux 5.3, which does not tell whose they are.
///
/// # Errors
/// As [`Socket::links`]; without CONFIG_UNIX_DIAG too.
pub fn abstract_listeners(
    wanted: impl Fn(&[u8], Uid) -> bool,
) -> Result<Vec<AbstractListener>, NetlinkError> {
    let mut socket = Socket::speaking(SockProtocol::NetlinkSockDiag)?;
    let kept = |payload: &[u8]| {
        let told = listener(payload)?.filter(|(name, owner)| wanted(name, *owner));
        Ok(told.map(|(name, owner)| AbstractListener { name: name.to_vec(), owner }))
    };
    Ok(socket.dump(request, kept)?.into_iter().flatten().collect())
}

/// The user that made the socket that listens under the abstract `name`, given without the NUL before it. `None` if no
/// socket listens, or the kernel does not tell: below Linux 5.3, and without CONFIG_UNIX_DIAG.
///
/// # Errors
/// As [`Socket::links`].
pub fn owner_of_abstract(name: &[u8]) -> Result<Option<Uid>, NetlinkError> {
    let called_so = abstract_listeners(|listener, _| listener == name)?;
    Ok(called_so.into_iter().next().map(|listener| listener.owner))
}

fn request(flags: u16) -> NetlinkRequest {
    // struct unix_diag_req: family, protocol, padding, states, inode, what to show, cookie.
    let family = u8::try_from(libc::AF_UNIX).unwrap_or_default();
    let numbers = [LISTENING, 0, SHOWN].map(u32::to_ne_bytes).concat();
    let fixed = [&[family, 0, 0, 0], numbers.as_slice(), &ANY].concat();
    NetlinkRequest::new("listening sockets", SOCK_DIAG_BY_FAMILY, flags, &fixed)
}

/// Its name and its owner; `None` for a socket whose name is a file's, or that has no name, or no owner that is told.
fn listener(payload: &[u8]) -> Result<Option<(&[u8], Uid)>, MalformedMessage> {
    let (mut name, mut owner) = (None, None);
    for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
        match attribute? {
            (UNIX_DIAG_NAME, [0, bytes @ ..]) => name = Some(bytes),
            (UNIX_DIAG_UID, bytes) => owner = Some(Uid::from_raw(number(bytes)?)),
            _ => {}
        }
    }
    Ok(name.zip(owner))
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use super::*;

    #[test]
    fn the_kernel_says_whose_socket_it_is() {
        let name = format!("netns-toolbox-{}\nlisten", std::process::id());
        assert_eq!(owner_of_abstract(name.as_bytes()).unwrap(), None);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        assert_eq!(owner_of_abstract(name.as_bytes()).unwrap(), Some(nix::unistd::geteuid()));
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_panic() {
        let whole = NetlinkRequest::new("listener", 0, 0, &[0; FIXED_BYTES])
            .with(UNIX_DIAG_NAME, b"\0web")
            .with_u32(UNIX_DIAG_UID, 1000)
            .numbered(1);
        let whole = &whole[16..];
        assert_eq!(listener(whole).unwrap(), Some((b"web".as_slice(), Uid::from_raw(1000))));
        for length in 0..whole.len() {
            let _ = listener(&whole[..length]);
        }
    }
}
