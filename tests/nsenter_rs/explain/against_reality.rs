//! What `--explain` says of entering, against what comes of it: whoever is told that he may must get in, with ours
//! and with util-linux, and nobody else.

use std::process::{Command, Stdio};

use crate::users::{as_user, lab_with_users};
use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;

/// Reads `TARGET|OPTIONS` and says it again with the exit statuses of the explanation, of ours and of util-linux.
const TRY: &str = r#"
while IFS='|' read -r target options; do
    set -- -t "$target" $options
    said=0 ours=0 theirs=0
    /run/nsenter-rs "$@" --explain true </dev/null >/dev/null 2>&1 || said=$?
    /run/nsenter-rs "$@" true </dev/null >/dev/null 2>&1 || ours=$?
    nsenter "$@" true </dev/null >/dev/null 2>&1 || theirs=$?
    echo "$target|$options|$said|$ours|$theirs"
done
"#;

/// In the words of util-linux 2.38 too; PID is the target's.
const OPTIONS: [&str; 17] = [
    "-n",
    "-u",
    "-m",
    "-p",
    "-C",
    "-T",
    "-U",
    "-U -n",
    "-U -m -p",
    "-U --preserve-credentials -n -u",
    "-a",
    "-r/",
    "-S0 -G0",
    "-U -S7 -G7",
    "--net=/proc/PID/ns/net",
    "--net=/proc/PID/ns/net --user=/proc/PID/ns/user",
    "--mount=/proc/PID/ns/mnt -U -u",
];

/// Kinds that each container has of its own, and that all who try are outside of: there util-linux, which joins
/// anew what is its own already, does the same as we do.
const SAME_IN_UTIL_LINUX: [&str; 4] = ["-n", "-u", "-m", "-p"];

/// Namespaces of all kinds but the clocks, made by whoever `maker` runs as, in a user namespace of his.
fn container_of(mut maker: Command) -> (RunningProgram, String) {
    maker.args(["unshare", "--user", "--map-root-user", "--net", "--uts", "--mount", "--pid", "--cgroup"]);
    maker.args(["--fork", "sh", "-c", "read -r pid _ </proc/self/stat; echo $pid; read -r _"]);
    let container = maker.start_with(Stdio::piped());
    let pid = container.first_line();
    assert!(pid.is_some(), "{}", container.so_far());
    (container, pid.unwrap_or_default())
}

fn inside(lab: &Lab, target: &str) -> Command {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["-t", target, "-U", "--"]);
    nsenter
}

#[test]
fn whoever_is_told_that_he_may_gets_in_and_nobody_else_does() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let (_users, users) = container_of(as_user(&lab, &[]));
    let (_nested, nested) = container_of(inside(&lab, &users));
    let other_user = |lab: &Lab| {
        let mut setpriv = lab.command("setpriv");
        setpriv.args(["--reuid=2000", "--regid=2000", "--clear-groups"]);
        setpriv
    };
    let (_others, others) = container_of(other_user(&lab));
    let web = web.pid.to_string();

    let root_without = |capability: &str| {
        let mut setpriv = lab.command("setpriv");
        setpriv.arg(format!("--bounding-set=-{capability}"));
        setpriv
    };
    let mut sibling = as_user(&lab, &[]);
    sibling.args(["unshare", "--user", "--map-root-user"]);
    let mut unmapped = as_user(&lab, &[]);
    unmapped.args(["unshare", "--user"]);
    let callers = [
        ("root", lab.command("env")),
        ("root without CAP_SYS_ADMIN", root_without("sys_admin")),
        ("root without CAP_SYS_CHROOT", root_without("sys_chroot")),
        ("root without CAP_SYS_PTRACE", root_without("sys_ptrace")),
        ("root without CAP_SETUID", root_without("setuid")),
        ("the user", as_user(&lab, &[])),
        ("another user", other_user(&lab)),
        ("root of the user's namespace", inside(&lab, &users)),
        ("root of the one inside that", inside(&lab, &nested)),
        ("root of a namespace beside", sibling),
        ("nobody of a namespace beside", unmapped),
    ];
    let targets =
        [("lab", "1"), ("root's", &web), ("user's", &users), ("nested", &nested), ("other's", &others)];
    let line = |pid: &str, options: &str| format!("{pid}|{}\n", options.replace("PID", pid));
    let lines: String =
        targets.iter().flat_map(|(_, pid)| OPTIONS.map(|options| line(pid, options))).collect();

    let (mut wrong, mut cases, mut let_in) = (Vec::new(), 0, 0);
    for (caller, mut command) in callers {
        let ran = command.args(["sh", "-c", TRY]).run_with_input(&lines).ok();
        assert_eq!(ran.stdout.lines().count(), lines.lines().count(), "{caller}: {ran}");
        for line in ran.stdout.lines() {
            let words: Vec<&str> = line.split('|').collect();
            let [pid, options, said, ours, theirs] = words[..] else { panic!("{caller}: {line}") };
            let target = targets.iter().find(|(_, of)| *of == pid).map(|(name, _)| name);
            let theirs = if pid != "1" && SAME_IN_UTIL_LINUX.contains(&options) { theirs } else { ours };
            cases += 1;
            let_in += usize::from(said == "0");
            if !(said == ours && (said == "0") == (theirs == "0")) {
                wrong.push(format!(
                    "{caller}, {target:?} {options}: said {said}, ours {ours}, theirs {theirs}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    // A table with one answer in it would prove nothing.
    assert!(cases >= 700 && (100..cases - 100).contains(&let_in), "{let_in} of {cases} let in");
}
