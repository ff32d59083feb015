//! `--graph svg` in a browser, and `--graph dot` in graphviz.

use serde_json::json;
use support::run::Run;
use support::skip::need;
use support::world::World;

use crate::browser::Scheme;
use crate::scripts::{LOW_CONTRAST, SVG_OVERLAPS};
use crate::{Drawn, browser};

#[test]
fn the_svg_is_readable_in_light_and_dark_and_no_text_overlaps() {
    let (drawn, mut browser) = (need!(Drawn::new()), need!(browser()));
    let svg = drawn.file(&["--graph", "svg"]);
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme);
        browser.open(&svg.0);
        assert_eq!(browser.evaluate(SVG_OVERLAPS), json!([]));
        assert_eq!(browser.evaluate(LOW_CONTRAST), json!([]), "{scheme:?}");
        browser.screenshot(&format!("svg-{scheme:?}"));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
    let texts =
        browser.text("[...document.querySelectorAll('text')].map((text) => text.textContent).join('\\n')");
    for text in [
        "web",
        "198.18.0.2/24",
        "vweb0",
        "br1",
        "198.18.1.1/24",
        "down",
        "nothing but loopback",
        "could not be read",
        "macvlan",
    ] {
        assert!(texts.lines().any(|line| line == text), "{text}: {texts}");
    }
    // One cable for each pair and each bridge of the host, the macvlan's, and four lines of the legend.
    assert_eq!(browser.evaluate("document.querySelectorAll('path.c').length"), 3 + 2 + 1 + 4);
}

#[test]
fn one_host_has_one_picture() {
    let drawn = need!(Drawn::new());
    for format in ["svg", "dot"] {
        let picture = || drawn.lab.tool("netns-ls").args(["-q", "--graph", format]).run().ok().stdout;
        assert_eq!(picture(), picture(), "{format}");
    }
}

#[test]
fn graphviz_draws_the_same_cables() {
    let drawn = need!(Drawn::new());
    let world = need!(World::get().and_then(|world| world.with("browser")));
    let dot = drawn.lab.tool("netns-ls").args(["-q", "--graph", "dot"]).run().ok().stdout;
    let svg = world.command("dot").arg("-Tsvg").run_with_input(&dot).ok();
    assert_eq!(svg.stderr, "");
    assert_eq!(svg.stdout.matches("class=\"edge\"").count(), 3 + 2 + 1, "{}", svg.stdout);
    assert_eq!(svg.stdout.matches("class=\"node\"").count(), 5 + 2 + 1, "{}", svg.stdout);
    for text in ["web", "198.18.0.2/24", "vweb0", "br1", "198.18.1.1/24", "down", "macvlan"] {
        assert!(svg.stdout.contains(&format!(">{text}<")), "{text}: {}", svg.stdout);
    }
}

#[test]
fn what_a_picture_has_no_place_for_is_refused_with_what_has_it() {
    let drawn = need!(Drawn::new());
    for option in ["--ports", "--why"] {
        let ran =
            drawn.lab.tool("netns-ls").args(["--graph", "svg", option]).run().fails_with(2).stdout_is("");
        ran.stderr_is(
            "netns-ls: --graph: a picture has neither ports nor findings: a page has them\nhint: netns-ls --html >map.html\n",
        );
        // Which is so.
        let html = drawn.lab.tool("netns-ls").args(["-q", "--html", option]).run().ok().stdout;
        assert!(html.contains("8080/tcp"), "{option}");
    }
}
