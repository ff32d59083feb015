//! A host with many namespaces: the page stays small, and is drawn at once.

use serde_json::json;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tier::is_all;

use crate::scripts::{OVERLAPS, SVG_OVERLAPS};
use crate::{DrawnFile, browser};

/// A host with so many namespaces, each with an interface at a bridge that takes no more than a thousand.
fn many(lab: &Lab, count: usize) {
    let script = "
        mkdir -p /run/netns; mount -t tmpfs none /run/netns; mount --make-shared /run/netns
        ip link add br0 type bridge; ip address add 10.0.0.1/16 dev br0; ip link set br0 up
        seq $0 | sed 's/.*/netns add n&/' | ip -batch -
        seq $0 | sed 's/.*/link add v& master br0 up type veth peer name eth0 netns n&/' | ip -batch -
        for at in $(seq $0); do echo \"$at $((at / 250)).$((at % 250 + 2))\"; done |
            while read -r at host; do echo \"-n n$at address add 10.0.$host/16 dev eth0\"; done >/run/addresses
        while read -r line; do ip $line; done </run/addresses";
    lab.shell(script).arg(count.to_string()).run_within(std::time::Duration::from_secs(120)).ok();
}

#[test]
fn the_page_of_many_namespaces_is_small_and_drawn_at_once() {
    let (lab, mut browser) = (need!(Lab::new()), need!(browser()));
    let count = if is_all() { 1000 } else { 200 };
    many(&lab, count);
    let page = DrawnFile::of(&lab, &["--html"]);
    let bytes = std::fs::metadata(&page.0).unwrap().len();
    assert!(bytes < 2000 * count as u64, "{bytes} bytes");
    browser.open(&page.0);
    let work_ms = browser.work_ms();
    assert!(work_ms < 1000.0, "{work_ms} ms of work for {count} namespaces, {bytes} bytes");
    println!("{count} namespaces: {bytes} bytes, {work_ms} ms of work");
    assert_eq!(browser.evaluate("document.querySelectorAll('.item').length"), count + 2);
    assert_eq!(browser.evaluate("document.querySelectorAll('#cables .pair').length"), count);
    browser.press("/");
    browser.write("n77");
    assert!(browser.text("document.getElementById('count').textContent").ends_with(" shown"));
    browser.press("Escape");
    if !is_all() {
        assert_eq!(browser.evaluate(OVERLAPS), json!([]));
        browser.open(&DrawnFile::of(&lab, &["--graph", "svg"]).0);
        assert_eq!(browser.evaluate(SVG_OVERLAPS), json!([]));
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
