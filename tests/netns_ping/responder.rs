//! A host that answers as the test wants: this test program once more, in the network that it is to answer in, through
//! a packet socket. The kernel there says nothing to echo requests, or to ARP.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use common::sys::{packet_bind, send_many};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use crate::Cable;
use support::container::Container;
use support::lab::Lab;
use support::run::{Run, RunningProgram};

const ROLE: &str = "NETNS_TOOLBOX_RESPONDER";

/// Starts it in the network of `db`, on its eth0.
#[track_caller]
pub(super) fn start(cable: &Cable, role: &str) -> RunningProgram {
    start_in(&cable.lab, &cable.db, role)
}

/// Starts it in the network of another container.
#[track_caller]
pub(super) fn start_in(lab: &Lab, container: &Container, role: &str) -> RunningProgram {
    let quiet = match role {
        "late-arp" | "ceaseless-arp" => "echo 8 >/proc/sys/net/ipv4/conf/all/arp_ignore",
        _ => "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all",
    };
    let inside = || {
        let mut nsenter = lab.command("nsenter");
        nsenter.args(["--target", &container.pid.to_string(), "--net", "--"]);
        nsenter
    };
    inside().args(["sh", "-c", quiet]).run().ok();
    let index = container.ip("-j link show dev eth0").json()[0]["ifindex"].to_string();
    let mut responder = inside();
    responder.arg(std::env::current_exe().unwrap());
    responder.args(["responder::responder", "--exact", "--ignored", "--nocapture"]);
    let responder = responder.env(ROLE, format!("{role} {index}")).start();
    responder.wait_for("listening\n");
    responder
}

/// How long ARP is kept waiting.
pub(super) const LATE: Duration = Duration::from_millis(300);

#[test]
#[ignore = "is no test, but the peer of some"]
fn responder() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, index) = role.split_once(' ').unwrap();
    let index = index.parse().unwrap();
    match role {
        "late-arp" => late_arp(&listen(index, 0x0806)),
        "late-echo" => late_echo(&listen(index, 0x0800)),
        "ceaseless-echo" => ceaseless_echo(&listen(index, 0x0800)),
        "ceaseless-arp" => ceaseless_arp(&listen(index, 0x0806)),
        "blind-v4" => blind(false),
        "blind-v6" => blind(true),
        "tokenless" => tokenless(&listen(index, 0x0800)),
        _ => hostile(&listen(index, 0x0800)),
    }
}

fn listen(index: u32, ethertype: u16) -> OwnedFd {
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
    packet_bind(fd.as_fd(), index, ethertype).unwrap();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening").and_then(|()| stdout.flush()).unwrap();
    fd
}

/// Sends web echo replies with every identifier, whether it has asked for anything or not, again and again: number 1 of a
/// run, without any data.
fn blind(is_v6: bool) {
    let (domain, protocol) = match is_v6 {
        true => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        false => (AddressFamily::Inet, SockProtocol::Icmp),
    };
    let fd = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    let to: SocketAddr = if is_v6 { "[fd00::1]:0" } else { "198.18.0.1:0" }.parse().unwrap();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening").and_then(|()| stdout.flush()).unwrap();
    for ident in (0..=u16::MAX).cycle() {
        let [a, b] = ident.to_be_bytes();
        let mut message = [if is_v6 { 129 } else { 0 }, 0, 0, 0, a, b, 0, 1];
        let sum = sum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        // The queue of a link may be full, and neighbours have to be asked for first.
        let _ = send_many(fd.as_fd(), to, [message.as_slice()]);
    }
}

/// Answers each request as whoever was asked, with the right numbers, and does not know what was sent with them.
fn tokenless(fd: &OwnedFd) {
    for request in frames(fd).filter(|frame| is_echo_request(frame)) {
        let forged = reply(&request, |message| message[8..].fill(0));
        send(fd.as_raw_fd(), &forged, MsgFlags::empty()).unwrap();
    }
}

fn frames(fd: &OwnedFd) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let mut frame = vec![0; 2048];
        let length = recv(fd.as_raw_fd(), &mut frame, MsgFlags::empty()).ok()?;
        frame.truncate(length);
        Some(frame)
    })
}

/// Answers each ARP request after a while.
fn late_arp(fd: &OwnedFd) {
    for request in frames(fd).filter(|frame| is_arp_request(frame)) {
        std::thread::sleep(LATE);
        send(fd.as_raw_fd(), &arp_reply(&request), MsgFlags::empty()).unwrap();
    }
}

/// Answers each echo request after a while.
fn late_echo(fd: &OwnedFd) {
    for request in frames(fd).filter(|frame| is_echo_request(frame)) {
        std::thread::sleep(LATE);
        send(fd.as_raw_fd(), &reply(&request, |_| {}), MsgFlags::empty()).unwrap();
    }
}

/// Answers the first echo request, and does not end doing so.
fn ceaseless_echo(fd: &OwnedFd) {
    let request = frames(fd).find(|frame| is_echo_request(frame)).unwrap();
    let reply = reply(&request, |_| {});
    loop {
        let _ = send(fd.as_raw_fd(), &reply, MsgFlags::empty());
    }
}

fn is_echo_request(frame: &[u8]) -> bool {
    frame.len() >= 42 && frame[23] == 1 && frame[34] == 8
}

/// Answers the first ARP request, and does not end doing so.
fn ceaseless_arp(fd: &OwnedFd) {
    let request = frames(fd).find(|frame| is_arp_request(frame)).unwrap();
    let reply = arp_reply(&request);
    // The queue of a link may be full.
    loop {
        let _ = send(fd.as_raw_fd(), &reply, MsgFlags::empty());
    }
}

fn is_arp_request(frame: &[u8]) -> bool {
    frame.len() >= 42 && frame[20..22] == [0, 1]
}

fn arp_reply(request: &[u8]) -> Vec<u8> {
    let (asked, sender) = (&request[38..42], &request[22..32]);
    let mac = [2, 0, 0, 0, 0, 2];
    [&sender[..6], &mac, &request[12..20], &[0, 2], &mac, asked, sender].concat()
}

/// To the first request all that nobody should send, and then the answer; to the second it answers twice, and to the
/// others as a good host does.
fn hostile(fd: &OwnedFd) {
    let is_request = |frame: &Vec<u8>| frame.len() >= 42 && frame[23] == 1 && frame[34] == 8;
    for request in frames(fd).filter(is_request) {
        let good = reply(&request, |_| {});
        let sequence = u16::from_be_bytes([request[40], request[41]]);
        let mut answers = match sequence {
            1 => odd_answers(&request),
            2 => vec![good.clone()],
            _ => Vec::new(),
        };
        answers.push(good);
        for answer in answers {
            send(fd.as_raw_fd(), &answer, MsgFlags::empty()).unwrap();
        }
    }
}

/// An echo reply to this request, in which `change` has changed the ICMP message before its checksum is made.
fn reply(request: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = request[34..].to_vec();
    message[0] = 0;
    change(&mut message);
    framed(request, 1, &[], message)
}

/// Back to where the request came from, with these options in the IP header.
fn framed(request: &[u8], protocol: u8, options: &[u8], mut message: Vec<u8>) -> Vec<u8> {
    if message.len() >= 4 {
        message[2..4].fill(0);
        let sum = sum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let length = 20 + options.len();
    let whole = u16::try_from(length + message.len()).unwrap().to_be_bytes();
    let first = 0x40 | u8::try_from(length / 4).unwrap();
    let mut header = [
        &[first, 0, whole[0], whole[1], 0, 0, 0, 0, 64, protocol, 0, 0],
        &request[30..34],
        &request[26..30],
        options,
    ]
    .concat();
    let of_header = sum(&header);
    header[10..12].copy_from_slice(&of_header.to_be_bytes());
    [&request[6..12], &request[..6], &[8, 0], &header, &message].concat()
}

/// RFC 1071
fn sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// How many of these the kernel lets through to us, so that they are counted.
pub(super) const STRAYS: u64 = 3;

fn odd_answers(request: &[u8]) -> Vec<Vec<u8>> {
    let good = reply(request, |_| {});
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 0xff;
    let set = |at: usize, to: u8| reply(request, |message| message[at] = to);
    // What an ICMP error quotes is a packet: ours, cut short, somebody's, and none at all.
    let unreachable = |quote: &[u8]| framed(request, 1, &[], [&[3, 1, 0, 0, 0, 0, 0, 0], quote].concat());
    let quoted = &request[14..];
    let mut quote_of_nobody = quoted[..28].to_vec();
    quote_of_nobody[24] ^= 0xff;
    let mut own_request = request[34..].to_vec();
    own_request[0] = 8;
    vec![
        wrong_sum,
        // Of a packet that was never sent.
        set(6, 0x77),
        set(7, 0xff),
        // Made up by who has not seen the request.
        set(8, request[42] ^ 0xff),
        // Too short for any echo reply, and for ICMP at all.
        reply(request, |message| message.truncate(7)),
        reply(request, |message| message.truncate(2)),
        reply(request, |message| message.truncate(0)),
        // Somebody else's.
        set(4, request[38] ^ 0xff),
        // Somebody else's protocol, and a request.
        framed(request, 255, &[], request[34..].to_vec()),
        framed(request, 1, &[], own_request),
        unreachable(&quoted[..20]),
        unreachable(&quote_of_nobody),
        unreachable(&[0xff; 40]),
        unreachable(&[]),
        // A type that nobody has heard of.
        set(0, 200),
        // Cut at the end: a last stray comes of this, for it is of a number that was not sent either.
        reply(request, |message| {
            message[6] = 0x77;
            message.truncate(8);
        }),
    ]
}
