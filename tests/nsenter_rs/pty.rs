//! `--pty`: the program has a terminal of its own, and whoever runs it hardly notices.
//!
//! The operator's terminal is script(1)'s, which we are run in; its size and modes are changed, and looked at, through
//! stty(1) from outside.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::container::{Container, Options};
use crate::support::lab::Lab;
use crate::support::run::{LIMIT, Ran, Run, Running};
use crate::support::skip::{Missing, need, program};
use crate::support::tools;

/// Where the program is: with and without a PID namespace of its own.
const WAYS: [&str; 2] = ["-n", "-p"];

fn web(lab: &Lab) -> Container {
    lab.container("web", Options::only(&["net", "pid"]))
}

fn pty(lab: &Lab, web: &Container, way: &str, script: &str) -> Command {
    let mut enter = lab.tool("nsenter-rs");
    enter.args(["-t", &web.pid.to_string(), way, "--pty", "sh", "-c", script]);
    enter
}

/// A shell at a terminal: it says which one, and runs `line`, in which `ENTER` is us.
struct Operator {
    running: Running,
    tty: String,
    /// The terminal's modes before we were run.
    before: String,
}

impl Operator {
    fn start(lab: &Lab, web: &Container, line: &str) -> Result<Operator, Missing> {
        program("script", "bsdutils")?;
        let enter = format!("{} -t {} --pty", tools::tool("nsenter-rs"), web.pid);
        let line = line.replace("ENTER", &enter);
        let line = format!("tty; stty rows 24 cols 80; echo prepared; read -r _; {line}");
        let mut terminal = lab.command("script");
        terminal.args(["--quiet", "--return", "--echo=never", "--command", &line, "/dev/null"]);
        let running = terminal.start_with(Stdio::piped());
        running.wait_for("prepared");
        let tty = running.first_line().unwrap_or_default().trim().to_owned();
        let mut operator = Operator { running, tty, before: String::new() };
        operator.before = operator.modes(lab);
        operator.running.say("\n");
        Ok(operator)
    }

    fn stty(&self, lab: &Lab, arguments: &[&str]) -> Ran {
        lab.command("stty").args(["-F", &self.tty]).args(arguments).run().ok()
    }

    fn modes(&self, lab: &Lab) -> String {
        self.stty(lab, &["-g"]).stdout
    }

    /// Until every key is passed on as it is, or is not any more.
    #[track_caller]
    fn wait_until_raw(&self, lab: &Lab, raw: bool) {
        let found = eventually(|| {
            let shown = self.stty(lab, &["-a"]).stdout;
            let is = ["-icanon", "-isig", "-echo "].iter().all(|mode| shown.contains(mode));
            (is == raw).then_some(())
        });
        assert!(found.is_some(), "raw is not {raw}: {}", self.running.so_far());
    }
}

/// The PID that the test sees of the process called `name` below `running`, once there is one.
#[track_caller]
pub(crate) fn find(running: &Running, name: &str) -> i32 {
    let found = eventually(|| {
        let mut line = vec![running.pid()];
        while let Some(pid) = line.pop() {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name) {
                return Some(pid);
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            line.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        None
    });
    found.unwrap_or_else(|| panic!("no {name} below {}", running.so_far()))
}

/// What `look` finds, for what the kernel tells nobody of when it happens.
fn eventually<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    let pause = || std::thread::sleep(Duration::from_millis(10));
    let began = Instant::now();
    std::iter::repeat_with(look).take_while(|_| began.elapsed() < LIMIT).find_map(|found| {
        if found.is_none() {
            pause();
        }
        found
    })
}

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
        let gone = eventually(|| {
            let status = fs::read_to_string(format!("/proc/{sleeper}/status")).unwrap_or_default();
            (!status.contains("sleep") || status.contains("Z (zombie)")).then_some(())
        });
        assert!(gone.is_some(), "{way}");
    }
}

#[test]
fn the_size_is_the_windows_and_follows_it() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        let script = "trap \"stty size\" WINCH; stty size; echo ready; while :; do sleep 0.01; done";
        let operator = need!(Operator::start(&lab, &web, &format!("ENTER {way} sh -c '{script}'")));
        operator.running.wait_for("24 80\r\n");
        operator.running.wait_for("ready");
        operator.stty(&lab, &["rows", "40", "cols", "132"]);
        operator.running.wait_for("40 132\r\n");
    }
}

#[test]
fn keys_are_the_programs_and_the_terminal_is_as_it_was_behind_it() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        let line = format!(
            "ENTER {way} sh -c 'trap \"echo interrupted\" INT; echo ready; cat; cat; exit 3'; echo status $?; read -r _"
        );
        let mut operator = need!(Operator::start(&lab, &web, &line));
        operator.running.wait_for("ready");
        operator.wait_until_raw(&lab, true);
        operator.running.say("typed\n");
        operator.running.wait_for("typed\r\ntyped\r\n");
        operator.running.say("\x03");
        operator.running.wait_for("interrupted");
        operator.running.say("\x04");
        operator.running.wait_for("status 3");
        assert_eq!(operator.modes(&lab), operator.before);
        operator.running.say("\n");
        assert!(operator.running.has_ended_within(LIMIT));
    }
}

#[test]
fn the_terminal_is_as_it_was_however_we_end() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for (how, script) in [
        ("it is over", "echo ready; read -r _; exit 0"),
        ("SIGTERM", "echo ready; exec sleep 1000"),
        ("SIGHUP", "echo ready; exec sleep 1000"),
        ("it is killed", "echo ready; read -r _; kill -9 $$"),
        ("there is no such program", "echo ready; read -r _; exec /nonexistent"),
    ] {
        let line = format!("ENTER -p sh -c '{script}'; echo back; read -r _");
        let mut operator = need!(Operator::start(&lab, &web, &line));
        operator.running.wait_for("ready");
        operator.wait_until_raw(&lab, true);
        match how.parse::<Signal>() {
            Ok(signal) => kill(Pid::from_raw(find(&operator.running, "nsenter-rs")), signal).unwrap(),
            Err(_) => operator.running.say("\n"),
        }
        operator.running.wait_for("back");
        operator.wait_until_raw(&lab, false);
        assert_eq!(operator.modes(&lab), operator.before, "{how}");
    }
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_takes_it_again() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    need!(program("bash", "bash"));
    for signal in [Signal::SIGTSTP, Signal::SIGSTOP] {
        let line = "export PS1='$ '; exec bash --norc --noprofile -i";
        let mut operator = need!(Operator::start(&lab, &web, line));
        let enter = format!("{} -t {} --pty -p", tools::tool("nsenter-rs"), web.pid);
        operator.running.say(&format!("{enter} sh -c 'echo rea''dy; exec cat'\n"));
        operator.running.wait_for("ready");
        operator.wait_until_raw(&lab, true);
        kill(Pid::from_raw(find(&operator.running, "nsenter-rs")), signal).unwrap();
        operator.running.wait_for("Stopped");
        operator.running.say("echo the shell is ba''ck\n");
        operator.running.wait_for("the shell is back");
        operator.stty(&lab, &["rows", "50", "cols", "100"]);
        operator.running.say("fg\n");
        operator.wait_until_raw(&lab, true);
        operator.running.say("once more\n");
        operator.running.wait_for("once more\r\nonce more\r\n");
        operator.running.say("\x04");
        operator.wait_until_raw(&lab, false);
        operator.running.say("echo it is ov''er; exit\n");
        operator.running.wait_for("it is over");
    }
}

#[test]
fn a_program_that_stops_stops_us() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    need!(program("bash", "bash"));
    let mut operator = need!(Operator::start(&lab, &web, "export PS1='$ '; exec bash --norc --noprofile -i"));
    let enter = format!("{} -t {} --pty -p", tools::tool("nsenter-rs"), web.pid);
    operator.running.say(&format!("{enter} sh -c 'echo rea''dy; kill -STOP $$; echo it goes on'\n"));
    operator.running.wait_for("Stopped");
    operator.running.say("fg\n");
    operator.running.wait_for("it goes on");
}

#[test]
fn a_shell_inside_has_job_control_of_its_own() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    need!(program("bash", "bash"));
    let line = "ENTER -p env PS1='$ ' bash --norc --noprofile -i; echo status $?";
    let mut operator = need!(Operator::start(&lab, &web, line));
    operator.running.wait_for("$ ");
    operator.running.say("sleep 1000\n");
    find(&operator.running, "sleep");
    operator.running.say("\x1a");
    operator.running.wait_for("Stopped");
    operator.running.say("jobs; kill %1; echo the inner sh''ell\n");
    operator.running.wait_for("the inner shell");
    operator.running.say("exit 6\n");
    operator.running.wait_for("status 6");
}

#[test]
fn the_terminal_belongs_to_whoever_the_program_is() {
    let lab = need!(crate::users::lab_with_users());
    let web = lab.container("web", Options::only(&["net", "pid"]));
    let mut enter = lab.tool("nsenter-rs");
    let script = "echo out >/dev/stdout; echo error >/dev/stderr; id -u";
    enter.args(["-t", &web.pid.to_string(), "-p", "-S", "1000", "-G", "1000", "--pty", "sh", "-c", script]);
    enter.run().ok().stdout_is("out\r\nerror\r\n1000\r\n");
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
