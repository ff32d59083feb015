//! Whether two texts say the same, but for numbers that differ from run to run.

/// Of a time, in the next word.
const UNITS: [&str; 5] = ["ms", "s", "µs", "ns,", "ms)"];

/// The words of a text with what differs between two runs taken out.
pub fn shape(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let word_at = |at: usize| words.get(at).copied().unwrap_or_default();
    let next = |at: usize| word_at(at + 1);
    let ago = ["second", "seconds", "minute", "minutes"];
    let mut shaped = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match words[at] {
            "just" if next(at).starts_with("now") => {
                shaped.push(next(at).replacen("now", "ago", 1));
                at += 1;
            }
            number if ago.contains(&next(at)) && number.parse::<u32>().is_ok() => {
                shaped.push(word_at(at + 2).to_owned());
                at += 2;
            }
            number if UNITS.contains(&next(at)) && number.parse::<f64>().is_ok() => {
                shaped.push("#".to_owned())
            }
            one => shaped.push(word(one)),
        }
        at += 1;
    }
    shaped
}

/// An address stays; other numbers, and hexadecimal ones that are long, are a sign each.
fn word(word: &str) -> String {
    let parts =
        word.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == ':' || c == '_'));
    parts.map(part).collect()
}

fn part(part: &str) -> String {
    let (body, end) = match part.char_indices().next_back() {
        Some((at, last)) if !last.is_ascii_alphanumeric() => part.split_at(at),
        _ => (part, ""),
    };
    let address = body.split(':').next().unwrap_or(body);
    let is_address =
        address.split('.').count() == 4 && address.split('.').all(|octet| octet.parse::<u8>().is_ok());
    let is_mac = body.split(':').count() == 6 && body.split(':').all(|byte| byte.len() == 2);
    if is_address {
        // Of an outgoing connection, or a name server of Docker's.
        let is_chosen = |port: &str| port.parse::<u16>().is_ok_and(|port| port >= 30000);
        return match body.split_once(':') {
            Some((_, port)) if is_chosen(port) => format!("{address}:#{end}"),
            _ => part.to_owned(),
        };
    }
    if is_mac || body.starts_with("fe80::") {
        return format!("#{end}");
    }
    let mut shaped = String::new();
    for run in runs(body) {
        let is_hex = run.len() >= 7
            && run.bytes().all(|b| b.is_ascii_hexdigit())
            && run.bytes().any(|b| b.is_ascii_digit());
        let is_number = run.len() > 1
            && run.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && run.bytes().any(|b| b.is_ascii_digit());
        // veth077b91e: the kernel's and Docker's own names.
        let veth = run
            .strip_prefix("veth")
            .or(run.strip_prefix("br-"))
            .filter(|rest| rest.len() >= 7 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
        match (is_hex || is_number, veth) {
            (true, _) => shaped.push('#'),
            (_, Some(_)) => shaped += "veth#",
            _ => shaped += &digits_out(run),
        }
    }
    shaped + end
}

/// Alternately what is of letters and digits, and the signs between.
fn runs(text: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (run, more) = rest.split_at(end);
        runs.push(run);
        rest = more;
    }
    runs
}

/// The index in `if8`, the unit in `20ms`: a number at the end or the beginning of a word of letters, if it has two digits or more
/// or follows `if`.
fn digits_out(run: &str) -> String {
    if run.strip_prefix("if").is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit())) {
        return "if#".to_owned();
    }
    let letters = run.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if letters.len() < run.len() && ["ms", "s", "us", "MB", "kB"].contains(&letters) {
        return format!("#{letters}");
    }
    run.to_owned()
}

#[test]
fn what_differs_from_run_to_run_is_the_same_and_nothing_else_is() {
    for (one, other) in [
        ("eth0@if8 UP 198.18.0.2/24", "eth0@if12 UP 198.18.0.2/24"),
        ("time=0.395 ms (arp 0.166 ms)", "time=0.1 ms (arp 12.5 ms)"),
        ("→ veth077b91e docker0 02:42:ac:11:00:02", "→ vethe81f00a docker0 02:42:ff:11:00:02"),
        ("reachable after 20 ms", "reachable after 4 ms"),
        ("running 1 second ago", "running just now"),
        ("exited, code 0, 1 second ago)", "exited, code 0, just now)"),
        ("time 1003ms", "time 1044ms"),
        ("network namespace 4026532696", "network namespace 4026531111"),
    ] {
        assert_eq!(shape(one), shape(other));
    }
    for (one, other) in [
        ("eth0@if8 UP 198.18.0.2/24", "eth0@if8 UP 198.18.0.3/24"),
        ("eth0", "eth1"),
        ("web-1", "web-2"),
        ("up", "down"),
        ("198.18.0.2:80", "198.18.0.2:81"),
    ] {
        assert_ne!(shape(one), shape(other));
    }
}
