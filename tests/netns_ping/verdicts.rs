//! What is said of faults that are put in on purpose: `verdicts.tsv` has a line for each, with the cause that is right. Observer:
//! the seed of each row, which makes its fault with iproute2, nft and sysctl.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use common::diagnose::Cause;
use serde_json::Value;
use support::run::{Ran, Run};
use support::skip::{Missing, need, program, skipped};
use support::tools;

const ROWS: &str = include_str!("verdicts.tsv");
const ROWS_OF_KINDS: &str = include_str!("verdicts-kinds.tsv");
const LAB: &str = include_str!("verdicts-lab.sh");
/// So many labs at once.
const LABS: usize = 3;

/// A line of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: &'static str,
    seed: &'static str,
    undo: &'static str,
    probe: &'static str,
    /// More than one where kernels differ.
    cause: &'static str,
    says: &'static str,
}

/// What a row of the other table needs, and a script that fails in a new network where the kernel has none.
const KINDS: [(&str, &str); 5] = [
    ("vlan", "ip link add v type veth && ip link add link v name x type vlan id 5"),
    ("vrf", "ip link add x type vrf table 100"),
    ("bond", "ip link add x type bond mode active-backup"),
    ("ipvlan", "ip link add v type veth && ip link add link v name x type ipvlan"),
    (
        "esp",
        "ip xfrm state add src 10.9.1.2 dst 10.9.2.2 proto esp spi 1 mode transport auth 'hmac(sha256)' 0x11111111111111111111111111111111 \
         enc 'cbc(aes)' 0x11111111111111111111111111111111",
    ),
];

/// Each with what it needs.
fn rows_of_kinds() -> Vec<(&'static str, Row)> {
    let row = |line: &'static str| match line.split('\t').collect::<Vec<_>>()[..] {
        [id, needs, seed, undo, probe, cause, says] => (needs, Row { id, seed, undo, probe, cause, says }),
        _ => panic!("not seven columns: {line}"),
    };
    ROWS_OF_KINDS.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Whether this kernel has them.
fn kind(needs: &str) -> Result<(), Missing> {
    let (_, script) = KINDS.iter().find(|(name, _)| *name == needs).expect("one of KINDS");
    let mut unshare = tools::in_clean_environment(Command::new("unshare"));
    let made = unshare.args(["--net", "sh", "-c", script]).run();
    match made.status.is_some_and(|status| status.success()) {
        true => Ok(()),
        false => Err(Missing::ForGood(format!("kernel lacks {needs}"))),
    }
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| match line.split('\t').collect::<Vec<_>>()[..] {
        [id, seed, undo, probe, cause, says] => Row { id, seed, undo, probe, cause, says },
        _ => panic!("not six columns: {line}"),
    };
    ROWS.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Root without a user namespace around it, as the tool runs on a host.
fn observers() -> Result<(), Missing> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Missing::Fixable("needs root".into()));
    }
    for (name, package) in [
        ("unshare", "util-linux"),
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("tc", "iproute2"),
        ("ping", "iputils-ping"),
    ] {
        program(name, package)?;
    }
    Ok(())
}

/// Walks through the rows in one lab. Each leaves what the tool printed between two lines of its own.
fn walk(rows: &[Row]) -> Ran {
    let tool = tools::tool("netns-ping");
    let mut script = format!("{LAB}\n");
    for Row { id, seed, undo, probe, .. } in rows {
        let wait = if probe.contains("-W") { "" } else { "-W1" };
        // From another place than a, if it begins with that.
        let (target, probe) = match probe.split_once(' ') {
            Some((first, rest)) if first.starts_with("netns:") => (first, rest),
            _ => ("netns:a", *probe),
        };
        // Shells of their own: what a seed starts in the background does not hold this one's output.
        script += &format!("bash -c \"$(cat <<'END'\n{seed}\nEND\n)\" >/dev/null 2>&1 </dev/null\n");
        script += &format!("echo '== {id}'\n{tool} {target} -c1 {wait} {probe} --json 2>/run/said\n");
        script += "echo '=='; cat /run/said\n";
        script += &format!("bash -c \"$(cat <<'END'\n{undo}\nEND\n)\" >/dev/null 2>&1 </dev/null\n");
    }
    let mut unshare = tools::in_clean_environment(Command::new("unshare"));
    unshare.args(["--net", "--mount", "--propagation", "private", "bash", "-c", &script]);
    unshare.start().finish_within(Duration::from_secs(600))
}

/// The last event of each row, and what was said on standard error.
fn verdicts(ran: &Ran) -> Vec<(String, Value, String)> {
    let parts = ran.stdout.split("== ").skip(1).filter(|part| !part.trim().is_empty());
    let read = |part: &str| {
        let (id, rest) = part.split_once('\n').unwrap();
        let (events, said) = rest.split_once("==\n").unwrap_or_else(|| panic!("{id} did not end: {ran}"));
        let last = events.lines().last().unwrap_or_else(|| panic!("{id}: no event: {said}"));
        (id.to_owned(), serde_json::from_str(last).unwrap(), said.to_owned())
    };
    parts.map(read).collect()
}

#[test]
fn each_fault_is_called_what_it_is() {
    need!(observers());
    walk_all(rows());
}

#[test]
fn each_fault_of_a_vlan_a_vrf_a_bond_an_ipvlan_and_of_esp_is_called_what_it_is() {
    need!(observers());
    let missing: Vec<(&str, Missing)> =
        KINDS.iter().filter_map(|(name, _)| Some((*name, kind(name).err()?))).collect();
    for (name, missing) in &missing {
        skipped(&format!("netns_ping::verdicts: rows of {name}"), missing);
    }
    let is_there = |needs: &str| !missing.iter().any(|(name, _)| *name == needs);
    walk_all(rows_of_kinds().into_iter().filter(|(needs, _)| is_there(needs)).map(|(_, row)| row).collect());
}

/// Walks through them, and fails where one is called something else.
#[track_caller]
fn walk_all(rows: Vec<Row>) {
    let only = std::env::var("NETNS_TOOLBOX_FAULT").unwrap_or_default();
    let is_wanted = |row: &Row| only.is_empty() || only.split(',').any(|id| id == row.id);
    let rows: Vec<Row> = rows.into_iter().filter(is_wanted).collect();
    if rows.is_empty() {
        return;
    }
    let labs = rows.chunks(rows.len().div_ceil(LABS)).map(<[Row]>::to_vec);
    let walks: Vec<_> = labs.map(|rows| std::thread::spawn(move || walk(&rows))).collect();
    let walked: Vec<Ran> = walks.into_iter().map(|walk| walk.join().unwrap()).collect();
    let found: Vec<_> = walked.iter().flat_map(verdicts).collect();
    assert_eq!(found.len(), rows.len(), "{}", walked[0]);
    let mut wrong = Vec::new();
    for (row, (id, verdict, said)) in rows.iter().zip(&found) {
        assert_eq!(row.id, id);
        assert_eq!(verdict["event"], "verdict", "{id}: the last event");
        let cause = verdict["cause"].as_str().unwrap_or("-");
        let is_quiet = cause != "-" || said.is_empty();
        if !row.cause.split(' ').any(|right| right == cause) || !is_quiet {
            wrong.push(format!("{id}: {cause} in place of {}: {said}", row.cause));
        } else if !only.is_empty() {
            println!("{id}: {said}");
        }
        // An error that came to the socket was not dropped, and is not said to have been.
        let is_dropped = verdict["text"].as_str().is_some_and(|text| text.contains("dropped in here"));
        if is_dropped && cause.starts_with("icmp-") && !row.says.contains("drop") {
            wrong.push(format!("{id}: {}", verdict["text"]));
        }
        let fix = verdict["fix"].as_array().unwrap_or_else(|| panic!("{id}: {verdict}"));
        assert!(fix.iter().all(|command| command.is_string()), "{id}: {verdict}");
    }
    println!("{} of {} right", rows.len() - wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn the_table_has_only_words_that_there_are() {
    let words: BTreeSet<&str> = Cause::PINGED.iter().map(|cause| cause.word()).collect();
    for row in rows().into_iter().chain(rows_of_kinds().into_iter().map(|(_, row)| row)) {
        let is_word = |cause: &str| cause == "-" || words.contains(cause);
        assert!(row.cause.split(' ').all(is_word), "{row:?}");
    }
}

#[test]
fn the_manual_has_each_cause_with_its_line() {
    let manual = include_str!("../../man/sections/netns-ping.roff");
    let (_, table) = manual.split_once(".SS Causes\n").expect("a section Causes");
    let (table, _) = table.split_once("\n.SS ").or_else(|| table.split_once("\n.SH ")).unwrap();
    let plain = |text: &str| text.replace("\\-", "-").replace("\\(aq", "'");
    let mut lines = table.lines().map(plain).skip_while(|line| line != ".TP");
    let mut found = Vec::new();
    while let (Some(".TP"), Some(word), Some(line)) = (lines.next().as_deref(), lines.next(), lines.next()) {
        found.push((word.trim_start_matches(".B ").to_owned(), line));
    }
    let expected: Vec<(String, String)> =
        Cause::PINGED.iter().map(|cause| (cause.word().to_owned(), cause.differs().to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn json_ends_with_a_verdict_whatever_went_wrong() {
    let lab = need!(support::lab::Lab::new());
    let web = lab.container("web", support::container::Options::default());
    let pid = format!("pid:{}", web.pid);
    let cases: [(&[&str], &str); 9] = [
        (&["--json", &pid, "10.9.9.9"], "no-route"),
        (&["--json", &pid, "gateway"], "no-route"),
        (&["--json", &pid, "docker:nobody"], "not-done"),
        (&["--json", "--arp", &pid, "10.9.9.9"], "not-done"),
        (&["--json", "--rate", "9", &pid, "10.9.9.9"], "not-done"),
        (&["--json", "4194304", "10.9.9.9"], "not-done"),
        (&["--json", &pid, "10.9.9.0/30"], "not-done"),
        (&["--json", "4194304", "10.9.9.0/30"], "not-done"),
        (&["--json", "--matrix", "nobody-*"], "not-done"),
    ];
    for (words, cause) in cases {
        let ran = lab.tool("netns-ping").args(words).run();
        let last: Value =
            serde_json::from_str(ran.stdout.lines().last().unwrap_or_else(|| panic!("{ran}"))).unwrap();
        assert_eq!((&last["event"], &last["cause"]), (&"verdict".into(), &cause.into()), "{ran}");
        let text = last["text"].as_str().unwrap();
        assert!(ran.stderr.contains(text), "{text:?} is not what people are told: {ran}");
    }
    // What clap refuses is no event: nothing of the command line is known then.
    let ran = lab.tool("netns-ping").args(["--json", &pid, "10.9.9.9", "--nonsense"]).run().fails_with(2);
    assert_eq!(ran.stdout, "", "{ran}");
    let ran = lab.tool("netns-ping").args(["--json", "-c1", &pid, "127.0.0.1"]).run().ok();
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["cause"], &last["fix"]),
        (&"verdict".into(), &Value::Null, &Value::Array(vec![]))
    );
    assert_eq!(ran.stderr, "");
}
