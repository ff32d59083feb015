//! Names that come from inside, in each place where a picture has one: nothing of them runs, none is markup, and each can be read.

use serde_json::{Value, json};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::world::World;

use crate::scripts::{OVERLAPS, SVG_OVERLAPS};
use crate::{DrawnFile, browser};

/// A name that would be markup, ends what it is in, turns text around, and fills 64 bytes.
const CONTAINER: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
/// As long as an interface's name can be; it may have all but white space, `/` and NUL.
const IFNAMES: [&str; 5] =
    ["網路﷽é", "<b>&lt;\"'`${}", "\\N\\G{|}<p>[]", "e\u{202e}\u{1b}[31mgnp", "--><!--]]>"];
const ALIAS: &str = "<svg onload=alert(3)>\u{202e}\u{7}{{MAP}} 'a' \"b\" `c` ${alert(4)}";
const HOST_NAME: &str = "</title><p><script>alert(5)</script><img src=x onerror=alert(6)>";
/// What the page must not have become.
const RAN: &str =
    "window.ran === undefined && !document.querySelector('img, #sheet b, #panel b, #sheet p, script[src]')";

struct HostileHost {
    lab: Lab,
    _kept: Vec<Box<dyn std::any::Any>>,
}

impl HostileHost {
    fn new() -> Result<Self, support::skip::Missing> {
        let lab = Lab::new()?;
        let container = lab.container(CONTAINER, Options::only(&["net"]));
        let pid = container.pid;
        lab.shell("ip link add br0 type bridge; ip link set br0 up; mkdir -p /run/netns").run().ok();
        for (at, ifname) in IFNAMES.iter().enumerate() {
            let script = "ip link add name \"$2\" type veth peer name e$1 netns $0
                ip link set dev \"$2\" alias \"$3\" master br0 up
                nsenter -t $0 -n ip link set dev e$1 name \"$2\"
                nsenter -t $0 -n ip link set dev \"$2\" alias \"$3\" up
                touch \"/run/netns/$4$1\"";
            let file = CONTAINER.replace('/', "%");
            lab.shell(script).args([&pid.to_string(), &at.to_string(), *ifname, ALIAS, &file]).run().ok();
        }
        lab.shell("ip link add name '<u>br\"0' type bridge; cd /run/netns; unshare -n mount --bind /proc/self/ns/net \"$0\"")
            .arg(CONTAINER.replace('/', "%") + "0")
            .run()
            .ok();
        let odd = lab
            .shell("cp \"$(command -v sleep)\" '/run/<i>p\"&'; exec unshare -n '/run/<i>p\"&' 1000")
            .start();
        support::until::until("the process is there", || {
            lab.tool("netns-ls").args(["-q", "--all"]).run().stdout.contains("(<i>p")
        });
        let docker = fake_docker::knows(&[&container]).listen(lab.path("/run/docker.sock"));
        Ok(HostileHost { lab, _kept: vec![Box::new(container), Box::new(odd), Box::new(docker)] })
    }
}

/// As it is shown: spelled out where a terminal would obey it.
fn shown(name: &str) -> String {
    common::output::one_line(name).into_owned()
}

#[test]
fn in_the_page_no_name_runs_and_each_is_there_as_text() {
    let (host, mut browser) = (need!(HostileHost::new()), need!(browser()));
    // A host name of 64 bytes, as long as one can be; the kernel takes any.
    let tool = support::tools::tool("netns-ls");
    let script = "exec unshare --uts perl -e 'syscall(170, $ARGV[1], length $ARGV[1]) == 0 or die $!; exec $ARGV[0], \"-q\", \"--html\"' \"$0\" \"$1\"";
    let html = host.lab.shell(script).args([tool, HOST_NAME]).run().ok().stdout;
    let page = DrawnFile::with(&html, ".html");
    browser.open(&page.0);
    let title = browser.text("document.getElementById('what').textContent + document.title");
    assert!(title.contains(&shown(HOST_NAME)), "{title}");
    let texts = "[...document.querySelectorAll('#sheet .line span')].map((span) => span.textContent.trim())";
    let texts = browser.evaluate(texts);
    let texts: Vec<&str> = texts.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in IFNAMES {
        let count = texts.iter().filter(|text| **text == shown(name)).count();
        assert_eq!(count, 2, "{name:?}: in its container and as a port: {texts:?}");
    }
    assert!(texts.iter().any(|text| text.contains("<i>p\"&")), "{texts:?}");
    assert!(texts.contains(&"<u>br\"0"), "{texts:?}");
    // Every box, with its details.
    let count = browser.evaluate("document.querySelectorAll('.item').length").as_u64().unwrap();
    let mut details = String::new();
    for at in 0..count {
        browser.evaluate(&format!("document.querySelectorAll('.item')[{at}].click()"));
        details += &browser.text("document.getElementById('panel').textContent");
        assert_eq!(browser.evaluate(RAN), true);
    }
    assert!(details.contains(&shown(ALIAS)), "{details}");
    // A mount's name; and a container whose name is none goes by its ID.
    assert!(details.contains("alert(2)"), "{details}");
    let id = &fake_docker::id_of(CONTAINER)[..12];
    assert!(
        details.contains(id) && !details.contains("</script><script>alert(1)</script><img src=x"),
        "{details}"
    );
    // As a search, too.
    for name in IFNAMES.into_iter().chain([CONTAINER, ALIAS]) {
        browser.evaluate("document.getElementById('search').value = ''");
        browser.press("/");
        browser.write(name);
        assert_eq!(browser.evaluate(RAN), true);
    }
    browser.evaluate("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))");
    assert_eq!(browser.evaluate(OVERLAPS), json!([]));
    browser.screenshot("page-hostile");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_script_that_got_into_the_page_would_not_run() {
    let (host, mut browser) = (need!(HostileHost::new()), need!(browser()));
    let page = DrawnFile::of(&host.lab, &["--html"]);
    let html = std::fs::read_to_string(&page.0).unwrap();
    let broken = html.replace(
        "<noscript>",
        "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'><noscript>",
    );
    assert_ne!(broken, html);
    let page = DrawnFile::with(&broken, ".html");
    browser.open(&page.0);
    assert_eq!(browser.evaluate("window.ran === undefined"), true);
    assert!(browser.complaints().iter().any(|complaint| complaint.contains("Content Security Policy")));
}

#[test]
fn in_svg_and_graphviz_no_name_is_markup_and_each_is_there_as_text() {
    let (host, mut browser) = (need!(HostileHost::new()), need!(browser()));
    let world = need!(World::get().and_then(|world| world.with("browser")));
    let svg = DrawnFile::of(&host.lab, &["--graph", "svg"]);
    browser.open(&svg.0);
    let names = browser.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName).sort().filter((one, at, all) => one !== all[at - 1])");
    assert_eq!(names, json!(["circle", "g", "path", "rect", "style", "svg", "text", "title"]));
    let texts = browser.evaluate("[...document.querySelectorAll('text')].map((text) => text.textContent)");
    for name in IFNAMES {
        let count = texts.as_array().unwrap().iter().filter(|text| **text == shown(name)).count();
        assert_eq!(count, 2, "{name:?}: {texts}");
    }
    assert_eq!(browser.evaluate(SVG_OVERLAPS), json!([]));
    browser.screenshot("svg-hostile");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    let dot = host.lab.tool("netns-ls").args(["-q", "--graph", "dot"]).run().ok().stdout;
    let drawn = world.command("dot").arg("-Tsvg").run_with_input(&dot).ok();
    assert_eq!(drawn.stderr, "");
    let file = DrawnFile::with(&drawn.stdout, ".svg");
    browser.open(&file.0);
    let texts = browser.evaluate(
        "[...document.querySelectorAll('text')].map((text) => text.textContent.replaceAll('\\u00a0', ' '))",
    );
    for name in IFNAMES {
        let count = texts.as_array().unwrap().iter().filter(|text| **text == shown(name)).count();
        assert_eq!(count, 2, "{name:?}: {texts}");
    }
}
