//! The page in a browser: what is in it, clicks, keys, search, light and dark.

use serde_json::json;
use support::run::Run;
use support::skip::need;

use crate::browser::Scheme;
use crate::scripts::{LOW_CONTRAST, OVERLAPS, item};
use crate::{Drawn, browser};

/// What is lit: the names of the boxes around, and how many cables.
const LIT: &str = "[[...document.querySelectorAll('.item.lit .line.title > :first-child')].map((title) => title.textContent.trim()).sort().join(' '),
    document.querySelectorAll('path.lit').length]";
const FOCUSED: &str = "document.activeElement.querySelector('.line.title > :first-child').textContent.trim()";
const SHOWN: &str = "[...document.querySelectorAll('.item:not([hidden]) .line.title > :first-child')].map((title) => title.textContent.trim()).join(' ')";

#[test]
fn a_click_lights_a_containers_cables_and_shows_its_details() {
    let (drawn, mut browser) = (need!(Drawn::new()), need!(browser()));
    let page = drawn.file(&["--html"]);
    browser.open(&page.0);
    let shown = browser.text(SHOWN);
    assert_eq!(Drawn::without_engine(&shown), "web db mac lone br0 br1 host");
    // The fake engine's process is in the network of whoever runs the test, which the lab cannot enter.
    let pid = shown.split(' ').find(|word| word.starts_with("pid:")).unwrap();
    let engine = item(&format!("{pid} (perl)"));
    assert!(browser.text(&format!("({engine}).innerText")).contains("could not be read"));
    browser.click(&item("web"));
    assert_eq!(browser.evaluate(LIT), json!(["br0 br1 host web", 4]));
    let panel = browser.text("document.getElementById('panel').innerText");
    for words in [
        "docker:web (running)",
        "198.18.0.2/24",
        "plugged into br0: vweb0",
        "plugged into br1: vweb1",
        "default via 198.18.0.1 dev eth0",
        "0.0.0.0:8080/tcp perl",
    ] {
        assert!(panel.contains(words), "{words}: {panel}");
    }
    assert_eq!(browser.evaluate(&format!("({}).getAttribute('aria-pressed')", item("web"))), "true");
    assert!(browser.text(&format!("({}).innerText", item("web"))).contains("port 8080/tcp"));
    browser.click(&item("lone"));
    assert_eq!(browser.evaluate(LIT), json!(["lone", 0]));
    browser.click(&item("mac"));
    assert_eq!(browser.evaluate(LIT), json!(["host mac", 1]));
    browser.click(&item("br1"));
    assert_eq!(browser.evaluate(LIT), json!(["br1 db host web", 3]));
    browser.click("document.querySelector('#panel .close')");
    assert_eq!(browser.evaluate(LIT), json!(["", 0]));
    assert_eq!(browser.evaluate("document.getElementById('panel').hidden"), true);
    // What is down is dashed, and says so.
    let down =
        "[...document.querySelectorAll('path.down')].map((path) => getComputedStyle(path).strokeDasharray)";
    assert_ne!(browser.evaluate(down)[0], "none");
    assert!(browser.text(&format!("({}).innerText", item("db"))).contains("down"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn it_can_be_used_by_its_keys_alone() {
    let (drawn, mut browser) = (need!(Drawn::new()), need!(browser()));
    browser.open(&drawn.file(&["--html"]).0);
    browser.press("/");
    assert_eq!(browser.text("document.activeElement.id"), "search");
    browser.write("198.18.1.3");
    assert_eq!(browser.text(SHOWN), "db br1 host");
    assert_eq!(browser.text("document.getElementById('count').textContent"), "1 of 5 shown");
    browser.press("Enter");
    assert_eq!(browser.text(FOCUSED), "db");
    assert_eq!(browser.evaluate("document.getElementById('panel').hidden"), false);
    // Back: first from the details, then from the search.
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.getElementById('panel').hidden"), true);
    browser.press("Escape");
    assert_eq!(Drawn::without_engine(&browser.text(SHOWN)).split(' ').count(), 7);
    for (key, focused) in [
        ("ArrowRight", "br1"),
        ("ArrowRight", "host"),
        ("ArrowLeft", "br0"),
        ("ArrowDown", "br1"),
        ("ArrowUp", "br0"),
        ("ArrowLeft", "web"),
        ("ArrowDown", "db"),
    ] {
        browser.press(key);
        assert_eq!(browser.text(FOCUSED), focused, "{key}");
    }
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_ne!(browser.text(outline), "none", "the focus is visible");
    browser.press("?");
    assert_eq!(browser.evaluate("document.getElementById('help').hidden"), false);
    // What a veth of the host is plugged into, and what nothing is.
    browser.press("/");
    browser.write("vweb1");
    assert!(browser.text(SHOWN).starts_with("web br"));
    browser.press("Escape");
    browser.press("/");
    browser.write("no such thing");
    assert_eq!(browser.text("document.getElementById('count').textContent"), "0 of 5 shown");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_why_finds_is_shown_where_it_is() {
    let (drawn, mut browser) = (need!(Drawn::new()), need!(browser()));
    drawn.lab.shell("ip link set vweb0 mtu 1400").run().ok();
    let why = drawn.lab.tool("netns-ls").args(["-q", "--why", "--json"]).run();
    let why: serde_json::Value = serde_json::from_str(&why.stdout).unwrap();
    let found = why["findings"].as_array().unwrap();
    assert!(!found.is_empty(), "unequal MTUs are a finding");
    browser.open(&drawn.file(&["--html"]).0);
    let count = browser.text("document.getElementById('findings').textContent");
    assert!(count.starts_with(&format!("⚠ {} finding", found.len())), "{count}");
    let marked = browser.evaluate("document.querySelectorAll('.has-finding').length").as_u64().unwrap();
    let mut panels = String::new();
    for _ in 0..marked {
        browser.press("n");
        panels += &browser.text("document.getElementById('panel').textContent");
    }
    for finding in found {
        let fixes = finding["fix"].as_array().unwrap();
        for text in fixes.iter().chain([&finding["text"]]).filter_map(|text| text.as_str()) {
            assert!(panels.contains(text), "{text}: {panels}");
        }
    }
    assert_eq!(browser.evaluate(LOW_CONTRAST), json!([]));
    browser.screenshot("page-findings");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn it_is_readable_in_light_and_dark_and_nothing_overlaps() {
    let (drawn, mut browser) = (need!(Drawn::new()), need!(browser()));
    let page = drawn.file(&["--html"]);
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme);
        browser.open(&page.0);
        browser.press("?");
        browser.click(&item("web"));
        assert_eq!(browser.evaluate(LOW_CONTRAST), json!([]), "{scheme:?}");
        assert_eq!(browser.evaluate(OVERLAPS), json!([]), "{scheme:?}");
        let shot = browser.screenshot(&format!("page-{scheme:?}"));
        assert!(shot.len() > 20_000, "{scheme:?}: an empty page");
        // Every box and control has a name for who does not see it.
        let nameless = "[...document.querySelectorAll('.item, button:not([hidden]), input')]
            .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)).length";
        assert_eq!(browser.evaluate(nameless), 0);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{scheme:?}");
    }
}
