//! What the operator sees of it: keys, the window's size, stops, and a terminal that is as it was behind it.
//!
//! The terminal is script(1)'s; its size and modes are changed, and looked at, through stty(1) from outside.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{WAYS, eventually, find, has_ended, web};
use support::container::Container;
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;

/// A shell at a terminal: it says which one, and runs `line`, in which `ENTER` is us.
struct Operator {
    running: RunningProgram,
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
        assert!(operator.running.ends());
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
        ("no such program", "echo ready; read -r _; exec /nonexistent"),
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
fn the_key_that_interrupts_ends_what_has_stopped_inside() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    need!(program("bash", "bash"));
    let mut operator = need!(Operator::start(&lab, &web, "export PS1='$ '; exec bash --norc --noprofile -i"));
    // The program waits for what it has started, and that has stopped: neither dies of a signal that only the other gets.
    std::fs::write(lab.path("/run/script"), "sh -c 'echo ready; kill -STOP $$; sleep 1000'; true\n").unwrap();
    let enter = format!("{} -t {} --pty -p", tools::tool("nsenter-rs"), web.pid);
    operator.running.say(&format!("{enter} bash /run/script\n"));
    operator.running.wait_for("ready");
    let sh = find(&operator.running, "sh");
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{sh}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
    };
    assert!(eventually(is_stopped).is_some(), "{}", operator.running.so_far());
    operator.running.say("\x03");
    operator.wait_until_raw(&lab, false);
    operator.running.say("echo it is ov''er; exit\n");
    operator.running.wait_for("it is over");
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
    let sleep = find(&operator.running, "sleep");
    // Only in front is it asked to stop: the shell is not.
    let is_in_front = || {
        let stat = std::fs::read_to_string(format!("/proc/{sleep}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let (group, in_front) = (fields.get(2)?, fields.get(5)?);
        (group == in_front).then_some(())
    };
    assert!(eventually(is_in_front).is_some(), "{}", operator.running.so_far());
    operator.running.say("\x1a");
    operator.running.wait_for("Stopped");
    operator.running.say("jobs; kill %1; echo the inner sh''ell\n");
    operator.running.wait_for("the inner shell");
    // The first one is refused if the job's end is not known by then.
    operator.running.say("exit 6\nexit 6\n");
    operator.running.wait_for("status 6");
}

#[test]
fn a_terminal_of_another_session_is_as_it_was_too() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    let operator = need!(Operator::start(&lab, &web, "read -r _"));
    let tty = &operator.tty;
    let raw = format!("until stty -F {tty} -a | grep -q -e -isig; do :; done; echo it was raw >/run/was");
    let enter = format!("{} -t {} --pty -p sh -c '{raw}'", tools::tool("nsenter-rs"), web.pid);
    lab.command("setsid").args(["--wait", "sh", "-c", &format!("{enter} <{tty} >{tty}")]).run().ok();
    assert_eq!(std::fs::read_to_string(lab.path("/run/was")).unwrap(), "it was raw\n");
    assert_eq!(operator.modes(&lab), operator.before);
}

#[test]
fn when_the_terminal_vanishes_so_does_the_program() {
    let lab = need!(Lab::new());
    let web = web(&lab);
    for way in WAYS {
        let line = format!("ENTER {way} sh -c 'echo ready; exec sleep 1000'");
        let operator = need!(Operator::start(&lab, &web, &line));
        operator.running.wait_for("ready");
        let (sleeper, script) = (find(&operator.running, "sleep"), find(&operator.running, "script"));
        kill(Pid::from_raw(script), Signal::SIGKILL).unwrap();
        assert!(eventually(|| has_ended(sleeper).then_some(())).is_some(), "{way}");
    }
}
