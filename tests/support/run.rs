//! Running a program to its end under a time limit: a hang is a failure with output, not a stuck suite.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

pub use super::ran::Ran;
use super::until::{as_busy, until};

/// How long a command may take before it counts as hung, on a machine that is busy with other things too.
pub const LIMIT: Duration = Duration::from_secs(30);

/// `command.run()` for what ends by itself, `command.start()` for what a test talks to while it runs.
pub trait Run {
    /// Runs to the end with nothing on stdin.
    fn run(&mut self) -> Ran;
    /// As `run`, with another time limit: what a machine needs that does nothing else.
    fn run_within(&mut self, limit: Duration) -> Ran;
    /// Runs to the end with `input` on stdin.
    fn run_with_input(&mut self, input: &str) -> Ran;
    /// Starts it with nothing on stdin.
    fn start(&mut self) -> RunningProgram;
    /// Starts it with this stdin; `Stdio::piped()` is what `RunningProgram::say` and `close_stdin` talk to.
    fn start_with(&mut self, stdin: Stdio) -> RunningProgram;
}

impl Run for Command {
    #[track_caller]
    fn run(&mut self) -> Ran {
        self.start().finish()
    }

    #[track_caller]
    fn run_within(&mut self, limit: Duration) -> Ran {
        self.start().finish_within(limit)
    }

    #[track_caller]
    fn run_with_input(&mut self, input: &str) -> Ran {
        let mut running = self.start_with(Stdio::piped());
        running.say(input);
        running.close_stdin();
        running.finish()
    }

    #[track_caller]
    fn start(&mut self) -> RunningProgram {
        self.start_with(Stdio::null())
    }

    #[track_caller]
    fn start_with(&mut self, stdin: Stdio) -> RunningProgram {
        RunningProgram::spawn(self, stdin).unwrap_or_else(|err| panic!("{self:?}: {err}"))
    }
}

/// A program that runs. Dropped, it is killed with its process group, which is its own.
pub struct RunningProgram {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    began: Instant,
}

/// What is known of a running program so far; every change wakes who waits for it.
#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    closed: u8,
    exited: bool,
}

impl RunningProgram {
    /// Starts `command`; an error where it does not start, which `Run::start` panics about.
    pub fn spawn(command: &mut Command, stdin: Stdio) -> std::io::Result<RunningProgram> {
        hear_signals();
        let piped = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.process_group(0).spawn()?;
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        listen(child.stdout.take().unwrap(), &heard, |heard| &mut heard.stdout);
        listen(child.stderr.take().unwrap(), &heard, |heard| &mut heard.stderr);
        watch(Pid::from_raw(child.id().cast_signed()), &heard);
        let stdin = child.stdin.take();
        Ok(RunningProgram { command: words(command), child, stdin, heard, began: Instant::now() })
    }

    /// Its PID; of a command in a lab that of the nsenter which holds it.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The PID, as the test sees it, of the program that a lab's nsenter has forked for its PID namespace.
    /// Right once the program has said something.
    #[track_caller]
    pub fn pid_behind_nsenter(&self) -> i32 {
        let file = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(&file).unwrap_or_else(|err| panic!("{file}: {err}"));
        children.trim().parse().unwrap_or_else(|_| panic!("{file}: not one child: {children:?}"))
    }

    /// Signals the process that was started; of a command in a lab that is nsenter.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Signals the program that a lab's nsenter runs, if it has not ended meanwhile.
    pub fn signal_behind_nsenter_if_there(&self, signal: Signal) {
        let file = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(pid) = children.trim().parse() {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits until the program that a lab's nsenter runs keeps this signal back, to look at it when it wants: SigBlk in proc(5).
    #[track_caller]
    pub fn wait_until_blocked_behind_nsenter(&self, signal: Signal) {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let status = || {
            let pid = std::fs::read_to_string(&children).ok()?;
            std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).ok()
        };
        until("the signal is blocked", || {
            let blocked = status().and_then(|status| {
                let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?.trim();
                u64::from_str_radix(mask, 16).ok()
            });
            blocked.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
        });
    }

    /// Signals the program that a lab's nsenter runs. Right once the program has said something.
    #[track_caller]
    pub fn signal_behind_nsenter(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid_behind_nsenter()), signal).unwrap();
    }

    /// Writes `text` to its stdin, which has to be a pipe.
    #[track_caller]
    pub fn say(&mut self, text: &str) {
        self.stdin.as_mut().expect("started with Stdio::piped()").write_all(text.as_bytes()).unwrap();
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until its stdout holds `text`; a panic if it ends first.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        assert!(self.says(text), "{text:?} was never said{} by {}", self.busy_with(), self.so_far());
    }

    /// Waits until its stdout holds `text`; whether it did before it ended and in time.
    pub fn says(&self, text: &str) -> bool {
        let there = |heard: &Heard| String::from_utf8_lossy(&heard.stdout).contains(text);
        there(&self.wait_until(as_busy(LIMIT), |heard| there(heard) || heard.all_is_over()))
    }

    /// Waits until its stderr holds `text`; a panic if it ends first.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        let there = |heard: &Heard| String::from_utf8_lossy(&heard.stderr).contains(text);
        let is_there = there(&self.wait_until(as_busy(LIMIT), |heard| there(heard) || heard.all_is_over()));
        assert!(is_there, "{text:?} was never said{} by {}", self.busy_with(), self.so_far());
    }

    /// The first whole line of stdout, or none if it ended, or the time was over, without one.
    pub fn first_line(&self) -> Option<String> {
        let line =
            |heard: &Heard| Some(heard.stdout[..heard.stdout.iter().position(|b| *b == b'\n')?].to_vec());
        let heard = self.wait_until(as_busy(LIMIT), |heard| line(heard).is_some() || heard.all_is_over());
        line(&heard).map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    /// Waits for its end as `finish_within` does, as long as a command may take.
    #[track_caller]
    pub fn finish(self) -> Ran {
        self.finish_within(LIMIT)
    }

    /// Waits until it has ended and nobody holds its stdout or stderr any more; at most `limit`, or as many times more as
    /// the machine is busy.
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Ran {
        self.stdin = None;
        let limit = as_busy(limit);
        let left = limit.saturating_sub(self.began.elapsed());
        let in_time = self.wait_until(left, Heard::all_is_over).all_is_over();
        if !in_time {
            let busy_with = self.busy_with();
            self.kill();
            // What it had written and we had not read yet.
            drop(self.wait_until(Duration::from_secs(1), Heard::all_is_over));
            panic!("still running, or its output still held, after {limit:?}{busy_with}: {}", self.so_far());
        }
        let status = self.child.wait().unwrap();
        self.ran(Some(status)).has_sound_hints()
    }

    /// Waits for its end as long as a command may take; whether it came.
    pub fn ends(&self) -> bool {
        self.has_ended_within(as_busy(LIMIT))
    }

    /// Whether it ends within `limit`, by the clock: to see that it goes on.
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        self.wait_until(limit, |heard| heard.exited).exited
    }

    /// Everything there is to say about it now, with `None` as its status.
    pub fn so_far(&self) -> Ran {
        self.ran(None)
    }

    fn ran(&self, status: Option<ExitStatus>) -> Ran {
        let heard = self.heard();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&heard.stdout), text(&heard.stderr));
        Ran { command: self.command.clone(), status, stdout, stderr, took: self.began.elapsed() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, limit: Duration, done: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let waited = self.heard.1.wait_timeout_while(self.heard(), limit, |heard| !done(heard));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What it has started that still runs, or that it starts within a second, for a message: of a script that waits in a
    /// loop, what the loop asks. Nothing if that is nothing.
    fn busy_with(&self) -> String {
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..500 {
            for words in commands_below(self.pid()) {
                if words != self.command && !seen.contains(&words) {
                    seen.push(words);
                }
            }
            if self.heard().exited {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        if seen.is_empty() { String::new() } else { format!(", busy with {seen:?}") }
    }

    /// The group cannot be another one's: its leader is our child and not reaped yet.
    fn kill(&self) {
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
    }
}

impl Heard {
    fn all_is_over(&self) -> bool {
        self.exited && self.closed == 2
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// A shell without job control starts what runs in its background with SIGINT and SIGQUIT ignored, nohup(1) with SIGHUP,
/// and every program that a test starts would inherit that.
fn hear_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM] {
            common::sys::default_action(signal).unwrap();
        }
    });
}

/// The command without its environment, which is the same for all.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The command lines of a process's descendants, in one line each. Read in some microseconds, for many do not live longer.
fn commands_below(pid: i32) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|word| word.parse().ok());
    let command = |child: i32| {
        let words = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned();
        // The shell of a script has all of it as a word, which the message shows anyway.
        (!words.is_empty() && !words.contains('\n')).then_some(words)
    };
    children.flat_map(|child| command(child).into_iter().chain(commands_below(child))).collect()
}

type Shared = Arc<(Mutex<Heard>, Condvar)>;

fn note(heard: &Shared, change: impl FnOnce(&mut Heard)) {
    change(&mut heard.0.lock().unwrap_or_else(PoisonError::into_inner));
    heard.1.notify_all();
}

fn listen(mut pipe: impl Read + Send + 'static, heard: &Shared, buffer: fn(&mut Heard) -> &mut Vec<u8>) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            note(&heard, |heard| buffer(heard).extend_from_slice(&chunk[..length]));
        }
        note(&heard, |heard| heard.closed += 1);
    });
}

/// Notices the end without reaping, so that the PID stays ours until somebody is done with it.
fn watch(pid: Pid, heard: &Shared) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::Error::EINTR) {}
        note(&heard, |heard| heard.exited = true);
    });
}
