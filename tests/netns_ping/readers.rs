//! Programs that read what ping(8) prints, and must not notice whose it is: check_ping of the monitoring plugins, jc,
//! pingparsing and prettyping. `tests/setup/ping-readers` brings them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use support::run::{Ran, Run};
use support::skip::{Missing, need};
use support::tools;

use crate::{Cable, cable};

struct Readers {
    debian: PathBuf,
    python: PathBuf,
}

fn readers() -> Result<Readers, Missing> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/ping-readers");
    let ran = Command::new(script).output().map_err(|error| Missing::Fixable(error.to_string()))?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    match text.lines().collect::<Vec<_>>()[..] {
        [debian, python] if ran.status.success() => {
            Ok(Readers { debian: debian.into(), python: python.into() })
        }
        _ => {
            let last = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().to_owned();
            Err(Missing::Fixable(format!("check_ping, jc, pingparsing, prettyping cannot be had: {last}")))
        }
    }
}

/// A program that takes the place of ping(8), from inside of web.
fn shim(cable: &Cable) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("ping-shim-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let file = std::env::temp_dir().join(name);
    let script = format!("#!/bin/sh\nexec {} pid:{} \"$@\"\n", tools::tool("netns-ping"), cable.web.pid);
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// A script in the lab, with ping(8) hidden behind ours where `is_ours`, and else run inside of web.
#[track_caller]
fn with_ping(cable: &Cable, is_ours: bool, script: &str) -> Ran {
    let mut command = match is_ours {
        true => cable.lab.command("unshare"),
        false => cable.lab.command("nsenter"),
    };
    let target = cable.web.pid.to_string();
    let shim = is_ours.then(|| shim(cable));
    if let Some(shim) = &shim {
        let bind = format!("mount --bind {} \"$(readlink -f /bin/ping)\" && {script}", shim.display());
        command.args(["--mount", "sh", "-c", &bind]);
    } else {
        command.args(["--target", &target, "--net", "sh", "-c", script]);
    }
    let ran = command.run();
    if let Some(shim) = &shim {
        let _ = fs::remove_file(shim);
    }
    ran
}

#[test]
fn check_ping_takes_it_for_ping() {
    let readers = need!(readers());
    let cable = need!(cable());
    let plugin = readers.debian.join("usr/lib/nagios/plugins/check_ping");
    for (host, status, said) in [
        ("198.18.0.2", 0, "PING OK - Packet loss = 0%, RTA = "),
        ("198.18.0.77", 2, "CRITICAL"),
        ("fd00::2", 0, "PING OK - Packet loss = 0%, RTA = "),
    ] {
        let script = format!("{} -H {host} -w 100,20% -c 500,60% -p 2 -t 5", plugin.display());
        for is_ours in [false, true] {
            let ran = with_ping(&cable, is_ours, &script);
            assert_eq!(ran.status.unwrap().code(), Some(status), "ours: {is_ours}: {ran}");
            ran.stdout_has(said);
        }
    }
}

#[test]
fn jc_and_pingparsing_read_the_same_as_of_ping() {
    let readers = need!(readers());
    let cable = need!(cable());
    let python = readers.python.display();
    let lossy = "nft add table inet f; nft add chain inet f c '{ type filter hook input priority 0; }'; \
                 nft add rule inet f c icmp type echo-request numgen inc mod 4 1 drop";
    for (loss, words) in [
        (false, "-c2 -i0.2 198.18.0.2"),
        (false, "-c1 -W1 198.18.0.77"),
        (false, "-c2 -i0.2 fd00::2"),
        (false, "-c2 -i0.2 -q 198.18.0.2"),
        (true, "-c4 -i0.2 -W1 198.18.0.2"),
    ] {
        if loss && support::skip::program("nft", "nftables").is_ok() {
            cable.inside(&cable.db, lossy).ok();
        }
        for program in ["jc --ping", "pingparsing --no-color -"] {
            let script =
                format!("ping {words} 2>/dev/null | PYTHONPATH={python} python3 {python}/bin/{program}");
            let read = |is_ours| normal(&with_ping(&cable, is_ours, &script).ok().json());
            let (theirs, ours) = (read(false), read(true));
            assert!(theirs.to_string().contains("loss"), "{theirs}");
            assert_eq!(ours, theirs, "{program}: {words}");
        }
    }
}

/// Without the times, which differ from run to run.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    let is_time = ["rtt", "time", "round_trip"].iter().any(|word| key.contains(word));
                    let value = if is_time && value.is_number() { Value::from("N") } else { normal(value) };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.iter().map(normal).collect()),
        other => other.clone(),
    }
}

#[test]
fn prettyping_draws_it() {
    let readers = need!(readers());
    let cable = need!(cable());
    let program = readers.debian.join("usr/bin/prettyping");
    cable.ping("198.18.0.2 -c1").ok();
    // Whether an error comes before the end depends on what was asked for before.
    let script = format!("TERM=dumb {} --nocolor --noterminal -c2 -i0.3 -W1 198.18.0.77", program.display());
    with_ping(&cable, true, &script).stdout_has("2 packets transmitted, 0 received, ");
    for host in ["198.18.0.2", "fd00::2"] {
        let script = format!("TERM=dumb {} --nocolor --noterminal -c3 -i0.3 -W1 {host}", program.display());
        let drawn = |is_ours| {
            let ran = with_ping(&cable, is_ours, &script);
            ran.stdout.replace(|c: char| c.is_ascii_digit(), "").replace("..", ".")
        };
        let (theirs, ours) = (drawn(false), drawn(true));
        assert!(theirs.contains("packets transmitted"), "{theirs}");
        assert_eq!(ours, theirs, "{host}");
    }
}
