//! docs/recording.svg and docs/matrix.svg: a terminal, drawn from a real run. The recording moves by CSS alone: no script is in it,
//! and where nothing moves (a viewer that knows no animation, or a reader who wants none) its last screen stands still.
//!
//! `tests/setup/record` draws both again.

use std::fmt::Write;
use std::fs;

use support::skip::{Missing, need};

use crate::compare::shape;
use crate::pages::UPLINK;
use crate::paste::{in_a_world, root};

/// Columns and rows of the terminal.
const SIZE: (usize, usize) = (106, 26);
/// Of a character, in pixels.
const CELL: (f64, f64) = (8.0, 18.0);
/// Seconds for which a screen stays, for each line of output that is to be read, and at least; and for typing.
const PER_LINE: f64 = 0.25;
const AT_LEAST: f64 = 1.2;
const TYPING: f64 = 0.8;

/// What is typed, and what was printed.
type Shot = (String, Vec<String>);

/// Runs the commands one after the other.
fn shots(setting: &str, commands: &[&str]) -> Result<Vec<Shot>, Missing> {
    let mut script = format!("{{\n{setting}\n}} >setting 2>&1 || cat setting\n");
    for command in commands {
        let _ = writeln!(script, "echo '\u{1}'; {{\n{command}\n}}");
    }
    let printed = in_a_world(&script)?;
    let parts = printed.split('\u{1}').skip(1).map(|part| part.trim_start_matches('\n').trim_end());
    let shots = commands.iter().zip(parts);
    Ok(shots
        .map(|(command, part)| ((*command).to_owned(), part.lines().map(str::to_owned).collect()))
        .collect())
}

/// A line of the screen.
struct Line {
    text: String,
    is_typed: bool,
    /// When it is there.
    at: f64,
}

/// The screens of a recording, each with when it begins, and when all ends.
fn screens(shots: &[Shot]) -> (Vec<(f64, Vec<Line>)>, f64) {
    let mut screens: Vec<(f64, Vec<Line>)> = vec![(0.0, Vec::new())];
    let mut now = 0.3;
    for (command, printed) in shots {
        let printed: Vec<String> = printed.iter().flat_map(|line| wrapped(line)).collect();
        let full = screens.last().is_some_and(|(_, lines)| lines.len() + printed.len() + 2 > SIZE.1);
        if full {
            screens.push((now, Vec::new()));
        }
        let Some((_, screen)) = screens.last_mut() else { continue };
        screen.push(Line { text: format!("# {command}"), is_typed: true, at: now });
        now += TYPING;
        let lines = printed.len();
        screen.extend(printed.into_iter().map(|text| Line { text, is_typed: false, at: now }));
        now += AT_LEAST + PER_LINE * lines as f64;
    }
    (screens, now + 2.0)
}

/// In pieces as wide as the terminal.
fn wrapped(line: &str) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    if chars.is_empty() {
        return vec![String::new()];
    }
    chars.chunks(SIZE.0).map(|piece| piece.iter().collect()).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a line is: to be typed, a reason or a way out, or output.
fn class(line: &Line) -> &'static str {
    let begins = |words: &[&str]| words.iter().any(|word| line.text.starts_with(word));
    match () {
        () if line.is_typed => "t",
        () if begins(&["OCI ", "exec: ", "netns-ping: ", "cause: ", "executable"])
            || line.text.contains(" ✗ ") =>
        {
            "b"
        }
        () if begins(&["hint: ", "fix: ", "works: ", "hello", "nginx: "]) => "g",
        () => "o",
    }
}

const STYLE: &str = "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}\
.o{fill:#d0d7de}.t{fill:#fff;font-weight:bold}.b{fill:#ff9492}.g{fill:#7ee787}";

fn frame(rows: usize, inside: &str, style: &str, title: &str) -> String {
    let (width, height) = (SIZE.0 as f64 * CELL.0 + 24.0, rows as f64 * CELL.1 + 44.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}{style}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n\
         <g fill=\"#484f58\"><circle cx=\"18\" cy=\"16\" r=\"5\"/><circle cx=\"36\" cy=\"16\" r=\"5\"/><circle cx=\"54\" cy=\"16\" r=\"5\"/></g>\n\
         {inside}</svg>\n"
    )
}

fn text(row: usize, class: &str, attributes: &str, text: &str) -> String {
    let y = 46.0 + row as f64 * CELL.1;
    format!(
        "<text x=\"12\" y=\"{y}\" class=\"{class}\"{attributes} xml:space=\"preserve\">{}</text>\n",
        escaped(text)
    )
}

/// All screens, one after the other, for ever.
fn moving(shots: &[Shot]) -> String {
    let (screens, end) = screens(shots);
    let percent = |at: f64| format!("{:.2}%", at / end * 100.0);
    let mut style = format!(
        "g.s{{visibility:hidden}}g.s:last-of-type{{visibility:visible}}\
         @media not (prefers-reduced-motion){{.s,.s text{{animation-duration:{end:.1}s;animation-iteration-count:infinite;animation-timing-function:step-end}}"
    );
    let mut frames = String::new();
    let mut inside = String::new();
    let mut number = 0;
    for (nth, (from, lines)) in screens.iter().enumerate() {
        let to = screens.get(nth + 1).map_or(end, |(next, _)| *next);
        let _ = write!(style, "#s{nth}{{animation-name:s{nth}}}");
        let before = if *from > 0.0 {
            format!("0%{{visibility:hidden}}{}{{visibility:visible}}", percent(*from))
        } else {
            "0%{visibility:visible}".to_owned()
        };
        let after = if to < end {
            format!("{}{{visibility:hidden}}100%{{visibility:hidden}}", percent(to))
        } else {
            "100%{visibility:visible}".to_owned()
        };
        let _ = write!(frames, "@keyframes s{nth}{{{before}{after}}}");
        let _ = writeln!(inside, "<g class=\"s\" id=\"s{nth}\">");
        for (row, line) in lines.iter().enumerate() {
            let _ = write!(style, "#l{number}{{animation-name:l{number}}}");
            let hidden = |at: f64| {
                if at > 0.0 {
                    format!("0%{{opacity:0}}{}{{opacity:1}}", percent(at))
                } else {
                    "0%{opacity:1}".to_owned()
                }
            };
            if line.is_typed {
                // Revealed from the left, a character after the other.
                let steps = line.text.chars().count();
                let _ = write!(style, "#l{number}{{animation-timing-function:steps({steps})}}");
                let (begin, done) = (percent(line.at), percent(line.at + TYPING * 0.8));
                let _ = write!(
                    frames,
                    "@keyframes l{number}{{0%,{begin}{{clip-path:inset(0 100% 0 0)}}{done},100%{{clip-path:inset(0 0 0 0)}}}}"
                );
            } else {
                let _ = write!(frames, "@keyframes l{number}{{{}100%{{opacity:1}}}}", hidden(line.at));
            }
            inside += &text(row, class(line), &format!(" id=\"l{number}\""), &line.text);
            number += 1;
        }
        inside += "</g>\n";
    }
    style += "}";
    frame(
        SIZE.1,
        &inside,
        &(style + &frames),
        "netns-toolbox: a container cannot reach something, and the way out",
    )
}

/// One screen that stands still.
fn still(shots: &[Shot], title: &str) -> String {
    let (screens, _) = screens(shots);
    let lines = &screens[0].1;
    let inside: String =
        lines.iter().enumerate().map(|(row, line)| text(row, class(line), "", &line.text)).collect();
    let lost = inside.replace("  lost", "  <tspan class=\"b\">lost</tspan>");
    frame(lines.len(), &lost, "", title)
}

/// The words of what is drawn.
fn drawn(svg: &str) -> Vec<Vec<String>> {
    let texts = svg
        .split("<text")
        .skip(1)
        .filter_map(|text| Some(text.split_once('>')?.1.split("</text>").next()?.to_owned()));
    texts.map(|text| shape(&text)).collect()
}

fn check(file: &str, svg: &str) {
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs::write(root(file), svg).unwrap();
    }
    let before = fs::read_to_string(root(file)).unwrap_or_default();
    assert_eq!(
        drawn(&before),
        drawn(svg),
        "{file} shows what is not so any more: tests/setup/record draws it again"
    );
    assert!(!svg.contains("<script") && !svg.contains("http://www.w3.org/1999/xlink"), "{file}");
}

/// Behind the uplink.
const SETTING: &str = "
    docker run --detach --name nginx netns-toolbox/busybox sh -c \
        'mkdir -p /www; echo hello >/www/index.html; rm -f /bin/ss; exec httpd -f -p 80 -h /www'
    docker run --detach --name db netns-toolbox/busybox sleep 1000
    iptables -I DOCKER-USER -d 192.0.2.1 -m comment --comment 'policy 42' -j DROP";

#[test]
fn the_recording_shows_what_a_run_prints() {
    let commands = [
        "docker exec nginx ss -tln",
        "cpid nginx",
        "nsenter-rs -t nginx -n ss -tln",
        "netns-ping nginx 192.0.2.1 -c1 -W1",
        "netns-ls",
        "netns-trace nginx 192.0.2.1",
        "iptables -D DOCKER-USER -d 192.0.2.1/32 -m comment --comment 'policy 42' -j DROP",
        "netns-ping nginx 192.0.2.1 -c1 -q | tail -2",
        "add-nic nginx 10.1.0.2/24 --name net0",
        "curl -s http://10.1.0.2/",
    ];
    let shots = need!(shots(&format!("{UPLINK}{SETTING}"), &commands));
    let svg = moving(&shots);
    let (_, end) = screens(&shots);
    assert!((20.0..=40.0).contains(&end), "{end} seconds");
    check("docs/recording.svg", &svg);
}

#[test]
fn the_matrix_shows_what_a_run_prints() {
    let setting = "
        docker network create --subnet 198.19.2.0/24 shop
        for name in web api db cache; do docker run --detach --name $name --network shop netns-toolbox/busybox sleep 1000; done
        nsenter-rs -t db -n iptables -A INPUT -s $(docker inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' web) -j DROP";
    let shots = need!(shots(setting, &["netns-ping --matrix"]));
    check("docs/matrix.svg", &still(&shots, "netns-ping --matrix: every container to every other one"));
}
