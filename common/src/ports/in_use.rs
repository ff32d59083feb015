//! Which kinds of sockets a namespace has at all: `/proc/net/sockstat` counts them, which costs the kernel less than a walk
//! through its tables. proc_net(5) calls the file `sockstat`; its lines are of net/ipv4/proc.c and net/ipv6/proc.c.

use std::fs::File;
use std::io::{self, Read};

use crate::netlink::SocketKinds;

/// What there is to ask for in the network namespace of this thread. What cannot be counted is asked for.
pub(super) fn socket_kinds() -> SocketKinds {
    let mut buffers = [[0; MOST_BYTES]; 2];
    let [four, six] = &mut buffers;
    let four = counts("/proc/thread-self/net/sockstat", four);
    let six = match counts("/proc/thread-self/net/sockstat6", six) {
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(""),
        read => read,
    };
    match (four, six) {
        (Ok(four), Ok(six)) => counted(four, six),
        _ => SocketKinds::ALL,
    }
}

/// The files have some 200 bytes, and come whole in one read: two files of each namespace are worth the care.
const MOST_BYTES: usize = 4096;

fn counts<'a>(file: &str, buffer: &'a mut [u8; MOST_BYTES]) -> io::Result<&'a str> {
    let length = File::open(file)?.read(buffer)?;
    std::str::from_utf8(&buffer[..length]).map_err(|_| io::ErrorKind::InvalidData.into())
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
