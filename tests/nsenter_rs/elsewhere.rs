//! Namespaces that are named otherwise than by a process or a file: by a socket, by a handle, by what they own.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use crate::like_newer_util_linux;
use crate::users::{as_user, lab_with_users};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};

const NET: [&str; 2] = ["readlink", "/proc/self/ns/net"];

/// A container whose network a process of the lab has a socket in, as descriptor 5, though it has come back from there.
fn with_a_socket(lab: &Lab) -> Result<(Container, RunningProgram, String), Missing> {
    // Only bash opens sockets of its own.
    program("bash", "bash")?;
    let web = lab.container("web", Options::only(&["net", "uts"]));
    let script = "exec 5<>/dev/udp/127.0.0.1/9; exec nsenter --net=/proc/1/ns/net sh -c 'echo $$; read -r _'";
    let mut open = lab.command("nsenter");
    let holder =
        open.args(["-t", &web.pid.to_string(), "-n", "bash", "-c", script]).start_with(Stdio::piped());
    let pid = holder.first_line();
    assert!(pid.is_some(), "{}", holder.so_far());
    Ok((web, holder, pid.unwrap_or_default()))
}

#[test]
fn a_socket_leads_to_the_network_that_it_was_made_in() {
    let lab = need!(Lab::new());
    let (web, _holder, target) = need!(with_a_socket(&lab));
    let [there, here] = [web.pid, 1].map(|pid| format!("{}\n", lab.namespace(pid, "net")));
    let enter = |options: &[&str]| {
        like_newer_util_linux(&lab, (2, 41), &[&["-t", &target], options, &NET].concat()).ok()
    };
    enter(&["-n"]).stdout_is(&here);
    // With all others of the target, or with a FILE, it is still the socket that counts, as in util-linux.
    let ways: [&[&str]; 6] = [
        &["-N", "5"],
        &["-N5"],
        &["--net-socket", "5"],
        &["--net-socket=5"],
        &["-n", "-N", "5", "-F"],
        &["-N", "0", "--net=/proc/1/ns/net", "-N", "5"],
    ];
    for way in ways {
        enter(way).stdout_is(&there).stderr_is("");
    }
    let mut all = lab.tool("nsenter-rs");
    all.args(["-t", &target, "-a", "-N", "5"]).args(NET).run().ok().stdout_is(&there);
}

#[test]
fn a_descriptor_that_is_no_socket_is_refused() {
    let lab = need!(Lab::new());
    let (web, _holder, target) = need!(with_a_socket(&lab));
    let cases = [
        ("0", format!("PID {target}, descriptor 0: is not a socket\nhint: ls -l /proc/{target}/fd\n")),
        ("77", format!("PID {target}, descriptor 77: is not open\nhint: ls -l /proc/{target}/fd\n")),
        ("2147483647", format!("PID {target}, descriptor 2147483647: is not open\n")),
        ("2147483648", "invalid value '2147483648' for '--net-socket <FD>'".to_owned()),
        ("-1", "'-1'".to_owned()),
        ("=-1", "invalid value '-1' for '--net-socket <FD>'".to_owned()),
        ("5x", "invalid value '5x' for '--net-socket <FD>'".to_owned()),
        ("", "'--net-socket <FD>'".to_owned()),
    ];
    for (number, why) in cases {
        let option = format!("--net-socket{number}");
        let words = if number.starts_with('=') { vec![option.as_str()] } else { vec!["-N", number] };
        let ran = lab.tool("nsenter-rs").args(["-t", &target]).args(words).args(["echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has(&why);
    }
    let ran = lab.tool("nsenter-rs").args(["-N", "5", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("").stderr_has("--net-socket: no TARGET was given");
    lab.command("ip").args(["netns", "attach", "blue", &web.pid.to_string()]).run().ok();
    let ran = lab.tool("nsenter-rs").args(["-t", "netns:blue", "-N", "5", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("").stderr_has("without a process");
}

#[test]
fn a_socket_of_a_network_that_is_not_ours_is_refused() {
    let lab = need!(Lab::new());
    need!(lab.user_namespace());
    // It comes from outside of the lab, and belongs to the network there.
    let (socket, _peer) = UnixStream::pair().unwrap();
    let mut holder = lab.command("sh");
    holder.args(["-c", "read -r pid _ </proc/self/stat; echo $pid; read -r _"]);
    let holder = holder.start_with(Stdio::from(OwnedFd::from(socket)));
    let target = holder.first_line().unwrap();
    let ran = lab.tool("nsenter-rs").args(["-t", &target, "-N", "0", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("")
        .stderr_has("CAP_NET_ADMIN over the user namespace that owns its network")
        .stderr_has("hint: ");
}

#[test]
fn the_sockets_of_others_are_guarded_by_the_ptrace_rules() {
    let lab = need!(lab_with_users());
    let (_web, _holder, target) = need!(with_a_socket(&lab));
    let ran =
        as_user(&lab, &["/run/nsenter-rs", "-t", &target, "-N", "5", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("").stderr_has("CAP_SYS_PTRACE").stderr_has("ptrace(2)").stderr_has("hint: ");
}

/// What `-v` says the container's network namespace can be named by: its ID and its handle.
fn names(lab: &Lab, web: &Container) -> Result<(String, String), Missing> {
    let target = web.pid.to_string();
    let ran = lab.tool("nsenter-rs").args(["-v", "-t", &target, "-n", "true"]).run().ok();
    let said = format!("nsenter-rs: {} has the ID ", lab.namespace(web.pid, "net"));
    let names = ran.stderr.lines().find_map(|line| line.strip_prefix(&said)?.split_once(", the handle "));
    let names = names.map(|(id, handle)| (id.to_owned(), handle.to_owned()));
    names.ok_or_else(|| Missing::ForGood("the kernel has no handles of namespaces (Linux 6.18 has)".into()))
}

#[test]
fn a_handle_means_one_namespace_and_no_other() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let (id, handle) = need!(names(&lab, &web));
    let net = lab.namespace(web.pid, "net");
    // The kernel's own layout (linux/nsfs.h): ID, kind, and the number that /proc shows.
    let words: Vec<u32> = (0..4)
        .map(|at| u32::from_str_radix(&handle[at * 8..][..8], 16).unwrap())
        .map(|word| u32::from_ne_bytes(word.to_be_bytes()))
        .collect();
    assert_eq!(format!("net:[{}]", words[3]), net);
    if cfg!(target_endian = "little") {
        assert_eq!((u64::from(words[0]) | u64::from(words[1]) << 32).to_string(), id);
    }
    for option in [format!("--net=:{handle}"), format!("-n=:{}", handle.to_uppercase())] {
        lab.tool("nsenter-rs").arg(&option).args(NET).run().ok().stdout_is(&format!("{net}\n")).stderr_is("");
    }
    let target = lab.namespace(1, "uts");
    let mixed =
        ["-t", "1", "-u", &format!("--net=:{handle}"), "readlink", "/proc/self/ns/net", "/proc/self/ns/uts"];
    lab.tool("nsenter-rs").args(mixed).run().ok().stdout_is(&format!("{net}\n{target}\n"));
    let other_kind = lab.tool("nsenter-rs").arg(format!("--uts=:{handle}")).args(["echo", "ran"]).run();
    other_kind.fails_with(1).stdout_is("").stderr_has("is a namespace, but not a uts one");
    // It keeps nothing alive, and what comes later has another.
    web.restart();
    let late = lab.tool("nsenter-rs").arg(format!("--net=:{handle}")).args(["echo", "ran"]).run();
    late.fails_with(1).stdout_is("").stderr_has(&format!(":{handle}: no such namespace"));
}

#[test]
fn an_id_is_enough_where_the_kernel_takes_it() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let (id, _) = need!(names(&lab, &web));
    let net = lab.namespace(web.pid, "net");
    let option = format!("--net=:{id}");
    let enter = || like_newer_util_linux(&lab, (2, 42), &[&[option.as_str()], &NET[..]].concat());
    let entered = enter();
    if entered.status.is_some_and(|status| status.success()) {
        entered.stdout_is(&format!("{net}\n"));
        web.stop();
        enter().fails_with(1).stdout_is("").stderr_has(&format!(":{id}: no such namespace"));
    } else {
        let entered =
            entered.fails_with(1).stdout_is("").stderr_has(&format!(":{id}: this kernel cannot open a"));
        entered.stderr_has("(needs Linux 6.19)\nhint: use the whole handle instead: nsenter-rs -v ");
    }
}

#[test]
fn what_is_neither_an_id_nor_a_handle_is_refused() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let (_, handle) = need!(names(&lab, &web));
    let words = [
        "",
        ":",
        ":0",
        ":-1",
        ":+1",
        ": 1",
        ":1x",
        ":18446744073709551616",
        ":00000000000000000000000000000000",
        &format!(":{}", &handle[1..]),
        &format!(":{handle}0"),
        "::1",
    ];
    for word in words {
        let ran = lab.tool("nsenter-rs").arg(format!("--net={word}")).args(["echo", "ran"]).run();
        ran.fails_with(1).stdout_is("").stderr_has("'--net[=<FILE>]'");
    }
    // Well-formed, and of nobody: the handle of a namespace that there will not be.
    let nobody = format!("--net=:{}{}", "ff".repeat(8), &handle[16..]);
    let ran = lab.tool("nsenter-rs").arg(nobody).args(["echo", "ran"]).run();
    ran.fails_with(1).stdout_is("").stderr_has("no such namespace");
}

#[test]
fn a_file_whose_name_begins_with_a_colon_is_named_with_its_directory() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let bind = format!("touch /run/:42; mount --bind /proc/{}/ns/net /run/:42", web.pid);
    lab.shell(&bind).run().ok();
    let nsenter = support::tools::tool("nsenter-rs");
    let enter =
        |file: &str| lab.shell(&format!("cd /run; {nsenter} --net={file} readlink /proc/self/ns/net")).run();
    enter("./:42").ok().stdout_is(&format!("{}\n", lab.namespace(web.pid, "net")));
    enter(":42").fails_with(1).stdout_is("");
}

#[test]
fn a_handle_opens_nothing_for_who_could_not_enter() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let (_, handle) = need!(names(&lab, &web));
    let net = format!("--net=:{handle}");
    let ran = as_user(&lab, &["/run/nsenter-rs", &net, "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("").stderr_has(&format!(
        ":{handle}: no such namespace, or the caller may not enter it: that requires CAP_SYS_ADMIN"
    ));
}

/// A process in a user namespace inside of the one that owns its network, which no process is in: so bwrap leaves
/// them. Says the link of the outer one first, and then its PID.
fn nested(lab: &Lab) -> (RunningProgram, String, String) {
    let inner = "read -r pid _ </proc/self/stat; echo $pid; echo ready; read -r _";
    let script = format!(
        "hostname nested; readlink /proc/self/ns/user; exec unshare --user --map-root-user sh -c '{inner}'"
    );
    let words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "sh", "-c", &script];
    let running = as_user(lab, &words).start_with(Stdio::piped());
    running.wait_for("ready");
    let said = running.so_far().stdout;
    let mut lines = said.lines().map(str::to_owned);
    let (owner, pid) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    (running, owner, pid)
}

#[test]
fn a_user_namespace_without_a_process_is_entered_as_the_one_above() {
    let lab = need!(lab_with_users());
    let (_nested, owner, target) = nested(&lab);
    let pid: i32 = target.parse().unwrap();
    assert_ne!(owner, lab.namespace(pid, "user"));
    assert_ne!(owner, lab.namespace(1, "user"));
    let expected = format!("{owner}\n{}\nnested\n0\n", lab.namespace(pid, "uts"));
    let show = ["sh", "-c", "readlink /proc/self/ns/user /proc/self/ns/uts; hostname; id -u"];
    let [user, uts] = ["user", "uts"].map(|kind| format!("--{kind}=/proc/{target}/ns/{kind}"));
    let ways: [&[&str]; 5] = [
        &["-t", &target, "-u", "--user-parent"],
        &["-t", &target, "-u", "-U", "--user-parent"],
        &["-t", &target, "-a", "--user-parent"],
        &["--user-parent", &uts],
        &["--user-parent", &user, &uts],
    ];
    for way in ways {
        let words = [&["/run/nsenter-rs"], way, &show].concat();
        lab.command(words[0]).args(&words[1..]).run().ok().stdout_is(&expected).stderr_is("");
        if way.contains(&"-t") && !way.contains(&"-a") {
            like_newer_util_linux(&lab, (2, 40), &words[1..]).ok();
        }
        as_user(&lab, &words).run().ok().stdout_is(&expected).stderr_is("");
    }
    let alone = ["-t", &target, "--user-parent", "readlink", "/proc/self/ns/user"];
    like_newer_util_linux(&lab, (2, 40), &alone).ok().stdout_is(&format!("{owner}\n"));
    // Without it the user has no power over what is owned further up.
    as_user(&lab, &["/run/nsenter-rs", "-t", &target, "-u", "echo", "ran"]).run().fails_with(1).stdout_is("");
}

#[test]
fn what_a_container_owns_is_reached_through_its_own_user_namespace() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options { unshared: vec!["user", "net", "uts"], ..Options::only(&[]) });
    let target = web.pid.to_string();
    let user = |options: &[&str]| {
        let mut enter = lab.tool("nsenter-rs");
        enter.args(["-t", &target]).args(options).args(["readlink", "/proc/self/ns/user"]).run().ok().stdout
    };
    assert_eq!(user(&["-n", "--user-parent"]), format!("{}\n", lab.namespace(web.pid, "user")));
    // A namespace that the lab shares with it says nothing of whose the others are.
    assert_eq!(user(&["-C", "-n", "--user-parent"]), format!("{}\n", lab.namespace(web.pid, "user")));
    // The parent of its own is where we are already.
    assert_eq!(user(&["-n", "-U", "--user-parent"]), format!("{}\n", lab.namespace(1, "user")));
}

#[test]
fn what_is_above_our_own_user_namespace_stays_out_of_reach() {
    let lab = need!(Lab::new());
    need!(lab.user_namespace());
    let own = lab.namespace(1, "user");
    for options in [&["-U", "--user-parent"][..], &["--user-parent"]] {
        let ran =
            lab.tool("nsenter-rs").args(["-t", "1"]).args(options).args(["echo", "ran"]).run().fails_with(1);
        ran.stdout_is("").stderr_has(&format!("{own}: it has no parent, or none that is the caller's"));
    }
    let ran = lab.tool("nsenter-rs").args(["--user-parent", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("").stderr_has("--user-parent: no TARGET was given");
    let by_file = ["--user=/proc/1/ns/user", "--user-parent", "echo", "ran"];
    let ran = lab.tool("nsenter-rs").args(by_file).run().fails_with(1);
    ran.stdout_is("").stderr_has(&own);
}

#[test]
fn the_targets_own_namespace_by_another_name_exposes_the_program_as_much() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let exposure = |option: &str| {
        let ran = lab.tool("nsenter-rs").args(["-v", "-t", &target, option, "true"]).run().ok();
        ran.stderr.lines().last().unwrap().to_owned()
    };
    let seen = exposure("-p");
    assert_ne!(seen, exposure("-u"));
    assert_eq!(exposure(&format!("--pid=/proc/{target}/ns/pid")), seen);
}

#[test]
fn without_a_target_verbose_says_what_there_is_to_say_and_goes_on() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let file = format!("--mount=/proc/{}/ns/mnt", web.pid);
    for option in [file.as_str(), "--root=/"] {
        let ran = lab.tool("nsenter-rs").args(["-v", option, "echo", "ran"]).run().ok();
        ran.stdout_is("ran\n").stderr_has("it is not known whether processes of the container");
    }
    let ran = lab.tool("nsenter-rs").args([&file, "-H", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("")
        .stderr_has("there is no process whose capabilities")
        .stderr_has("hint: use -t NAME, or --trust-target");
}

#[test]
fn a_namespace_that_is_ours_already_is_named_on_request() {
    let lab = need!(Lab::new());
    let ran = lab.tool("nsenter-rs").args(["-v", "-t", "1", "-n", "echo", "ran"]).run().ok();
    ran.stdout_is("ran\n").stderr_has(&format!("nsenter-rs: already in {}\n", lab.namespace(1, "net")));
    lab.tool("nsenter-rs").args(["-t", "1", "-n", "true"]).run().ok().stderr_is("");
}
