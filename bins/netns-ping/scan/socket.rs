//! The socket that a part of a scan goes through: ARP and neighbour discovery on a link, ICMP echo beyond.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use common::failure::Failure;
use common::packet::IpFamily;
use common::packet::icmp::{EchoSocket, IcmpError, TxEvent, describe};
use common::packet::neighbour::{Claim, NeighbourSocket, ProbeSender};
use nix::errno::Errno;

use super::results::ScanResults;
use crate::network::neighbours::NeighbourLink;

/// The number of probes that are for no address of the scan.
pub const NO_ADDRESS: u32 = u32::MAX;

/// How addresses are asked for.
#[derive(Debug)]
pub enum ScanSocket {
    /// Neighbours, on a link.
    Ask(NeighbourSocket, NeighbourLink),
    /// Hosts beyond, each by an echo request; and the number of the address that was asked for last.
    Echo(EchoSocket, u32),
}

/// An answer, before it is known whether anything was asked.
pub struct ScanArrival {
    pub address: IpAddr,
    /// Of an echo reply, its sequence number.
    pub sequence: Option<u16>,
    /// Of a neighbour, what it says.
    pub claim: Option<Claim>,
    /// When it came, by CLOCK_REALTIME.
    pub at: Option<Duration>,
}

impl ScanSocket {
    /// Asks for these addresses, each with its number, or for the first of them. How many were asked for.
    ///
    /// # Errors
    /// When the link is down or gone.
    pub fn send(&mut self, addresses: &[(u32, IpAddr)]) -> Result<usize, Failure> {
        match self {
            ScanSocket::Ask(socket, via) => {
                let requests: Vec<_> = addresses
                    .iter()
                    .map(|(number, address)| (*number, via.sender.request(*address)))
                    .collect();
                match socket.send(&requests) {
                    Ok(count) => Ok(count),
                    Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(0),
                    Err(errno) => Err(not_asked(via, errno)),
                }
            }
            ScanSocket::Echo(socket, last) => {
                let Some((number, address)) = addresses.first() else { return Ok(0) };
                match socket.send(SocketAddr::new(*address, 0), *number as u16, 1) {
                    Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(0),
                    // It counts as sent, and lost: other addresses may have another route.
                    Ok(_) | Err(_) => {
                        *last = *number;
                        Ok(1)
                    }
                }
            }
        }
    }

    /// Asks for addresses of the container's own, so that whoever else has one of them answers. The requests change no
    /// neighbour table: RFC 5227, RFC 4862. Beyond a router nobody is asked.
    pub fn probe(&mut self, own: &[IpAddr]) {
        if let ScanSocket::Ask(socket, via) = self {
            let sender = ProbeSender { mac: via.sender.mac, address: None };
            let requests: Vec<_> = own.iter().map(|address| (NO_ADDRESS, sender.request(*address))).collect();
            // Whether the link is down is found out with the other requests.
            let _ = socket.send(&requests);
        }
    }

    /// Reads all that has come, and then when probes left, of `size` addresses: those that are answered have left by then.
    /// From a link that is down or gone nothing comes any more; what is sent next says so.
    pub fn receive(
        &mut self,
        size: u32,
        results: &mut ScanResults,
        mut left: impl FnMut(u32, Duration),
    ) -> Vec<ScanArrival> {
        let mut arrivals = Vec::new();
        match self {
            ScanSocket::Ask(socket, _) => {
                let _ = socket.receive(|one| match one.claim {
                    Ok(claim) => arrivals.push(ScanArrival {
                        address: claim.address,
                        sequence: None,
                        claim: Some(claim),
                        at: one.at,
                    }),
                    Err(why) => results.invalid(why),
                });
                socket.sent_at(left);
            }
            ScanSocket::Echo(socket, last) => {
                let _ = socket.receive(|one| match one.answer {
                    Ok(answer) => arrivals.push(ScanArrival {
                        address: one.from,
                        sequence: Some(answer.sequence),
                        claim: None,
                        at: one.at,
                    }),
                    Err(_) => results.strays += 1,
                });
                socket.events(|event| match event {
                    TxEvent::Stamp { sequence, at, .. } => {
                        if let Some(number) = number_of(sequence, *last, size) {
                            left(number, at);
                        }
                    }
                    TxEvent::Error { error, .. } => results.error(in_words(&error)),
                    TxEvent::Foreign => {}
                });
            }
        }
        arrivals
    }

    /// Answers that the kernel has thrown away.
    pub fn dropped(&mut self) -> u64 {
        match self {
            ScanSocket::Ask(socket, _) => socket.dropped(),
            ScanSocket::Echo(socket, _) => socket.dropped().into(),
        }
    }

    /// The link, or what stands for it in messages.
    pub fn name(&self) -> &str {
        match self {
            ScanSocket::Ask(_, via) => &via.link,
            ScanSocket::Echo(..) => "DEST",
        }
    }
}

/// The number of the address that was asked for with this sequence number last: numbers are sent in their order, and after
/// the last of `size` again from the first on.
fn number_of(sequence: u16, last: u32, size: u32) -> Option<u32> {
    let before = |last: u32| last.checked_sub(u32::from((last as u16).wrapping_sub(sequence)));
    before(last).or_else(|| before(size.checked_sub(1)?))
}

/// What a router says, or our own kernel.
fn in_words(error: &IcmpError) -> String {
    match error.by {
        Some(by) => {
            let words = describe(IpFamily::of(by), error.kind, error.code, error.info);
            format!("{by} reports: {words}")
        }
        None => std::io::Error::from_raw_os_error(error.errno).to_string(),
    }
}

fn not_asked(via: &NeighbourLink, errno: Errno) -> Failure {
    let what = match errno {
        Errno::ENETDOWN => "the interface went down".to_owned(),
        Errno::ENXIO | Errno::ENODEV => "the interface no longer exists".to_owned(),
        errno => format!("cannot send requests there: {}", std::io::Error::from(errno)),
    };
    Failure::failed(&via.link, what)
}

impl AsFd for ScanSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            ScanSocket::Ask(socket, _) => socket.as_fd(),
            ScanSocket::Echo(socket, _) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_that_of_the_address_that_was_asked_for_last() {
        assert_eq!(number_of(7, 9, 254), Some(7));
        assert_eq!(number_of(250, 3, 254), Some(250), "the round before");
        assert_eq!(number_of(9, 70_000, 100_000), Some(65_545));
        assert_eq!(number_of(300, 3, 254), None);
    }
}
