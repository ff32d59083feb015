//! `common::packet` on a segment, with the kernel's own ARP and neighbour discovery at the other end.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::netns::Home;
use common::packet::neighbour::{Claim, ClaimKind, Segment};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::{HERE, Scene, THERE};
use support::run::{LIMIT, Run};
use support::skip::{Missing, need};
use support::until::until;

/// A scene whose container has an address of each family on its end, and our end of the segment.
fn scene() -> Result<(Scene, Segment), Missing> {
    let mut scene = Scene::with_veth()?;
    scene.lab.shell("ip link set dev a up").run().ok();
    for words in
        ["link set dev b up", "address add 10.1.0.2/24 dev b", "address add fd00:1::2/64 dev b nodad"]
    {
        scene.web.ip(words);
    }
    // What is sent before the kernel has seen the carrier of both ends is dropped.
    let links = || scene.lab.command("ip").args(["-br", "link", "show", "a"]).run().ok().stdout;
    until("both ends are up", || {
        links().contains(" UP ") && scene.web.ip("-br link show b").stdout.contains(" UP ")
    });
    let index = scene.index("a");
    Ok((scene, Segment { index, mac: HERE }))
}

/// In the lab's network.
fn here<T>(scene: &Scene, what: impl FnOnce() -> T) -> T {
    Home::current().unwrap().inside(&scene.outside, what).unwrap()
}

fn addresses(words: &str) -> Vec<IpAddr> {
    words.split(' ').map(|word| word.parse().unwrap()).collect()
}

/// How many packet sockets there are in the lab's network.
fn packet_sockets(scene: &Scene) -> usize {
    let list = std::fs::read_to_string(scene.lab.path("/proc/1/net/packet")).unwrap();
    list.lines().count() - 1
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn who_has_an_address_says_so_and_nobody_else_does() {
    let (scene, segment) = need!(scene());
    for (asked, has) in [
        ("10.1.0.2", "10.1.0.2"),
        ("fd00:1::2", "fd00:1::2"),
        ("10.1.0.7 fd00:1::7 fd00:1::2", "fd00:1::2"),
        ("fd00:1::7 10.1.0.7 10.1.0.2", "10.1.0.2"),
    ] {
        let began = Instant::now();
        let claim = here(&scene, || segment.who_has(&addresses(asked), &[LIMIT, LIMIT], None)).unwrap();
        assert_eq!(
            claim,
            Some(Claim { address: has.parse().unwrap(), mac: THERE, sender: THERE, kind: ClaimKind::Has })
        );
        assert!(began.elapsed() < LIMIT, "it went on waiting when all was said");
    }
    let nobodys = addresses("10.1.0.7 fd00:1::7");
    let waits = [Duration::from_millis(2), Duration::from_millis(3)];
    assert_eq!(here(&scene, || segment.who_has(&nobodys, &waits, None)).unwrap(), None);
}

#[test]
fn who_probes_for_the_same_address_at_the_same_time_is_heard() {
    let (mut scene, segment) = need!(scene());
    let other = Segment { index: scene.there("b"), mac: THERE };
    let scene = &scene;
    for address in ["10.1.0.7", "fd00:1::7"] {
        let asked = addresses(address);
        let asked = &asked;
        let heard = std::thread::scope(|scope| {
            let listening =
                scope.spawn(move || here(scene, || segment.who_has(asked, &[LIMIT], None)).unwrap());
            let home = Home::current().unwrap();
            while !listening.is_finished() {
                let waits = [Duration::from_millis(5)];
                home.inside(&scene.inside, || other.who_has(asked, &waits, None)).unwrap().unwrap();
            }
            listening.join().unwrap()
        });
        assert_eq!(
            heard,
            Some(Claim { address: asked[0], mac: THERE, sender: THERE, kind: ClaimKind::Wants })
        );
    }
}

#[test]
fn who_never_stops_talking_is_not_listened_to_for_ever() {
    let (mut scene, segment) = need!(scene());
    let other = Segment { index: scene.there("b"), mac: THERE };
    let scene = &scene;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let home = Home::current().unwrap();
            let chatter =
                std::iter::from_fn(|| (!stop.load(Ordering::Relaxed)).then_some([10, 1, 0, 9].into()));
            home.inside(&scene.inside, || other.announce(chatter)).unwrap().unwrap();
        });
        let began = Instant::now();
        let claim =
            here(scene, || segment.who_has(&addresses("10.1.0.7"), &[Duration::from_millis(50)], None));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(claim.unwrap(), None);
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    });
}

#[test]
fn sockets_that_were_let_go_of_are_gone_soon() {
    const MANY: usize = 100;
    let (scene, segment) = need!(scene());
    let before = descriptors();
    here(&scene, || {
        for _ in 0..MANY {
            segment.announce(addresses("10.1.0.1 fd00:1::1")).unwrap();
        }
    });
    // Other tests of this process have some of their own open meanwhile.
    assert!(descriptors() < before + MANY, "descriptors are left");
    // The kernel closes them one after the other, and waits each time.
    until("no packet socket is left", || packet_sockets(&scene) == 0);
}

#[test]
fn letting_go_of_a_socket_does_not_wait_for_it_to_be_closed() {
    let (scene, segment) = need!(scene());
    need!(collects_in_a_thread_of_its_own());
    let timed = |what: &dyn Fn()| {
        let began = Instant::now();
        (0..20).for_each(|_| what());
        began.elapsed()
    };
    here(&scene, || {
        let plain = || -> OwnedFd {
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap()
        };
        let closing = timed(&|| drop(plain()));
        let letting_go = timed(&|| segment.announce([]).unwrap());
        assert!(letting_go < closing / 2, "{letting_go:?}, where closing takes {closing:?}");
    });
}

/// Linux 6.9 has it, and later releases of older series.
fn collects_in_a_thread_of_its_own() -> Result<(), Missing> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let numbers: Vec<u32> = release.split(['.', '-']).map_while(|number| number.parse().ok()).collect();
    if numbers >= vec![6, 9] { Ok(()) } else { Err(Missing::ForGood("a kernel from 6.9 on".into())) }
}
