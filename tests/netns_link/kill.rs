//! SIGKILL, and the kernel's refusal, at every system call: what is left is whole, or the next call makes it so.

use std::time::Duration;

use support::container::{Container, Options};
use support::faults::{calls, times};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};
use support::tools;

const LONG: Duration = Duration::from_secs(240);

/// What is in the directory, how often it and the link are mounted, and which namespace the link is.
const LOOK: &str = r#"look() { echo "names=$(ls /run/netns | xargs) directory=$(grep -c ' /run/netns ' /proc/1/mountinfo) \
link=$(grep -c ' /run/netns/web ' /proc/1/mountinfo) $(nsenter --net=/run/netns/web readlink /proc/self/ns/net 2>&1)"; }"#;

struct Scene {
    lab: Lab,
    web: Container,
    link: String,
    unlink: String,
}

impl Scene {
    fn new() -> Result<Scene, support::skip::Missing> {
        program("strace", "strace")?;
        let lab = Lab::new()?;
        let web = lab.container("web", Options::default());
        let tool = tools::tool("netns-link");
        let (link, unlink) = (format!("{tool} {} --as web", web.pid), format!("{tool} --rm web"));
        Ok(Scene { lab, web, link, unlink })
    }

    /// Does `before`, then `command` with `fault` at each of its calls of those names, then `after`; what that
    /// says must be `expected` every time.
    #[track_caller]
    fn every_time(
        &self,
        before: &str,
        (command, faults): (&str, &[&str]),
        wanted: impl Fn(&str, u32) -> bool,
        after: &str,
        expected: &str,
    ) {
        self.lab.shell(before).run().ok();
        let calls = calls(&self.lab, "strace -f", command);
        let mut script = format!("{LOOK}\n");
        let mut count = 0;
        for (call, made) in &calls {
            let times = times(call, *made, u32::MAX).into_iter().filter(|time| wanted(call, *time));
            for (time, fault) in times.flat_map(|time| faults.iter().map(move |fault| (time, fault))) {
                count += 1;
                let inject = format!("strace -f -o /dev/null -e inject={call}:{fault}:when={time} {command}");
                let round = format!(
                    "( {before} ) >/dev/null 2>&1; {inject} >/run/out 2>/run/err; rc=$?; echo \"{call} {time} {fault}: $({after})\"\n"
                );
                script.push_str(&round);
            }
        }
        assert!(count > 0, "{calls:?}");
        let said = self.lab.command("sh").args(["-c", &script]).run_within(LONG).ok();
        let wrong: Vec<&str> = said
            .stdout
            .lines()
            .filter(|line| line.split_once(": ").map(|(_, said)| said) != Some(expected))
            .collect();
        assert!(
            wrong.is_empty() && said.stdout.lines().count() == count,
            "not {expected:?}:\n{}",
            wrong.join("\n")
        );
    }
}

/// As on a host where no tool has made a link yet.
const COLD: &str = "umount -l /run/netns/web; umount -l /run/netns; rm -rf /run/netns";

#[test]
fn whatever_a_killed_link_leaves_the_same_call_completes() {
    let scene = need!(Scene::new());
    let inside = scene.lab.namespace(scene.web.pid, "net");
    let mounts = {
        scene.lab.shell(&scene.link).run().ok();
        crate::mounts_at(&scene.lab, "/run/netns/web")
    };
    let after = format!("{} >/run/again 2>&1; echo $rc $? $(cat /run/again) $(look)", scene.link);
    let expected = format!("137 0 /run/netns/web names=web directory=1 link={mounts} {inside}");
    scene.every_time(
        &format!("{COLD}; true"),
        (&scene.link, &["signal=KILL"]),
        |_, _| true,
        &after,
        &expected,
    );
}

#[test]
fn whatever_a_killed_removal_leaves_the_same_call_completes() {
    let scene = need!(Scene::new());
    let before = format!("{} && ip netns add kept 2>/dev/null; true", scene.link);
    // What was killed after its work leaves the second call nothing, and it says so.
    let after = format!(
        "{} >/run/again 2>&1; echo $rc $? $(grep -v ': nothing to remove$' /run/again) $(look | cut -d' ' -f1-3)",
        scene.unlink
    );
    let expected = "137 0 names=kept directory=1 link=0";
    scene.every_time(&before, (&scene.unlink, &["signal=KILL"]), |_, _| true, &after, expected);
}

const ERRORS: [&str; 3] = ["error=EIO", "error=ENOMEM", "error=EPERM"];

#[test]
fn a_link_that_the_kernel_refuses_leaves_nothing_and_says_so() {
    let scene = need!(Scene::new());
    let before = format!("ip netns add kept; {}; true", scene.unlink);
    // The files that a Rust program opens at its start are no business of ours: then all is well.
    let after = format!(
        "case $rc in 0) {} ;; 2) grep -q '^netns-link: ' /run/err || echo silent ;; *) echo $rc; cat /run/err ;; esac; look | cut -d' ' -f1-3",
        scene.unlink
    );
    // The second thing to write is where the link is, once it is made.
    let wanted = |call: &str, time| {
        matches!((call, time), ("mount" | "linkat" | "openat" | "flock" | "mkdir", _) | ("write", 1))
    };
    scene.every_time(&before, (&scene.link, &ERRORS), wanted, &after, "names=kept directory=1 link=0");
}

#[test]
fn a_removal_that_the_kernel_refuses_is_completed_by_the_next() {
    let scene = need!(Scene::new());
    let before = format!("{}; ip netns add kept; true", scene.link);
    let after = format!(
        "case $rc in 0) ;; 2) grep -q '^netns-link: ' /run/err || echo silent ;; *) echo $rc; cat /run/err ;; esac; {}; look | cut -d' ' -f1-3",
        scene.unlink
    );
    let wanted = |call: &str, _| matches!(call, "umount2" | "unlinkat" | "openat" | "open_tree" | "flock");
    scene.every_time(&before, (&scene.unlink, &ERRORS), wanted, &after, "names=kept directory=1 link=0");
}
