//! A name server: the test program itself, started again in the network that it is to answer in.
//!
//! A test program that wants one has this beside its tests, in `main.rs`:
//!
//! ```text
//! #[test]
//! #[ignore = "is no test, but the name server of some"]
//! fn fake_name_server() {
//!     support::name_server::serve();
//! }
//! ```

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::lab::Lab;
use crate::run::{Run, RunningProgram};

const ANSWER: &str = "NETNS_TOOLBOX_FAKE_ANSWER";
const NO_SUCH_NAME: u8 = 3;

/// Starts one on 127.0.0.1 that knows `api`, and by TCP `long` and no other. It fails for names in `.fails`, and says nothing
/// of those in `.mute`. It says `asked NAME` for each question.
#[track_caller]
pub fn start(lab: &Lab, entering: &[&str], answer: &str) -> RunningProgram {
    let mut server = lab.command(entering[0]);
    server.args(&entering[1..]).arg(std::env::current_exe().unwrap());
    server.args(["fake_name_server", "--exact", "--ignored", "--nocapture"]);
    let server = server.env(ANSWER, answer).start();
    server.wait_for("listening\n");
    server
}

/// Answers until it is killed, in a program that [`start`] started; elsewhere it does nothing.
pub fn serve() {
    let Ok(answer) = std::env::var(ANSWER) else { return };
    let answer: Ipv4Addr = answer.parse().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let listener = TcpListener::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || by_tcp(&listener, answer));
    say("listening");
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet) {
        let (name, _) = question(&packet[..length]);
        say(&format!("asked {name}"));
        if name.ends_with(".mute") {
            continue;
        }
        let mut reply = reply(&packet[..length], "api", answer);
        if name.ends_with(".fails") {
            // RFC 1035, 4.1.1: SERVFAIL.
            reply[3] = 0x82;
        }
        if name == "long" {
            // RFC 1035, 4.1.1: TC, without an error.
            (reply[2], reply[3]) = (0x83, 0x80);
        }
        socket.send_to(&reply, client).unwrap();
    }
}

fn by_tcp(listener: &TcpListener, answer: Ipv4Addr) {
    while let Ok((mut stream, _)) = listener.accept() {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut packet = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut packet).unwrap();
        say(&format!("asked {} by TCP", question(&packet).0));
        let reply = reply(&packet, "long", answer);
        stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&reply).unwrap();
    }
}

/// What is said of the name in this question, if only `knows` is known, and has an IPv4 address.
fn reply(packet: &[u8], knows: &str, answer: Ipv4Addr) -> Vec<u8> {
    let (name, end) = question(packet);
    let asks_for_ipv4 = packet[end - 4..end] == [0, 1, 0, 1];
    let known = name == knows;
    let answers = u8::from(known && asks_for_ipv4);
    // RFC 1035, 4.1.1: the same ID, "this is an answer", one question.
    let flags = [0x81, 0x80 | if known { 0 } else { NO_SUCH_NAME }];
    let mut reply = [&packet[..2], &flags, &[0, 1, 0, answers, 0, 0, 0, 0], &packet[12..end]].concat();
    if answers == 1 {
        // The name of the question, type A, class IN, a minute, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(answer.octets());
    }
    reply
}

/// The name that is asked for, and where the question ends. RFC 1035, 4.1.2.
fn question(packet: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while packet[at] != 0 {
        let end = at + 1 + usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// Past the test harness, which would keep it to itself.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).unwrap();
}
