//! Name servers that answer as the test wants: this test program once more, in the network of `web`, on loopback addresses.
//!
//! What they answer is written by hand here, byte for byte: RFC 1035, 4.1.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use support::run::{Run, RunningProgram};
use support::until::until;

use crate::Cable;

const ROLES: &str = "NETNS_TOOLBOX_DNS_SERVERS";
/// What all of them answer with where they answer well: db.
const GOOD: [u8; 4] = [198, 18, 0, 2];
/// What nobody should believe.
const FORGED: [u8; 4] = [203, 0, 113, 66];

/// Starts one on 127.0.0.1, one on 127.0.0.2 and so on, each with its role; web's resolv.conf names them, and has `lines`.
#[track_caller]
pub(super) fn start(cable: &Cable, roles: &[&str], lines: &str) -> RunningProgram {
    let servers: String = (1..=roles.len()).map(|nth| format!("nameserver 127.0.0.{nth}\n")).collect();
    fs::write(cable.web.path("/etc/resolv.conf"), format!("{servers}{lines}\n")).unwrap();
    fs::write(cable.web.path("/etc/hosts"), "127.0.0.1 localhost\n198.18.0.2 four\nfd00::2 six\n").unwrap();
    let mut server = cable.lab.command("nsenter");
    server
        .args(["--target", &cable.web.pid.to_string(), "--net", "--"])
        .arg(std::env::current_exe().unwrap());
    server.args(["dns_server::dns_servers", "--exact", "--ignored", "--nocapture"]);
    let server = server.env(ROLES, roles.join(" ")).start();
    server.wait_for("listening\n");
    server
}

#[test]
#[ignore = "is no test, but the name servers of some"]
fn dns_servers() {
    let Ok(roles) = std::env::var(ROLES) else { return };
    let threads: Vec<_> = (1..)
        .zip(roles.split(' '))
        .map(|(nth, role)| {
            let (role, mut socket) = (role.to_owned(), None);
            // The one before may not have ended yet.
            until("the port is free", || {
                socket = UdpSocket::bind(format!("127.0.0.{nth}:53")).ok();
                socket.is_some()
            });
            let socket = socket.unwrap();
            std::thread::spawn(move || serve(&socket, &role))
        })
        .collect();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening").and_then(|()| stdout.flush()).unwrap();
    drop(stdout);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn serve(socket: &UdpSocket, role: &str) {
    let mut seen = BTreeSet::new();
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet) {
        let asked = Asked::read(&packet[..length]);
        let is_first = seen.insert((asked.name.clone(), asked.is_ipv4));
        answer(socket, client, &asked, (role, is_first));
    }
}

/// What a question asks for, and the bytes of it that an answer repeats.
struct Asked {
    name: String,
    is_ipv4: bool,
    id: [u8; 2],
    question: Vec<u8>,
}

impl Asked {
    fn read(packet: &[u8]) -> Self {
        let (mut labels, mut at) = (Vec::new(), 12);
        while packet[at] != 0 {
            let end = at + 1 + usize::from(packet[at]);
            labels.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
            at = end;
        }
        let is_ipv4 = packet[at + 1..at + 3] == [0, 1];
        Asked {
            name: labels.join("."),
            is_ipv4,
            id: [packet[0], packet[1]],
            question: packet[12..at + 5].to_vec(),
        }
    }

    /// With this code, so many records, and what comes after the question.
    fn message(&self, flags: [u8; 2], records: u16, rest: &[u8]) -> Vec<u8> {
        let [high, low] = records.to_be_bytes();
        [&self.id[..], &flags, &[0, 1, high, low, 0, 0, 0, 0], &self.question, rest].concat()
    }

    fn code(&self, code: u8) -> Vec<u8> {
        self.message([0x81, 0x80 | code], 0, &[])
    }

    /// The address, if it was asked for one of IPv4; of IPv6 there is none.
    fn address(&self, address: [u8; 4]) -> Vec<u8> {
        match self.is_ipv4 {
            true => self.message([0x81, 0x80], 1, &record(&address)),
            false => self.code(0),
        }
    }

    /// What a good server says: that it knows `api`, and nothing else.
    fn good(&self) -> Vec<u8> {
        if self.name == "api" { self.address(GOOD) } else { self.code(3) }
    }
}

/// The name of the question, type A, class IN, a minute, four bytes.
fn record(address: &[u8; 4]) -> Vec<u8> {
    [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], address].concat()
}

fn answer(socket: &UdpSocket, client: SocketAddr, asked: &Asked, (role, is_first): (&str, bool)) {
    let send = |packet: &[u8]| drop(socket.send_to(packet, client));
    let good = asked.good();
    let (role, then_good) = role.strip_suffix("+good").map_or((role, false), |role| (role, true));
    match role.split_once(':').unwrap_or((role, "")) {
        ("good", _) => send(&good),
        ("late", milliseconds) => {
            std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
            send(&good);
        }
        ("mute", _) => {}
        ("servfail", _) => send(&asked.code(2)),
        ("refused", _) => send(&asked.code(5)),
        ("notimp", _) => send(&asked.code(4)),
        ("nxdomain", _) => send(&asked.code(3)),
        ("nodata", _) => send(&asked.code(0)),
        ("other", _) => send(&asked.address([198, 18, 0, 3])),
        // For names with a search domain in it only.
        ("servfail-searched", _) if asked.name != "api" => send(&asked.code(2)),
        ("nodata-searched", _) if asked.name != "api" => send(&asked.code(0)),
        ("mute-searched", _) if asked.name != "api" => {}
        ("servfail-searched" | "nodata-searched" | "mute-searched", _) => send(&good),
        ("once", _) if is_first => send(&asked.code(2)),
        ("once", _) => send(&good),
        ("only-ipv4", _) if !asked.is_ipv4 => {}
        ("only-ipv6", _) if asked.is_ipv4 => {}
        ("only-ipv4" | "only-ipv6", _) => send(&good),
        ("ipv6-fails", _) => send(&if asked.is_ipv4 { good } else { asked.code(2) }),
        ("ipv6-no-name", _) => send(&if asked.is_ipv4 { good } else { asked.code(3) }),
        // Its thread ends with the others.
        ("flood", _) => loop {
            hostile_answers("wrong-ids", asked).iter().for_each(|packet| send(packet));
        },
        (hostile, _) => {
            for packet in hostile_answers(hostile, asked) {
                send(&packet);
            }
            if hostile == "spoofed" {
                spoof(client, asked);
            }
            // What came before it may have filled the socket of a client on a busy machine.
            for _ in 0..if then_good { 25 } else { 0 } {
                send(&good);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What no good server sends.
fn hostile_answers(kind: &str, asked: &Asked) -> Vec<Vec<u8>> {
    let forged = asked.address(FORGED);
    let changed = |at: usize, to: u8| {
        let mut packet = forged.clone();
        packet[at] = to;
        packet
    };
    let noerror = [0x81, 0x80];
    match kind {
        "spoofed" => vec![],
        "wrong-ids" => (1..=255).map(|flip| changed(1, forged[1] ^ flip)).collect(),
        "other-question" => {
            vec![changed(13, b'x'), changed(forged.len().min(12 + asked.question.len()) - 3, 15)]
        }
        "question-only" => vec![changed(2, 0x01)],
        "short" => (0..12 + asked.question.len()).map(|length| forged[..length].to_vec()).collect(),
        "loop-self" => vec![loop_of(asked, pointer)],
        "loop-pair" => vec![loop_of(asked, |at| [pointer(at + 2), pointer(at)].concat())],
        "loop-beyond" => vec![loop_of(asked, |_| vec![0xff, 0xff])],
        "labels" => vec![loop_of(asked, |_| [&[1, b'x'].repeat(1000)[..], &[0]].concat())],
        "many-records" => vec![asked.message(noerror, 200, &record(&GOOD).repeat(200))],
        "counts" => vec![asked.message(noerror, u16::MAX, &record(&FORGED))],
        "huge" => vec![asked.message(noerror, 3000, &record(&FORGED).repeat(3000))],
        "cut" => vec![asked.message([0x83, 0x80], 0, &[])],
        "nx-garbage" => vec![asked.message([0x81, 0x83], 7, &[0xc0; 400])],
        "empty" => vec![Vec::new()],
        other => panic!("no role {other}"),
    }
}

/// To another place in the message: RFC 1035, 4.1.4.
fn pointer(at: usize) -> Vec<u8> {
    vec![0xc0 | (at >> 8) as u8, at as u8]
}

/// An answer whose first record has a name that is made for where it stands.
fn loop_of(asked: &Asked, name: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let at = 12 + asked.question.len();
    asked.message([0x81, 0x80], 1, &[name(at), record(&FORGED)[2..].to_vec()].concat())
}

/// The right ID and the right question, from where nobody was asked: another port, and another address.
fn spoof(client: SocketAddr, asked: &Asked) {
    for from in ["127.0.0.1:0", "127.0.0.9:53"] {
        if let Ok(other) = UdpSocket::bind(from) {
            let _ = other.send_to(&asked.address(FORGED), client);
        }
    }
}
