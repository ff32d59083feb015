//! Which kinds of sockets a namespace has at all: `/proc/net/sockstat` counts them, which costs the kernel less than a walk
//! through its tables. proc_net(5) calls the file `sockstat`; its lines are of net/ipv4/proc.c and net/ipv6/proc.c.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::read;

use crate::netlink::SocketKinds;
use crate::sys;

/// `/proc/thread-self/net` of this thread: its files are of the network namespace that the thread is in when they are opened.
#[derive(Debug)]
pub(super) struct ProcNet(OwnedFd);

/// Each of the files has some hundred bytes, and comes whole in one read: four files of each namespace are worth the care.
const MOST_BYTES: usize = 4096;

impl ProcNet {
    /// # Errors
    /// What open(2) says.
    pub(super) fn open() -> nix::Result<Self> {
        sys::open("/proc/thread-self/net", OFlag::O_PATH | OFlag::O_DIRECTORY).map(ProcNet)
    }

    /// Which kinds of sockets there are to ask for. What cannot be counted is asked for.
    pub(super) fn socket_kinds(&self) -> SocketKinds {
        let mut buffers = [[0; MOST_BYTES]; 2];
        let [four, six] = &mut buffers;
        let four = self.text("sockstat", four);
        let six = match self.text("sockstat6", six) {
            // A kernel without IPv6.
            Err(Errno::ENOENT) => Ok(""),
            read => read,
        };
        match (four, six) {
            (Ok(four), Ok(six)) => counted(four, six),
            _ => SocketKinds::ALL,
        }
    }

    /// Whether the kernel has iptables-legacy.
    pub(super) fn has_legacy(&self, is_six: bool) -> bool {
        sys::open_at(&self.0, names_file(is_six), OFlag::O_PATH).is_ok()
    }

    /// Whether iptables-legacy has a table for NAT. The kernel makes a table when it is first asked for: so one that is not
    /// listed is not asked for.
    pub(super) fn has_legacy_nat(&self, is_six: bool) -> bool {
        let mut buffer = [0; MOST_BYTES];
        self.text(names_file(is_six), &mut buffer).is_ok_and(|names| names.lines().any(|name| name == "nat"))
    }

    /// Whether the kernel has IPVS: it has the file in all namespaces then.
    pub(super) fn has_ipvs(&self) -> bool {
        sys::open_at(&self.0, "ip_vs", OFlag::O_PATH).is_ok()
    }

    fn text<'a>(&self, file: &str, buffer: &'a mut [u8; MOST_BYTES]) -> nix::Result<&'a str> {
        let opened = sys::open_at(&self.0, file, OFlag::O_RDONLY)?;
        let length = read(&opened, buffer)?;
        std::str::from_utf8(&buffer[..length]).map_err(|_| Errno::EILSEQ)
    }
}

fn names_file(is_six: bool) -> &'static str {
    if is_six { "ip6_tables_names" } else { "ip_tables_names" }
}

/// `TCP: inuse 1 orphan 0 …`, `UDP: inuse 0 mem 0`, `TCP6: inuse 0`, `UDP6: inuse 0`.
fn counted(four: &str, six: &str) -> SocketKinds {
    let has = |text: &str, front: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(front));
        let count = line.and_then(|line| line.split_whitespace().next());
        // A line that is not as we know it says nothing against sockets.
        !text.is_empty() && count.is_none_or(|count| count != "0")
    };
    SocketKinds {
        tcp: has(four, "TCP: inuse ") || has(six, "TCP6: inuse "),
        udp4: has(four, "UDP: inuse "),
        udp6: has(six, "UDP6: inuse "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = "sockets: used 5\nTCP: inuse 0 orphan 0 tw 0 alloc 1 mem 0\nUDP: inuse 1 mem 0\n";

    #[test]
    fn only_what_there_is_is_asked_for() {
        let six = "TCP6: inuse 0\nUDP6: inuse 0\nRAW6: inuse 1\n";
        assert_eq!(counted(FOUR, six), SocketKinds { tcp: false, udp4: true, udp6: false });
        let six = six.replace("TCP6: inuse 0", "TCP6: inuse 2");
        assert_eq!(counted(FOUR, &six), SocketKinds { tcp: true, udp4: true, udp6: false });
        assert_eq!(counted(FOUR, ""), SocketKinds { tcp: false, udp4: true, udp6: false });
    }

    #[test]
    fn what_is_not_counted_as_we_know_it_is_asked_for() {
        assert_eq!(counted("TCP: used 0\n", "odd"), SocketKinds::ALL);
    }
}
