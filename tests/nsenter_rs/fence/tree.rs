//! What of the host's files a program in a container's root is shown: what every user may read of programs, and nothing
//! to write to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::built;
use crate::PATH;
use support::container::{Container, Options, Root};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};
use support::tools::static_tool;

fn lab(root: Root) -> Result<(Lab, Container), Missing> {
    let lab = Lab::with_users()?;
    static_tool("nsenter-rs")?;
    let web = lab.container("web", Options { root, ..Options::default() });
    Ok((lab, web))
}

fn enter(lab: &Lab, web: &Container, options: &[&str]) -> Command {
    let mut command = lab.command(static_tool("nsenter-rs").unwrap());
    command
        .env("PATH", format!("/run/tools:{PATH}"))
        .args(["-t", &web.pid.to_string(), "-a", "-H"])
        .args(options);
    command
}

/// A directory of programs with a secret in it, and one that only root may search.
fn furnish(lab: &Lab) {
    let file = |name: &str, text: &str, mode: u32| {
        let path = lab.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("/run/tools/secret", "secret\n", 0o600);
    file("/run/tools/public", "public\n", 0o644);
    file("/run/tools/hello", "#!/bin/sh\necho hello from ${0##*/}\n", 0o755);
    file("/run/tools/private/key", "key\n", 0o644);
    file("/run/closed/alone", "#!/bin/sh\necho alone; ls ${0%/*}\n", 0o755);
    file("/run/closed/other", "other\n", 0o644);
    file("/run/closed/mine", "#!/bin/sh\necho mine\n", 0o700);
    for closed in ["/run/tools/private", "/run/closed"] {
        fs::set_permissions(lab.path(closed), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// Each line is what could be done.
const LOOK: &str = r#"
for file in /run/tools/secret /run/tools/private/key /run/closed/other /etc/shadow /etc/passwd /run/tools/../closed/other; do
    cat $HOST_ROOT$file 2>/dev/null
done
ls $HOST_ROOT/root $HOST_ROOT/home $HOST_ROOT/var $HOST_ROOT/proc $HOST_ROOT/dev $HOST_ROOT/tmp 2>/dev/null
for file in /run/tools/public /run/tools/secret /run/tools/new /usr/new /etc/new /new; do
    { echo changed >$HOST_ROOT$file; } 2>/dev/null && echo wrote $file
done
chmod 666 $HOST_ROOT/run/tools/secret 2>/dev/null && echo chmod
rm -f $HOST_ROOT/run/tools/public 2>/dev/null && echo rm
cat $HOST_ROOT/run/tools/public"#;

#[test]
fn what_not_every_user_may_read_cannot_be_read_and_nothing_written() {
    for root in [Root::Own, Root::Bare] {
        let (lab, web) = need!(lab(root));
        furnish(&lab);
        enter(&lab, &web, &[]).args(["bash", "-c", LOOK]).run().ok().stdout_is("public\n");
        enter(&lab, &web, &[]).arg("hello").run().ok().stdout_is("hello from hello\n").stderr_is("");
        // With a user who may all the same is there.
        let trusted = ["--trust-target", "cat", "/dev/stdin"];
        let mut all = enter(&lab, &web, &trusted[..1]);
        all.args(["bash", "-c", "cat $HOST_ROOT/run/tools/secret $HOST_ROOT/run/closed/other"]);
        all.run().ok().stdout_is("secret\nother\n");
    }
}

#[test]
fn a_program_in_a_directory_that_only_root_may_search_comes_alone() {
    let (lab, web) = need!(lab(Root::Bare));
    furnish(&lab);
    enter(&lab, &web, &[]).arg("/run/closed/alone").run().ok().stdout_is("alone\nalone\n");
    let refused = enter(&lab, &web, &[]).arg("/run/closed/mine").run().fails_with(1);
    refused.stderr_has("not every user may read it").stderr_has("hint: ");
    enter(&lab, &web, &["--trust-target"]).arg("/run/closed/mine").run().ok().stdout_is("mine\n");
}

#[test]
fn nothing_of_the_container_is_executed_unless_that_is_wished() {
    let (lab, web) = need!(lab(Root::Own));
    let own = web.path("/own");
    fs::copy("/bin/true", &own).unwrap();
    let run = |options: &[&str]| enter(&lab, &web, options).args(["sh", "-c", "/own"]).run();
    run(&[]).fails_with(126).stderr_has("Permission denied");
    run(&["--exec-target"]).ok();
    // What is started so is no more to be looked into than the host's programs.
    fs::copy(&need!(built()).says, web.path("/says")).unwrap();
    enter(&lab, &web, &["--exec-target"]).args(["sh", "-c", "/says"]).run().ok().stdout_is("0\n");
    web.command("/says").run().ok().stdout_is("1\n");
    // Its own programs run as before: what changed is a copy of its mounts.
    web.command("/own").run().ok();
}

#[test]
fn a_program_runs_from_a_file_that_it_may_not_read() {
    let (lab, web) = need!(lab(Root::Bare));
    let files = "for file in bin/.loader program names/bin/sh; do cat $HOST_ROOT/../$file >/dev/null && echo read $file; done; \
                 cat /proc/self/exe | wc -c; exit 0";
    let ran = enter(&lab, &web, &[]).args(["sh", "-c", files]).run().ok();
    ran.stdout_is("0\n").stderr_has("Permission denied");
    let trusted = enter(&lab, &web, &["--trust-target"]).args(["sh", "-c", files]).run().ok();
    trusted.stdout_has("read bin/.loader");
}

#[test]
fn what_it_takes_and_is_not_there_is_named_with_a_way_without_it() {
    let (lab, web) = need!(lab(Root::Bare));
    let run = |options: &[&str]| {
        let mut enter = lab.tool("nsenter-rs");
        enter
            .env("PATH", PATH)
            .args(["-t", &web.pid.to_string(), "-H"])
            .args(options)
            .args(["ls", "/etc"])
            .run()
    };
    // The root's mounts are not those of a mount namespace that is joined.
    let held = run(&["-r"]).fails_with(1);
    held.stderr_has("is not in the program's mount namespace").stderr_has("hint: use -m").stdout_is("");
    lab.shell("echo 0 >/proc/sys/user/max_user_namespaces").run().ok();
    let none = run(&["-a"]).fails_with(1);
    none.stderr_has("no user namespace")
        .stderr_has("user.max_user_namespaces")
        .stderr_has("--trust-target")
        .stdout_is("");
    run(&["-a", "--trust-target"]).ok().stdout_is("hostname\n");
}
