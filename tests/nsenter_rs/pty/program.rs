//! What the program sees of it: its terminal, its input and output, its signals and its end.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{WAYS, eventually, find, has_ended, pty, web};
use crate::users;
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need, program};
use support::tools;

#[test]
fn the_program_is_at_a_terminal_in_a_session_of_its_own() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        let script = "test -t 0 && test -t 1 && test -t 2 && echo terminals; : </dev/tty && echo controlling; \
                      set -- $(cat /proc/$$/stat); echo $(( $1 == $6 ))";
        let script = if way == "-p" { script.replace("/proc/$$/", "/proc/self/") } else { script.to_owned() };
        let ran = pty(&lab, &web, way, &script).run().ok();
        let leads = if way == "-p" { "0" } else { "1" };
        assert_eq!(ran.stdout, format!("terminals\r\ncontrolling\r\n{leads}\r\n"), "{ran}");
    }
}

#[test]
fn its_end_is_ours() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        pty(&lab, &web, way, "exit 3").run().fails_with(3);
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGHUP, Signal::SIGUSR1] {
            pty(&lab, &web, way, &format!("kill -{} $$", signal as i32)).run().killed_by(signal);
        }
    }
    let target = web.pid.to_string();
    let mut missing = lab.tool("nsenter-rs");
    let missing = missing.args(["-t", &target, "-p", "--pty", "no-such-program"]).run().fails_with(127);
    missing.stdout_has("no-such-program: no such program\r\n");
    let refused = lab.tool("nsenter-rs").args(["-t", &target, "-p", "--pty", "-F", "true"]).run();
    refused.fails_with(1).stderr_has("cannot be used with");
}

#[test]
fn nothing_that_it_said_is_lost_at_its_end() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        for _ in 0..20 {
            pty(&lab, &web, way, "echo one; echo two >&2; printf three")
                .run()
                .ok()
                .stdout_is("one\r\ntwo\r\nthree");
        }
        // Neither much of it.
        let ran = pty(&lab, &web, way, "seq 1000000; printf end").run().ok();
        let expected: String = (1..=1_000_000).map(|number| format!("{number}\r\n")).collect();
        assert!(ran.stdout == expected + "end", "{} bytes", ran.stdout.len());
    }
}

#[test]
fn a_reader_that_is_slow_makes_the_program_wait_and_not_us_grow() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let mut enter = pty(&lab, &web, "-p", "head -c 10000000 /dev/zero | tr '\\0' x; echo");
    let mut child = enter.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 1];
    output.read_exact(&mut first).unwrap();
    // The program runs, and nobody reads: everything stands still.
    let ours = {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        children.trim().parse::<i32>().unwrap()
    };
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{ours}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap().trim().to_owned();
        line.trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{ours}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(ticks() - before <= 2, "it does not sleep");
    assert!(memory() < 16 << 10, "{} KiB", memory());
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + 1, 10_000_000 + 2);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_piped_in_reaches_it_and_so_does_the_end() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        for (input, output) in [("", ""), ("one\ntwo\n", "one\r\ntwo\r\n"), ("half a line", "half a line")] {
            pty(&lab, &web, way, "cat").run_with_input(input).ok().stdout_is(output);
        }
        pty(&lab, &web, way, "cat; echo over").run().ok().stdout_is("over\r\n");
        // More than a terminal holds, in lines that it can hold: nothing is lost on the way in either.
        let lines: String = (0..20_000).map(|number| format!("{number:0>50}\n")).collect();
        let sum = Command::new("cksum").run_with_input(&lines).ok().stdout;
        let counted = pty(&lab, &web, way, "cksum").run_with_input(&lines).ok();
        assert_eq!(counted.stdout.trim(), sum.trim());
    }
}

#[test]
fn when_nobody_reads_its_output_it_is_hung_up() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let enter = format!("{} -t {} -p --pty", tools::tool("nsenter-rs"), web.pid);
    let bash = need!(program("bash", "bash"));
    let line = format!("{enter} yes | head -n 1; echo ${{PIPESTATUS[0]}}");
    let ran = lab.command(&bash).args(["-c", &line]).run().ok();
    // 128 and SIGPIPE, as of any other program.
    ran.stdout_is("y\r\n141\n");
    let line = format!(
        "{enter} sh -c 'trap \"echo hung up >/run/hup; exit 5\" HUP; yes' | head -n 1; echo ${{PIPESTATUS[0]}}"
    );
    lab.command(&bash).args(["-c", &line]).run().ok().stdout_is("y\r\n5\n");
    assert_eq!(fs::read_to_string(lab.path("/run/hup")).unwrap(), "hung up\n");
}

#[test]
fn signals_for_us_reach_the_program() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for name in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"] {
        let script =
            format!("trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done");
        for way in WAYS {
            let running = pty(&lab, &web, way, &script).start_with(Stdio::piped());
            running.wait_for("ready");
            let signal: Signal = format!("SIG{name}").parse().unwrap();
            kill(Pid::from_raw(find(&running, "nsenter-rs")), signal).unwrap();
            running.wait_for(&format!("got {name}"));
            running.finish().fails_with(7);
        }
    }
}

#[test]
fn it_does_not_outlive_us_whatever_it_ignores() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        let script = "trap '' HUP TERM INT; echo ready; exec sleep 1000";
        let running = pty(&lab, &web, way, script).start_with(Stdio::piped());
        running.wait_for("ready");
        let sleeper = find(&running, "sleep");
        kill(Pid::from_raw(find(&running, "nsenter-rs")), Signal::SIGKILL).unwrap();
        running.finish().killed_by(Signal::SIGKILL);
        let gone = eventually(|| has_ended(sleeper).then_some(()));
        assert!(gone.is_some(), "{way}");
    }
}

#[test]
fn the_terminal_belongs_to_whoever_the_program_is() {
    let lab = need!(users::lab_with_users());
    let web = lab.container("web", Options::only(&["net", "pid"]));
    let mut enter = lab.tool("nsenter-rs");
    let script = "echo out >/dev/stdout; echo error >/dev/stderr; id -u";
    enter.args(["-t", &web.pid.to_string(), "-p", "-S", "1000", "-G", "1000", "--pty", "sh", "-c", script]);
    enter.run().ok().stdout_is("out\r\nerror\r\n1000\r\n");
    // Root of a user namespace is nobody's root outside, where the terminal comes from.
    let (_container, target) = users::users_container(&lab);
    let mut enter = lab.tool("nsenter-rs");
    enter.args(["-t", &target, "-U", "-n", "--pty", "sh", "-c", script]);
    enter.run().ok().stdout_is("out\r\nerror\r\n0\r\n");
}

#[test]
fn a_program_that_closes_its_terminal_costs_us_no_time() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let script = "exec setsid sleep 1.5 <&- >&- 2>&-";
    let mut time = lab.command("bash");
    let enter = format!(
        "TIMEFORMAT='%U %S'; time {} -t {} -p --pty sh -c '{script}'",
        tools::tool("nsenter-rs"),
        web.pid
    );
    need!(program("bash", "bash"));
    let ran = time.args(["-c", &enter]).run().ok();
    let seconds: f64 = ran.stderr.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).sum();
    assert!(seconds < 0.7, "{ran}");
}

#[test]
fn a_program_that_hangs_up_its_terminal_ends_as_it_ends() {
    need!(program("perl", "perl-base"));
    // vhangup(2) takes CAP_SYS_TTY_CONFIG over the real host: only its root can do that.
    if !nix::unistd::geteuid().is_root() {
        return need!(Err(Missing::Fixable("vhangup(2) needs root".into())));
    }
    let number = if cfg!(target_arch = "x86_64") { 153 } else { 58 };
    for (program, status) in [("$SIG{HUP} = 'IGNORE';", Some(6)), ("", None)] {
        let script = format!("{program} print \"ready\\n\"; syscall({number}); sleep 1; exit 6;");
        // On the host itself: without any namespace there is nothing that could be changed there.
        let mut enter = Command::new(tools::tool("nsenter-rs"));
        let ran = enter.args(["--pty", "-W", "/", "perl", "-e", &script]).run();
        match status {
            Some(status) => drop(ran.fails_with(status)),
            None => drop(ran.killed_by(Signal::SIGHUP)),
        }
    }
}
