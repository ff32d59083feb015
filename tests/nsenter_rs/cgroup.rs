//! --join-cgroup, in groups of our own making and on a real Docker.
//!
//! Observer: `/proc/PID/cgroup` as the host sees it.

use std::process::{Command, Stdio};

use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools;
use support::until::until;
use support::world::World;

/// A mount namespace of the test's own in which cgroup v2 is mounted below `/mnt`, with one group in it for
/// the test. It needs the machine's root: a lab's is not let near the machine's groups.
struct Groups {
    name: String,
    holder: RunningProgram,
}

/// Ends with all the groups, also when the test was killed: then its stdin is closed.
const HOLDER: &str = r#"
mount -n -t tmpfs none /mnt
mkdir /mnt/all; mount -n -t cgroup2 none /mnt/all
mkdir "/mnt/all/$1"
echo ready; read -r _
echo 0 >"/mnt/all/$1/cgroup.freeze"
for _ in $(seq 100); do
    find "/mnt/all/$1" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -KILL 2>/dev/null
    find "/mnt/all/$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "/mnt/all/$1" ] || break
    sleep 0.05
done"#;

impl Groups {
    fn new() -> Result<Groups, Missing> {
        for (observer, package) in
            [("unshare", "util-linux"), ("setpriv", "util-linux"), ("find", "findutils")]
        {
            program(observer, package)?;
        }
        let name = unique("netns-toolbox-groups-");
        let mut holder = tools::in_clean_environment(Command::new("unshare"));
        holder.args(["--mount", "--propagation", "private", "sh", "-c", HOLDER, "holder", &name]);
        let holder = holder.start_with(Stdio::piped());
        match holder.says("ready\n") {
            true => Ok(Groups { name, holder }),
            false => {
                Err(Missing::Fixable(format!("no cgroup v2 of our own: {}", holder.so_far().stderr.trim())))
            }
        }
    }

    /// A script where our groups are; `$all` is the root of cgroup v2, `$our` our group, `$nsenter` the tool.
    fn shell(&self, script: &str) -> Command {
        let mut command = tools::in_clean_environment(Command::new("nsenter"));
        command.args([
            "--target",
            &self.holder.pid().to_string(),
            "--mount",
            "--",
            "sh",
            "-ec",
            script,
            "sh",
        ]);
        command.env("all", "/mnt/all").env("our", format!("/mnt/all/{}", self.name));
        command.env("nsenter", tools::tool("nsenter-rs"));
        command
    }

    /// A process with a PID and a host name of its own in a new group, and its PID.
    fn target(&self, group: &str) -> (RunningProgram, String) {
        let script = format!(
            r#"mkdir -p "$our/{group}"; echo 0 >"$our/{group}/cgroup.procs"
            exec unshare --uts --pid --fork --kill-child sh -c 'read -r pid _ </proc/self/stat; echo $pid; read -r _'"#
        );
        let target = self.shell(&script).start_with(Stdio::piped());
        let pid = target.first_line();
        assert!(pid.is_some(), "{}", target.so_far());
        (target, pid.unwrap_or_default())
    }

    fn path(&self, group: &str) -> String {
        format!("/{}/{group}", self.name)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.holder.close_stdin();
        let ended = self.holder.ends();
        assert!(ended || std::thread::panicking(), "the groups do not go: {}", self.holder.so_far());
    }
}

/// What the host sees of the process's group of cgroup v2.
fn group_of(pid: impl std::fmt::Display) -> String {
    let file = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    file.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned()
}

fn children_of(pid: i32) -> Vec<i32> {
    let file = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    file.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn the_program_goes_to_the_targets_group_and_its_parent_does_not() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let ours = group_of("self");
    for way in ["-u", "-p", "-upC"] {
        let script = format!("exec $nsenter -t {target} -c {way} sh -c 'echo ready; read -r _'");
        let program = groups.shell(&script).start_with(Stdio::piped());
        program.wait_for("ready\n");
        match children_of(program.pid())[..] {
            [] => assert_eq!(group_of(program.pid()), groups.path("web"), "{way}"),
            [child] => {
                assert_eq!(group_of(program.pid()), ours, "{way}");
                assert_eq!(group_of(child), groups.path("web"), "{way}");
            }
            _ => panic!("more than one child with {way}"),
        }
        assert_eq!(children_of(program.pid()).len(), usize::from(way != "-u"));
    }
}

#[test]
fn without_the_option_it_stays_in_ours() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let ran = groups.shell(&format!("exec $nsenter -t {target} -u cat /proc/self/cgroup")).run().ok();
    ran.stdout_has(&format!("0::{}\n", group_of("self")));
}

#[test]
fn the_group_is_found_wherever_and_however_little_of_it_is_mounted() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let elsewhere = r#"mkdir -p "/mnt/a b"; mount -n --bind "$our" "/mnt/a b"
        for at in $(awk '$3 == "cgroup2" && $2 !~ /040/ { print $2 }' /proc/mounts); do umount -n -l $at; done"#;
    let show = format!("$nsenter -t {target} -c cat /proc/self/cgroup");
    let ran = groups
        .shell(&format!(
            "unshare --mount sh -ec '{elsewhere}\n{show}'",
            elsewhere = elsewhere.replace('\'', r"'\''")
        ))
        .run();
    ran.ok().stdout_has(&format!("0::{}\n", groups.path("web")));
}

#[test]
fn a_mount_that_covers_another_is_not_taken_for_it() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    // Below what covers it there is a group with the very path that the target's has from the root on.
    let script = format!(
        r#"mkdir -p "$our{path}"; mount -n --bind "$our" $all
        $nsenter -t {target} -c cat /proc/self/cgroup; umount -n $all"#,
        path = groups.path("web")
    );
    groups.shell(&script).run().ok().stdout_has(&format!("0::{}\n", groups.path("web")));
}

#[test]
fn a_group_that_no_mount_shows_is_refused() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let unmount =
        r#"for at in $(awk "\$3 == \"cgroup2\" { print \$2 }" /proc/mounts); do umount -n -l $at; done"#;
    let other = r#"mkdir -p $our/other /mnt/part; mount -n --bind $our/other /mnt/part; umount -n -l $all
        for at in $(awk "\$3 == \"cgroup2\" && \$2 != \"/mnt/part\" { print \$2 }" /proc/mounts); do umount -n -l $at; done"#;
    for (hide, message) in [
        (
            unmount,
            "(v2): its hierarchy is not mounted here\nhint: make it visible: mount -t cgroup2 none DIRECTORY",
        ),
        (other, "(v2): no mount of its hierarchy here contains it"),
    ] {
        let script = format!("unshare --mount sh -ec '{hide}\nexec $nsenter -t {target} -u -c echo ran'");
        groups.shell(&script).run().fails_with(1).stdout_is("").stderr_has(message);
    }
}

/// A host of which PID 1 is in the cgroup namespace that we are in, a target in it, and a shell in a cgroup
/// namespace of its own.
const INSIDE_ANOTHER_CGROUP_NAMESPACE: &str = r#"
mkdir -p "$our/web" "$our/$from"
sh -c 'echo 0 >"$our/web/cgroup.procs"; echo there >&3; exec sleep 1000' 3>/mnt/there &
read -r _ </mnt/there
export target=$!
sh -c 'echo 0 >"$our/$from/cgroup.procs"
    exec unshare --cgroup sh -c "readlink /proc/self/ns/cgroup
        $nsenter -t $target -u -c sh -c \"cat /proc/self/cgroup; readlink /proc/self/ns/cgroup\""'"#;

#[test]
fn a_group_outside_of_our_cgroup_namespace_is_joined_and_the_namespace_stays_ours() {
    let groups = need!(Groups::new());
    for (from, way) in [("us", "0::/../web"), ("us/below", "0::/../../web")] {
        let host =
            "rm -f /mnt/there; mkfifo /mnt/there; exec unshare --pid --fork --mount-proc sh -ec \"$inside\"";
        let mut shell = groups.shell(host);
        let ran = shell.env("inside", INSIDE_ANOTHER_CGROUP_NAMESPACE).env("from", from).run().ok();
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert!(lines.contains(&way), "{ran}");
        assert_eq!(lines.first(), lines.last(), "{ran}");
    }
}

#[test]
fn a_frozen_group_is_refused_before_the_program_hangs_in_it() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    for frozen in ["web", "."] {
        let script = format!(
            "echo 1 >$our/{frozen}/cgroup.freeze
            until grep -q 'frozen 1' $our/{frozen}/cgroup.events; do :; done
            $nsenter -t {target} -u -c echo ran || code=$?
            echo 0 >$our/{frozen}/cgroup.freeze; exit $code"
        );
        let ran = groups.shell(&script).run().fails_with(1).stdout_is("");
        ran.stderr_has(&format!("control group {} (v2): is frozen", groups.path("web")))
            .stderr_has("hint: unpause");
    }
}

#[test]
fn what_is_explained_of_a_frozen_group_comes_true() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    for state in ["frozen", "thawed"] {
        for options in ["-c", "-u -c", "--confine", "--confine -u -p", "-u", "-p -c --pty", "-c -w", "-c -e"]
        {
            let script = format!(
                "case {state} in frozen) echo 1 >$our/web/cgroup.freeze
                    until grep -q 'frozen 1' $our/web/cgroup.events; do :; done;; esac
                $nsenter -t {target} {options} --explain true >/dev/null && said=0 || said=$?
                $nsenter -t {target} {options} true 2>/dev/null && ran=0 || ran=$?
                echo 0 >$our/web/cgroup.freeze; echo $said $ran"
            );
            let is_refused = state == "frozen" && options != "-u";
            let expected = if is_refused { "1 1" } else { "0 0" };
            assert_eq!(groups.shell(&script).run().ok().text(), expected, "{state}: {options}");
        }
    }
}

#[test]
fn a_threaded_group_can_be_joined() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let script = format!(
        "mkdir $our/web/threads; echo threaded >$our/web/threads/cgroup.type
        echo {target} >$our/web/threads/cgroup.threads
        exec $nsenter -t {target} -u -c cat /proc/self/cgroup"
    );
    groups.shell(&script).run().ok().stdout_has(&format!("0::{}\n", groups.path("web/threads")));
}

#[test]
fn who_may_not_move_processes_is_told_so() {
    let groups = need!(Groups::new());
    let (_web, target) = groups.target("web");
    let copy = "cp $nsenter /mnt/nsenter-rs; chmod 755 /mnt/nsenter-rs";
    let user = "setpriv --reuid=1000 --regid=1000 --clear-groups";
    let ran = groups.shell(&format!("{copy}; exec {user} /mnt/nsenter-rs -t {target} -c echo ran")).run();
    ran.fails_with(1)
        .stdout_is("")
        .stderr_has(&format!("control group {} (v2): Permission denied", groups.path("web")));
}

#[test]
fn a_program_that_a_group_does_not_take_is_not_run() {
    let groups = need!(Groups::new());
    need!(program("strace", "strace"));
    let (_web, target) = groups.target("web");
    let errors = [
        ("EBUSY", "it enables controllers for the groups below it"),
        ("ENOENT", "(nsdelegate)"),
        ("EACCES", "permission denied: requires write permission"),
        ("ENODEV", "it has been removed"),
    ];
    for (error, message) in errors {
        for way in ["-u", "-p"] {
            let strace = format!("strace -f -o /dev/null -e inject=write:error={error}:when=1");
            let ran = groups.shell(&format!("exec {strace} $nsenter -t {target} -c {way} echo ran")).run();
            ran.fails_with(1).stdout_is("").stderr_has(message);
        }
    }
}

#[test]
fn a_process_that_has_ended_leads_to_no_group() {
    let groups = need!(Groups::new());
    // A zombie: its parent has become a program that does not wait for it.
    let script =
        "mkdir $our/web; sh -c 'echo 0 >$our/web/cgroup.procs; read -r pid _ </proc/self/stat; echo $pid' &
        exec sleep 1000";
    let parent = groups.shell(script).start();
    let zombie = parent.first_line().unwrap();
    let stat = format!("/proc/{zombie}/stat");
    until("the child is a zombie", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    for script in ["true", "rmdir $our/web"] {
        let ran = groups.shell(&format!("{script}; exec $nsenter -t {zombie} -c echo ran")).run();
        ran.fails_with(1).stdout_is("").stderr_has(&format!("PID {zombie}: has ended"));
    }
}

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

#[test]
fn in_every_hierarchy_it_is_the_group_of_the_container() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let container = world.command("cat").arg(format!("/proc/{}/cgroup", web.pid())).run().ok();
    for way in ["-c", "-cu", "-cp"] {
        let mut enter = world.tool("nsenter-rs");
        enter
            .args(["-t", &web.name, way, "cat", "/proc/self/cgroup"])
            .run()
            .ok()
            .stdout_is(&container.stdout);
    }
    let mut enter = world.tool("nsenter-rs");
    let without = enter.args(["-t", &web.name, "-n", "cat", "/proc/self/cgroup"]).run().ok();
    assert_ne!(without.stdout, container.stdout);
}

#[test]
fn the_limits_of_the_container_hold_for_the_program() {
    let world = need!(docker());
    let web = world.docker_container("web", &["--memory", "32m", "--pids-limit", "4"]);
    let run = |way: &str, script: &str| {
        world.tool("nsenter-rs").args(["-t", &web.name, way, "sh", "-c", script]).run()
    };
    let eat = "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $?";
    let fork = "sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & wait && echo all";
    run("-n", eat).ok().stdout_is("0\n");
    run("-nc", eat).ok().stdout_is("137\n");
    run("-n", fork).ok().stdout_is("all\n");
    let refused = run("-nc", fork);
    assert!(refused.stderr.contains("fork") && !refused.stdout.contains("all"), "{refused}");
}

#[test]
fn a_paused_container_is_not_joined() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    world.command("docker").args(["pause", &web.name]).run().ok();
    let joined = world.tool("nsenter-rs").args(["-t", &web.name, "-n", "-c", "echo", "ran"]).run();
    world.command("docker").args(["unpause", &web.name]).run().ok();
    joined.fails_with(1).stdout_is("").stderr_has("is frozen").stderr_has("hint: unpause");
}
