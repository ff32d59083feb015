//! Standard input, output and error that are files of the operator's, and its environment and working directory.

use std::fs;
use std::process::Command;

use crate::PATH;
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};
use support::tools::static_tool;

fn lab() -> Result<(Lab, Container), Missing> {
    let lab = Lab::with_users()?;
    static_tool("nsenter-rs")?;
    let web = lab.container("web", Options::default());
    Ok((lab, web))
}

/// A shell script on the fake host in which `$enter` runs a program of the host in the container.
fn script(lab: &Lab, web: &Container, options: &str, script: &str) -> Command {
    let ours = static_tool("nsenter-rs").unwrap();
    let enter = format!("{} -t {} -a -H {options}", ours.display(), web.pid);
    let mut shell = lab.command("sh");
    shell.env("PATH", PATH).env("enter", enter).env("SECRET", "of the operator's");
    shell.args(["-c", &format!("cd /run; {script}")]);
    shell
}

#[test]
fn a_log_can_be_written_to_and_neither_read_nor_emptied() {
    let (lab, web) = need!(lab());
    let attack = r#"echo older >log; $enter sh -c 'cat /proc/self/fd/1; : >/proc/self/fd/1; echo said; echo wrong >&2' >>log 2>&1"#;
    // The attack may hang on the empty pipe: it is not what this is about.
    let attack = attack.replace("cat /proc/self/fd/1;", "head -c 3 </proc/self/fd/1 >/got & kill $!; wait;");
    script(&lab, &web, "", &attack).run().ok();
    assert_eq!(fs::read_to_string(lab.path("/run/log")).unwrap(), "older\nsaid\nwrong\n");
    // With all our power it is the file itself.
    script(&lab, &web, "--trust-target", &attack).run().ok();
    assert!(!fs::read_to_string(lab.path("/run/log")).unwrap().contains("older"));
}

#[test]
fn a_file_on_standard_input_is_left_where_the_program_has_read_to() {
    let (lab, web) = need!(lab());
    // As with a file itself: what the first does not read is there for the next.
    let both = "printf 'a\\nb\\nc\\n' >names; { $enter true; while read -r x; do echo got $x; $enter true; done; } <names; \
                $enter cat <names; seq 50000 >many; $enter wc -l <many; $enter cat <many | cmp - many && echo same";
    let ran = script(&lab, &web, "", both).run().ok();
    ran.stdout_is("got a\ngot b\ngot c\na\nb\nc\n50000\nsame\n").stderr_is("");
}

#[test]
fn what_cannot_be_copied_is_refused_and_what_leads_nowhere_stays() {
    let (lab, web) = need!(lab());
    let refused = script(&lab, &web, "", "$enter true </").run().fails_with(1);
    refused.stderr_has("a directory of the host").stderr_has("hint: ");
    let kinds = "$enter sh -c 'readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2' </dev/null 2>/dev/null | cat";
    let ran = script(&lab, &web, "", kinds).run().ok();
    let links: Vec<_> = ran.stdout.lines().map(|link| link.split(':').next().unwrap()).collect();
    assert_eq!(links, ["/dev/null", "pipe", "/dev/null"]);
}

#[test]
fn a_file_that_takes_no_more_is_told_to_the_operator_and_the_program() {
    let (lab, web) = need!(lab());
    let full = "mount -t tmpfs -o size=64k none /mnt; $enter sh -c 'yes 2>/dev/null; echo $? >&2' >/mnt/full";
    let ran = script(&lab, &web, "", full).run();
    ran.stderr_has("standard output: No space left").stderr_has("141");
}

#[test]
fn the_exit_status_is_the_programs_with_files_around_it() {
    let (lab, web) = need!(lab());
    script(&lab, &web, "", "$enter sh -c 'cat; exit 42' </etc/hostname >out").run().fails_with(42);
    script(&lab, &web, "", "$enter sh -c 'kill -TERM $$' >out; exit $?").run().fails_with(143);
    // Those that it leaves behind keep nobody waiting.
    script(&lab, &web, "", "$enter sh -c 'sleep 1000 >/dev/null 2>&1 </dev/null & exit 3' >out")
        .run()
        .fails_with(3);
}

#[test]
fn the_operators_environment_and_directories_stay_with_it() {
    let (lab, web) = need!(lab());
    let ran = script(&lab, &web, "", "$enter env").run().ok();
    assert!(!ran.stdout.contains("SECRET"), "{ran}");
    script(&lab, &web, "--env-var SECRET", "$enter env").run().ok().stdout_has("SECRET=of the operator's");
    script(&lab, &web, "--trust-target", "$enter env").run().ok().stdout_has("SECRET=");
    let refused = script(&lab, &web, "-w=/run", "$enter true").run().fails_with(1);
    refused.stderr_has("--wd=DIR").stderr_has("hint: ");
}
