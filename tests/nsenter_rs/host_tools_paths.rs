//! `--host-tools` beside paths that are fixed in the host's programs and libraries: they lead to the host, whatever the
//! container has at them. Beside each stands what happens without.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::PATH;
use support::container::{Container, Options, Root};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};
use support::tools::static_tool;
use support::world::{DockerContainer, World};

/// A program of the host as its own loader starts it, with the host's directories and no more: what was done before.
const NAIVE: &str = r#"lib=$HOST_ROOT/usr/lib/$(uname -m)-linux-gnu; prog=$1; shift
    exec $lib/ld-linux-*.so.2 --inhibit-cache --library-path $lib:$lib/blas:$HOST_ROOT/lib64 $HOST_ROOT$prog "$@""#;

fn bare() -> Result<(Lab, Container), Missing> {
    let lab = Lab::new()?;
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    Ok((lab, web))
}

fn enter(lab: &Lab, web: &Container) -> Result<Command, Missing> {
    let mut command = lab.command(static_tool("nsenter-rs")?);
    command.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-a", "-H", "--trust-target"]);
    Ok(command)
}

#[test]
fn a_container_names_no_module_of_the_name_service() {
    need!(program("strace", "strace"));
    let (lab, web) = need!(bare());
    let opened = |words: &[&str]| {
        let mut strace = need_static(&lab, &web);
        strace.args(["strace", "-f", "-e", "trace=open,openat"]).args(words).run()
    };
    let of_container = |ran: &Ran| {
        let is_theirs =
            |line: &&str| line.contains("nsswitch") || line.contains("libnss") || line.contains("nscd");
        ran.stderr.lines().filter(is_theirs).any(|line| !line.contains("\"/..//"))
    };
    for line in [Some("passwd: hostile ../evil files\n"), None] {
        let path = web.path("/etc/nsswitch.conf");
        match line {
            Some(line) => fs::write(path, line).unwrap(),
            // It may come at any time, so where there is none the path is another one too.
            None => fs::remove_file(path).unwrap(),
        }
        let ran = opened(&["getent", "passwd", "x"]).fails_with(2).stderr_has("\"/..//nsswitch.conf\"");
        assert!(!of_container(&ran), "{ran}");
        let naive = opened(&["sh", "-c", NAIVE, "sh", "/usr/bin/getent", "passwd", "x"]);
        assert!(of_container(&naive), "{naive}");
    }
}

fn need_static(lab: &Lab, web: &Container) -> Command {
    enter(lab, web).unwrap_or_else(|missing| panic!("{missing}"))
}

#[test]
fn users_protocols_and_services_are_known_in_an_image_without_any() {
    let (lab, web) = need!(bare());
    let ask = |words: &[&str]| need_static(&lab, &web).arg("getent").args(words).run();
    need!(static_tool("nsenter-rs"));
    ask(&["passwd", "0"]).ok().stdout_has("root:");
    ask(&["services", "domain/udp"]).ok().stdout_has("53/udp");
    ask(&["protocols", "icmp"]).ok().stdout_has("1 ICMP");
    // Where it has users, those are meant.
    fs::write(web.path("/etc/passwd"), "toor:x:0:0::/:/bin/sh\n").unwrap();
    ask(&["passwd", "0"]).ok().stdout_has("toor:");
}

#[test]
fn modules_for_character_sets_are_the_hosts() {
    need!(program("strace", "strace"));
    let (lab, web) = need!(bare());
    let mut convert = need!(enter(&lab, &web));
    let words = ["strace", "-e", "trace=open,openat", "iconv", "-f", "HOSTILE", "-t", "UTF-8", "/dev/null"];
    let ran = convert.args(words).run();
    let asked = ran.stderr.lines().filter(|line| line.contains("gconv"));
    let theirs: Vec<_> = asked.clone().filter(|line| line.contains("\"/usr/")).collect();
    assert!(asked.count() > 0 && theirs.is_empty(), "{ran}");
}

#[test]
fn a_shell_for_children_is_the_hosts_where_the_container_has_none() {
    need!(program("perl", "perl-base"));
    let (lab, web) = need!(bare());
    let by_c = ["awk", "BEGIN { system(\"readlink /proc/$$/exe; echo $0\") }"];
    let by_itself = ["perl", "-e", "print `echo one; echo two`"];
    let run = |words: &[&str]| need_static(&lab, &web).args(words).run();
    need!(static_tool("nsenter-rs"));
    // system(3) of the C library finds it in every root; perl asks for /bin/sh, and nothing is written to the container.
    run(&by_c).ok().stdout_has("/bin/.loader\n").stdout_has("sh\n");
    run(&by_itself).stdout_is("");
    // What is there is not run, be it what it may: the host's is.
    fs::create_dir_all(web.path("/usr/bin")).unwrap();
    if fs::symlink_metadata(web.path("/bin")).is_err() {
        fs::create_dir(web.path("/bin")).unwrap();
    }
    for is_link in [false, true] {
        let (shell, real) = (web.path("/bin/sh"), web.path("/bin/box"));
        let _ = fs::remove_file(&shell);
        let file = if is_link { &real } else { &shell };
        fs::write(file, "#!/bin/hostile\n").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        if is_link {
            std::os::unix::fs::symlink("box", &shell).unwrap();
        }
        run(&by_c).ok().stdout_has("/bin/.loader\n");
        run(&by_itself).ok().stdout_is("one\ntwo\n");
        let mut theirs = need_static(&lab, &web);
        let script = "read -r line <$1; echo \"$line\"";
        let read = theirs
            .args(["sh", "-c", script, "sh", if is_link { "/bin/box" } else { "/proc/1/root/bin/sh" }])
            .run();
        read.ok().stdout_is("#!/bin/hostile\n");
    }
}

#[test]
fn a_script_of_the_host_in_a_directory_of_version_managers_is_passed_over() {
    let (lab, web) = need!(bare());
    let shims = lab.path("/run/any/shims");
    fs::create_dir_all(&shims).unwrap();
    fs::write(shims.join("cat"), "#!/bin/sh\nexec /run/any/libexec/any cat\n").unwrap();
    fs::set_permissions(shims.join("cat"), fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: &[&str]| {
        let mut enter = need_static(&lab, &web);
        enter.env("PATH", format!("/run/any/shims:{PATH}")).args(words).run()
    };
    need!(static_tool("nsenter-rs"));
    run(&["cat", "/etc/hostname"]).ok().stdout_is("web\n");
    run(&["sh", "-c", "cat /etc/hostname"]).ok().stdout_is("web\n");
    // By its path it is what was asked for, and fails as it must.
    let by_path = run(&["/run/any/shims/cat", "/etc/hostname"]);
    assert!(by_path.status.is_some_and(|status| !status.success()), "{by_path}");
}

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// `nsenter-rs -t WEB -a -H`.
fn enter_docker(world: &World, web: &DockerContainer<'_>) -> Command {
    let nsenter = static_tool("nsenter-rs").unwrap_or_else(|missing| panic!("{missing}"));
    let mut command = world.command(nsenter);
    command.env("PATH", PATH).args(["-t", &web.name, "-a", "-H"]);
    command
}

#[test]
fn a_link_of_the_hosts_libraries_is_followed_in_the_host() {
    need!(static_tool("nsenter-rs"));
    let world = need!(docker().and_then(|world| world.with("host-programs")));
    let web = world.docker_container("links", &[]);
    // As Debian has them, and a container that has another file at the same place.
    let find = "for lib in /usr/lib/*-linux-gnu/libblas.so.3; do readlink $lib; done";
    let link = world.command("sh").args(["-c", find]).run().ok();
    assert!(link.text().starts_with("/etc/alternatives/"), "{link}");
    let plant = format!("mkdir -p /etc/alternatives; echo hostile >{}", link.text());
    web.command("sh").args(["-c", &plant]).run().ok();
    let nmap = enter_docker(&world, &web).args(["nmap", "--version"]).run();
    nmap.ok().stdout_has("Nmap version");
    // The same program with the host's own directories meets the container's file.
    let naive = NAIVE.replace(":$lib/blas", "");
    let mut twin = enter_docker(&world, &web);
    let twin = twin.args(["--trust-target", "sh", "-c", &naive, "sh", "/usr/bin/nmap", "--version"]).run();
    twin.fails_with(127).stderr_has("libblas.so.3: ");
}

#[test]
fn rules_are_shown_in_whole_or_not_at_all() {
    need!(static_tool("nsenter-rs"));
    let world = need!(docker().and_then(|world| world.with("host-programs")));
    let web = world.docker_container("rules", &[]);
    let rule =
        ["-A", "INPUT", "-p", "tcp", "--dport", "81", "-m", "comment", "--comment", "mine", "-j", "ACCEPT"];
    let mut add = world.command("nsenter");
    add.args(["-t", &web.pid().to_string(), "-n", "iptables"]).args(rule).run().ok();
    let list = |options: &[&str], words: &[&str]| enter_docker(&world, &web).args(options).args(words).run();
    let shown = list(&["--cap-add", "NET_ADMIN"], &["iptables", "-S"]).ok();
    shown.stdout_has("--dport 81 ").stdout_has("--comment mine");
    // Extensions are looked for where a variable says; without it that would be in the container.
    let naive =
        list(&["--cap-add", "NET_ADMIN"], &["sh", "-c", "XTABLES_LIBDIR=/usr/lib/xtables iptables -S"]);
    assert!(!naive.stdout.contains("--dport 81"), "{naive}");
    let hint =
        format!("hint: nsenter-rs -t {} -n iptables -S\nhint: nsenter-rs --cap-add NET_ADMIN ", web.name);
    let refused = list(&[], &["iptables", "-S"]).fails_with(1).stdout_is("");
    refused.stderr_has("needs CAP_NET_ADMIN").stderr_has(&hint).stderr_has("--cap-add NET_ADMIN");
    // It is no other way round for a child.
    let child = list(&[], &["bash", "-c", "iptables -S; echo $?"]).ok();
    child.stdout_is("126\n").stderr_has("--cap-add NET_ADMIN");
    let explained = list(&["--explain"], &["iptables", "-S"]).fails_with(1);
    explained.stdout_has("needs CAP_NET_ADMIN").stdout_has("--cap-add NET_ADMIN");
    list(&["--explain"], &["iptables", "-V"]).ok();
}

#[test]
fn a_root_below_what_is_mounted_over_it_is_still_said_to_be_what_it_is() {
    need!(static_tool("nsenter-rs"));
    let world = need!(docker());
    let web = world.docker_container("space", &[]);
    let columns = |ran: Ran| {
        let line = ran.stdout.lines().last().unwrap_or_default().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let ours = columns(enter_docker(&world, &web).args(["df", "-P", "/"]).run().ok());
    let own = columns(web.command("df").args(["-P", "/"]).run().ok());
    // Name, size and place; what is used changes meanwhile.
    assert_eq!([&ours[0], &ours[1], &ours[5]], [&own[0], &own[1], &own[5]]);
}
