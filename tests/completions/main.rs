//! What a shell offers at TAB: real shells on a terminal (tmux is the terminal), on a host with containers. Observer: the line that the
//! shell has made of what was typed.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools;
use support::until::{as_busy, until, until_some};

/// For a shell to answer TAB.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell at a prompt.
struct Prompt<'a> {
    lab: &'a Lab,
    socket: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UsersShell {
    Bash,
    Zsh,
    Fish,
}

const SHELLS: [UsersShell; 3] = [UsersShell::Bash, UsersShell::Zsh, UsersShell::Fish];

fn completions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

impl UsersShell {
    fn name(self) -> &'static str {
        match self {
            UsersShell::Bash => "bash",
            UsersShell::Zsh => "zsh",
            UsersShell::Fish => "fish",
        }
    }

    /// Starts it with our completions and nothing of the machine's user.
    fn start(self) -> String {
        let from = completions();
        let from = from.display();
        match self {
            UsersShell::Bash => {
                let rest = "[ ! -r /usr/share/bash-completion/bash_completion ] || . /usr/share/bash-completion/bash_completion";
                format!(
                    "bash --norc --noprofile --rcfile /dev/null -i\n\
                     {rest}; for f in {from}/*.bash; do . $f; done; bind 'set bell-style none'; PS1='> '; clear\n"
                )
            }
            UsersShell::Zsh => {
                format!(
                    "zsh -f -i\nfpath=({from} $fpath); autoload -U compinit; compinit -u -D; PS1='> '; clear\n"
                )
            }
            UsersShell::Fish => format!(
                "fish --no-config -i\n\
                 function fish_prompt; echo -n '> '; end; set -g fish_autosuggestion_enabled 0; for f in {from}/*.fish; source $f; end; clear\n"
            ),
        }
    }
}

impl<'a> Prompt<'a> {
    fn new(lab: &'a Lab, shell: UsersShell) -> Result<Prompt<'a>, Missing> {
        program("tmux", "tmux")?;
        program(shell.name(), shell.name())?;
        let socket = std::env::temp_dir().join(unique("tmux-")).to_str().unwrap().to_owned();
        let prompt = Prompt { lab, socket };
        prompt.tmux(&["new-session", "-d", "-c", "/run", "-x", "200", "-y", "50", "exec sh"]);
        for line in shell.start().lines() {
            prompt.tmux(&["send-keys", "-l", line]);
            prompt.tmux(&["send-keys", "Enter"]);
        }
        until("the shell has its prompt", || prompt.line().as_deref() == Some(">"));
        Ok(prompt)
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = self.lab.command("tmux");
        let binaries = Path::new(tools::tool("cpid")).parent().unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", binaries.display());
        tmux.args(["-S", &self.socket, "-f", "/dev/null"]).args(words);
        tmux.env("TERM", "screen").env("PATH", path).env("HOME", "/run").env("LANG", "C.UTF-8");
        tmux.run().ok().stdout
    }

    /// The line with the last prompt, without the white space behind it.
    fn line(&self) -> Option<String> {
        let screen = self.tmux(&["capture-pane", "-p"]);
        let mut prompts = screen.lines().filter(|line| line.starts_with('>'));
        prompts.next_back().map(|line| line.trim_end().to_owned())
    }

    /// Types it on an empty line at the top of the screen, and presses TAB so often.
    fn types(&self, typed: &str, tabs: usize) {
        let mut words = vec!["send-keys", "C-u", "C-l", ";", "send-keys", "-l", typed];
        (0..tabs).for_each(|_| words.extend([";", "send-keys", "Tab"]));
        self.tmux(&words);
    }

    /// Types it, presses TAB, and waits for this line.
    #[track_caller]
    fn becomes(&self, typed: &str, expected: &str) {
        self.types(typed, 1);
        let wanted = format!("> {expected}");
        let seen = until_some(as_busy(PATIENCE), || self.line().filter(|line| *line == wanted));
        assert!(seen.is_some(), "{typed} TAB is not {expected}:\n{}", self.tmux(&["capture-pane", "-p"]));
    }

    /// Types it, presses TAB twice, and waits for these words on the screen, none of them of the line itself.
    #[track_caller]
    fn lists(&self, typed: &str, words: &[&str]) {
        self.types(typed, 2);
        let all = || {
            let screen = self.tmux(&["capture-pane", "-p"]);
            let below = screen.lines().filter(|line| !line.starts_with('>')).collect::<Vec<_>>().join("\n");
            words.iter().all(|word| below.split_whitespace().any(|one| one == *word)).then_some(())
        };
        let seen = until_some(as_busy(PATIENCE), all);
        assert!(
            seen.is_some(),
            "{typed} TAB TAB lists not all of {words:?}:\n{}",
            self.tmux(&["capture-pane", "-p"])
        );
    }
}

impl Drop for Prompt<'_> {
    fn drop(&mut self) {
        let mut tmux = self.lab.command("tmux");
        let _ = tmux.args(["-S", &self.socket, "kill-server"]).run();
        let _ = fs::remove_file(&self.socket);
    }
}

/// A host with containers of Docker's, a namespace with a name, a bridge; one container calls an interface what no shell must run.
fn host() -> Result<(Lab, Vec<Container>, FakeEngine), Missing> {
    let lab = Lab::new()?;
    let containers: Vec<Container> =
        ["nginx-front", "database"].iter().map(|name| lab.container(name, Options::default())).collect();
    lab.shell("mkdir -p /run/netns; ip netns add blue-net; ip link add br-shop type bridge").run().ok();
    containers[0].ip("link add uplink7 type veth peer name $(touch${IFS}p)");
    let engine =
        fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path("/run/docker.sock"));
    Ok((lab, containers, engine))
}

fn completes(shell: UsersShell) {
    let (lab, _containers, _engine) = need!(host());
    let prompt = need!(Prompt::new(&lab, shell));
    for (typed, expected) in [
        ("cpid ngin", "cpid nginx-front"),
        ("cpid docker:ngin", "cpid docker:nginx-front"),
        ("cpid --engine podm", "cpid --engine podman"),
        ("nsenter-rs -t datab", "nsenter-rs -t database"),
        // A program of the host.
        ("nsenter-rs -t database -n unshar", "nsenter-rs -t database -n unshare"),
        ("netns-link --rm blue", "netns-link --rm blue-net"),
        ("netns-ping nginx-front datab", "netns-ping nginx-front database"),
        ("netns-ping nginx-front gat", "netns-ping nginx-front gateway"),
        ("add-nic data", "add-nic database"),
        ("add-nic database 10.1.0.2/24 --bridge br-", "add-nic database 10.1.0.2/24 --bridge br-shop"),
        ("add-nic --rm nginx-front upl", "add-nic --rm nginx-front uplink7"),
        ("netns-ls br-", "netns-ls br-shop"),
    ] {
        prompt.becomes(typed, expected);
    }
    prompt.lists("cpid ", &["nginx-front", "database", "blue-net"]);
}

#[test]
fn bash_completes_what_there_is_now() {
    completes(UsersShell::Bash);
}

#[test]
fn zsh_completes_what_there_is_now() {
    completes(UsersShell::Zsh);
}

#[test]
fn fish_completes_what_there_is_now() {
    completes(UsersShell::Fish);
}

#[test]
fn what_a_container_calls_its_interfaces_is_never_run_or_typed() {
    let (lab, containers, _engine) = need!(host());
    let names = containers[0].command("ip").arg("link").run().ok();
    assert!(names.stdout.contains("$(touch"), "the interface is there: {names}");
    let ran = lab.tool("cpid").args(["--complete", "interfaces", "nginx-front"]).run().ok();
    ran.clone().stdout_has("uplink7\tveth\n");
    assert!(!ran.stdout.contains("touch"), "{ran}");
    for shell in SHELLS {
        let prompt = need!(Prompt::new(&lab, shell));
        prompt.lists("add-nic --rm nginx-front ", &["uplink7"]);
        assert!(!lab.path("/run/p").exists(), "{shell:?} ran it");
    }
}

/// A TAB with many containers costs what it costs with few: one answer, and no container is asked for.
#[test]
fn names_of_any_number_of_containers_come_from_one_answer_and_no_name_acts() {
    let lab = need!(Lab::new());
    let listed = |at: usize| {
        let name = match at {
            7 => "/$(touch p)",
            8 => "/-rf",
            9 => "/a\u{1b}[2Jb",
            10 => "/linked/alias",
            _ => "",
        };
        let name = if name.is_empty() { format!("/web-{at}") } else { name.to_owned() };
        serde_json::json!({"Id": format!("{at:064x}"), "Names": [name, format!("/other-{at}")], "State": "running"})
    };
    let list = serde_json::Value::from((0..200).map(listed).collect::<Vec<_>>()).to_string();
    let script = Script::new().on("/containers/json", Answer::json(200, &list)).otherwise(Answer::never());
    let engine = script.listen(lab.path("/run/docker.sock"));
    let ran = lab.tool("cpid").args(["--complete", "targets"]).run().ok().stderr_is("");
    assert_eq!(engine.requests(), ["GET /containers/json HTTP/1.1"]);
    let offered: Vec<&str> = ran.stdout.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(offered.len(), 200, "{ran}");
    assert!(
        offered.contains(&"web-0") && offered.contains(&"web-199") && offered.contains(&"other-10"),
        "{ran}"
    );
    // What is no name is offered as its ID.
    for at in [7, 8, 9] {
        assert!(offered.contains(&format!("{at:064x}").as_str()), "{at}: {ran}");
    }
    assert!(!ran.stdout.contains("touch") && !ran.stdout.contains("-rf"), "{ran}");
}

#[test]
fn in_a_directory_full_of_hostile_names_none_of_them_is_run_or_typed() {
    let (lab, _containers, _engine) = need!(host());
    for name in [
        "$(touch p)",
        "`touch p`",
        "nginx-evil;touch p",
        "-rf",
        "datab\u{1b}[2J",
        "uplink$(touch p)",
        "unshar e",
    ] {
        fs::write(lab.path("/run").join(name), "").unwrap();
    }
    for shell in SHELLS {
        let prompt = need!(Prompt::new(&lab, shell));
        prompt.becomes("cpid ngin", "cpid nginx-front");
        prompt.becomes("netns-ping nginx-front datab", "netns-ping nginx-front database");
        prompt.becomes("add-nic --repair nginx-front upl", "add-nic --repair nginx-front uplink7");
        prompt.becomes("nsenter-rs -t database -n unshar", "nsenter-rs -t database -n unshare");
        prompt.lists("netns-ls ", &["nginx-front", "database", "br-shop"]);
        assert!(!lab.path("/run/p").exists(), "{shell:?} ran a name");
    }
}

#[test]
fn without_an_engine_or_with_one_that_hangs_nothing_is_said_and_names_are_there() {
    let lab = need!(Lab::new());
    lab.shell("mkdir -p /run/netns; ip netns add blue-net").run().ok();
    let offered = || lab.tool("cpid").args(["--complete", "targets"]).run().ok().stderr_is("");
    offered().stdout_is("blue-net\tnetwork namespace\n");
    let engine = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
    offered().stdout_is("blue-net\tnetwork namespace\n");
    assert!(engine.connections() > 0);
    lab.tool("cpid").args(["--complete", "interfaces", "no-such"]).run().ok().stdout_is("").stderr_is("");
}

#[test]
fn a_script_is_what_its_shell_can_read() {
    for shell in SHELLS {
        let program = need!(program(shell.name(), shell.name()));
        for file in fs::read_dir(completions()).unwrap().map(|file| file.unwrap().path()) {
            let is_its = match shell {
                UsersShell::Bash => file.extension().is_some_and(|extension| extension == "bash"),
                UsersShell::Fish => file.extension().is_some_and(|extension| extension == "fish"),
                UsersShell::Zsh => file.file_name().unwrap().to_str().unwrap().starts_with('_'),
            };
            if is_its {
                std::process::Command::new(&program).arg("-n").arg(&file).run().ok().stderr_is("");
            }
        }
    }
}
