//! The monitor of an LXC container, for monitors that lie: takes LXC's requests and says what a test wants.

use std::io::{ErrorKind, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// LXC's numbers for what is asked.
pub(crate) const GET_STATE: i32 = 3;
pub(crate) const GET_INIT_PID: i32 = 4;
pub(crate) const GET_INIT_PIDFD: i32 = 18;

/// And for a container that runs.
pub(crate) const RUNNING: i64 = 2;

/// What it does with one request.
pub(crate) enum Say {
    Bytes(Vec<u8>, Vec<OwnedFd>),
    HangUp,
    Nothing,
}

impl Say {
    /// An answer as it should be, on a machine with pointers of 64 bits.
    pub(crate) fn value(value: i64) -> Say {
        Say::Bytes(message(0, 0, value), vec![])
    }

    pub(crate) fn status(status: i32) -> Say {
        Say::Bytes(message(status, 0, 0), vec![])
    }

    pub(crate) fn descriptor(fd: OwnedFd) -> Say {
        Say::Bytes(message(0, 0, 0), vec![fd])
    }
}

pub(crate) fn message(status: i32, length: i32, value: i64) -> Vec<u8> {
    [&status.to_ne_bytes()[..], &length.to_ne_bytes()[..], &value.to_ne_bytes()[..]].concat()
}

/// A monitor that listens until it is dropped.
pub(crate) struct FakeMonitor {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeMonitor {
    /// Of the container whose directory is `directory`.
    #[track_caller]
    pub(crate) fn listen(directory: &Path, say: impl Fn(i32) -> Say + Send + 'static) -> FakeMonitor {
        let name = directory.join("command");
        let address = SocketAddr::from_abstract_name(name.as_os_str().as_bytes()).unwrap();
        let listener = bind(&address);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = thread::spawn(move || serve(&listener, &say, &is_over));
        FakeMonitor { address, over, thread: Some(thread) }
    }
}

/// The name may still be taken for a moment after its last user has closed it: a child that another test has
/// just forked holds all descriptors until it runs its program.
#[track_caller]
fn bind(address: &SocketAddr) -> UnixListener {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match UnixListener::bind_addr(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < patience => {
                thread::sleep(Duration::from_millis(1));
            }
            result => return result.unwrap(),
        }
    }
}

fn serve(listener: &UnixListener, say: &impl Fn(i32) -> Say, over: &AtomicBool) {
    let mut silent = Vec::new();
    for mut connection in listener.incoming().flatten() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let mut request = [0; 16];
        if connection.read_exact(&mut request).is_err() {
            continue;
        }
        match say(i32::from_ne_bytes([request[0], request[1], request[2], request[3]])) {
            Say::Bytes(bytes, descriptors) => {
                let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
                let beside = [ControlMessage::ScmRights(&raw)];
                let beside = if raw.is_empty() { &[][..] } else { &beside[..] };
                let text = [IoSlice::new(&bytes)];
                let _ = sendmsg::<()>(connection.as_raw_fd(), &text, beside, MsgFlags::MSG_NOSIGNAL, None);
            }
            Say::HangUp => {}
            Say::Nothing => silent.push(connection),
        }
    }
}

impl Drop for FakeMonitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The listening thread sees that it is over when the next one comes.
        let _ = UnixStream::connect_addr(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
