//! Docker's state and socket as broken as they get: each time one clear error, or the right answer from
//! where it still is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::by_hand::{Host, docker_config, id, process};
use support::fake_engine::{Answer, Script};
use support::run::Run;
use support::skip::{need, program};
use support::until::as_busy;

#[test]
fn a_host_without_socket_and_state_has_no_docker() {
    let host = Host::new();
    let none = host.cpid(&["docker:web"]).run().fails_with(2);
    none.stderr_has("docker is not running: ").stderr_has("/run/docker.sock is not there");
}

#[test]
fn a_name_and_the_beginning_of_an_id_are_found_on_disk() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.docker_config(&id('b'), &docker_config(&id('b'), "db", false).to_string());
    for target in ["web", "aaaa", &id('a')] {
        host.cpid(&["-v", target]).run().ok().stdout_is(&format!("{pid}\n")).stderr_has("state on disk");
    }
    host.cpid(&["db"]).run().fails_with(1).stderr_has("db is not running (exited, code 0)");
    for target in ["we", "webb", "c", &id('c')] {
        host.cpid(&[target]).run().fails_with(1).stderr_has("no such container");
    }
}

#[test]
fn the_data_root_is_where_the_daemons_configuration_says() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.write("etc/docker/daemon.json", r#"{"data-root": "/srv/docker", "debug": true}"#);
    host.cpid(&["docker:web"]).run().fails_with(2).stderr_has("docker is not running");
    host.directory("srv");
    fs::rename(host.path("var/lib/docker"), host.path("srv/docker")).unwrap();
    host.cpid(&["docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn the_bundle_may_be_the_systems_containerds() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.directory("run/containerd");
    let old = host.path("run/docker/containerd/daemon/io.containerd.runtime.v2.task");
    fs::rename(old, host.path("run/containerd/io.containerd.runtime.v2.task")).unwrap();
    host.cpid(&["docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn a_pid_that_is_another_process_now_is_refused() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks - 1);
    host.cpid(&["docker:web"]).run().fails_with(1).stderr_has("web is not running (exited)");
}

#[test]
fn what_the_daemon_wrote_before_the_machine_went_down_is_not_believed() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    // All below /run is gone at boot.
    fs::remove_dir_all(host.path("run")).unwrap();
    host.cpid(&["docker:web"]).run().fails_with(1).stderr_has("web is not running (exited)");
}

#[test]
fn a_state_file_that_makes_no_sense_is_one_error_that_names_it() {
    let whole = docker_config(&id('a'), "web", false).to_string();
    let huge = format!("{{\"Name\":\"/web\",\"x\":\"{}\"}}", "x".repeat(9 << 20));
    let cases = [
        (&whole[..whole.len() - 9], "EOF while parsing"),
        (&whole.replace("false", "\"no\""), "invalid type"),
        (&whole.replace("\"State\"", "\"Stat\""), "missing field"),
        (&whole.replace(&id('a'), &id('b')), "is another container's"),
        (&format!("{whole}/web\""), "trailing characters"),
        (&format!("{{\"x\":{}", "[".repeat(1 << 20)), "EOF while parsing"),
        (&huge, "is longer than 8388608 bytes"),
    ];
    for (content, why) in cases {
        let host = Host::new();
        host.docker_config(&id('a'), content);
        let refused = host.cpid(&["aaa"]).run().fails_with(2);
        refused.stderr_has("/config.v2.json: ").stderr_has(why);
    }
}

#[test]
fn a_broken_neighbour_keeps_nobody_from_being_found() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.docker_config(&id('b'), "{\"ID\":");
    host.directory(&format!("var/lib/docker/containers/{}", id('c')));
    host.cpid(&["docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn a_damaged_file_hides_itself_and_nothing_else() {
    let (_sleep, pid, ticks) = process();
    let whole = docker_config(&id('b'), "db", false).to_string();
    for damaged in ["", "\0\0\0\0", &whole[..40], &whole[..whole.len() - 1]] {
        let host = Host::new();
        host.docker_runs(&id('a'), "web", pid, ticks);
        host.docker_config(&id('b'), damaged);
        host.docker_config(&id('c'), &docker_config(&id('c'), "old", false).to_string());
        // Docker gives each name once.
        for target in ["web", "docker:web", &id('a')] {
            host.cpid(&[target]).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
        }
        let file = format!("{}/config.v2.json: ", id('b'));
        for target in ["db", "nope", "docker:db", "aaaa", "bbbb", &id('b')] {
            let unsure = host.cpid(&[target]).run().fails_with(2).stdout_is("");
            unsure.stderr_has(&file);
        }
        let list = host.cpid(&["--list", "-a"]).run().fails_with(2);
        let list = list.stdout_has("web").stdout_has("old").stderr_has(&file);
        assert_eq!(list.stderr.lines().count(), 1, "{list}");
    }
}

#[test]
fn a_name_that_a_terminal_would_obey_is_made_harmless() {
    let host = Host::new();
    host.docker_config(&id('a'), &docker_config(&id('a'), "web\u{1b}[2J\r\n", false).to_string());
    let said = host.cpid(&["--list", "-a"]).run().ok();
    assert!(!said.stdout.contains(['\u{1b}', '\r']), "{said:?}");
    let said = host.cpid(&["aaa"]).run().fails_with(1);
    assert!(!said.stderr.contains(['\u{1b}', '\r']), "{said:?}");
}

#[test]
fn one_of_a_thousand_is_found_and_all_are_listed_in_a_table_that_can_be_read() {
    let ((_one, one, one_ticks), (_rest, rest, ticks)) = (process(), process());
    let host = Host::new();
    for number in 0..1000 {
        let (pid, ticks) = if number == 500 { (one, one_ticks) } else { (rest, ticks) };
        host.docker_runs(&format!("{number:064x}"), &format!("web{number}"), pid, ticks);
    }
    let ids = [format!("{:064x}", 500), "web500".to_owned()];
    for target in ids.iter().map(String::as_str) {
        host.cpid(&[target]).run().ok().stdout_is(&format!("{one}\n")).stderr_is("");
    }
    host.cpid(&["web1000"]).run().fails_with(1).stderr_has("no such container");
    let list = host.cpid(&["--list"]).run().ok().stderr_is("");
    assert_eq!(list.stdout.lines().count(), 1001);
    // All of them are in the network of the host.
    let longest = list.stdout.lines().map(str::len).max();
    assert!(longest < Some(300), "{longest:?}");
    list.stdout_has("host,web0,web1,").stdout_has(" and 991 more");
    let rows = host.cpid(&["--list", "--json"]).run().ok().json();
    let with = |pid: i32| rows.as_array().unwrap().iter().filter(|row| row["pid"] == pid).count();
    assert_eq!((with(one), with(rest)), (1, 999));
}

#[test]
fn a_directory_full_of_junk_costs_bounded_time() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    let containers = host.path("var/lib/docker/containers");
    let junk = |range: std::ops::Range<u32>| {
        for n in range {
            fs::write(containers.join(format!("junk-{n}")), "").unwrap();
        }
    };
    junk(0..50_000);
    let began = Instant::now();
    host.cpid(&["docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
    assert!(began.elapsed() < as_busy(Duration::from_secs(5)), "{:?}", began.elapsed());
    junk(50_000..100_001);
    host.cpid(&["docker:web"]).run().fails_with(2).stderr_has("has more than 100000 entries");
}

#[test]
fn state_that_may_not_be_read_says_what_it_takes() {
    need!(program("setpriv", "util-linux"));
    let host = Host::new();
    host.docker_config(&id('a'), &docker_config(&id('a'), "web", false).to_string());
    let containers = host.path("var/lib/docker/containers");
    fs::set_permissions(&containers, fs::Permissions::from_mode(0o000)).unwrap();
    let cpid = host.cpid(&["web"]);
    let mut powerless = Command::new("setpriv");
    powerless
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(cpid.get_program())
        .args(cpid.get_args());
    for (key, value) in cpid.get_envs() {
        powerless.env(key, value.unwrap_or_default());
    }
    let (mut call, hint) = match nix::unistd::geteuid().is_root() {
        true => (powerless, "\nhint: run it on the host, as a root user that has all capabilities"),
        false => (cpid, "\nhint: sudo cpid --engine-timeout="),
    };
    let powerless = call.run().fails_with(2);
    fs::set_permissions(&containers, fs::Permissions::from_mode(0o700)).unwrap();
    powerless.stderr_has("CAP_DAC_READ_SEARCH").stderr_has(hint);
}

#[test]
fn a_socket_that_gives_no_answer_leaves_the_disk() {
    let (_sleep, pid, ticks) = process();
    let web = || Answer::json(200, "{}");
    let answers = [
        Answer::never(),
        Answer::hang_up(),
        web().a_byte_every(Duration::from_millis(100)),
        web().truncated_to(1),
        web(),
        Answer::json(200, r#"{"Id":7}"#),
        Answer::json(500, r#"{"message":"no"}"#),
        Answer::endless("application/json", "[["),
        Answer::bytes("\u{1b}]0;owned\u{7}\r\n\r\n"),
    ];
    for answer in answers {
        let host = Host::with_silent_engine();
        host.directory("run");
        let shown = format!("{answer:?}").chars().take(120).collect::<String>();
        let _engine = Script::new().otherwise(answer).listen(host.path("run/docker.sock"));
        let began = Instant::now();
        let alone = host.cpid(&["docker:web"]).run().fails_with(2).stderr_has("docker");
        assert!(!alone.stderr.contains('\u{1b}'), "{alone:?}");
        host.docker_runs(&id('a'), "web", pid, ticks);
        let both = host.cpid(&["docker:web"]).run().ok();
        assert_eq!(both.stdout, format!("{pid}\n"), "{shown}");
        assert!(began.elapsed() < as_busy(Duration::from_secs(5)), "{shown}: {:?}", began.elapsed());
    }
}

#[test]
fn a_socket_that_nobody_listens_on_leaves_the_disk() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.directory("run");
    drop(UnixListener::bind(host.path("run/docker.sock")).unwrap());
    host.cpid(&["docker:web"]).run().fails_with(2).stderr_has("nothing listens on");
    host.docker_runs(&id('a'), "web", pid, ticks);
    let found = host.cpid(&["-v", "docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
    found.stderr_has("nothing listens on").stderr_has("according to its state on disk");
    host.cpid(&["-lv"]).run().ok().stderr_has("nothing listens on");
}

#[test]
fn the_default_socket_by_its_other_name_has_the_same_disk() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    host.directory("var");
    host.link("var/run", "../run");
    let asked = |socket: &str| {
        let url = format!("unix://{}", host.path(socket).display());
        host.cpid(&["docker:web"]).env("DOCKER_HOST", url).run()
    };
    asked("var/run/docker.sock").ok().stdout_is(&format!("{pid}\n"));
    asked("run/other.sock").fails_with(2).stderr_has("other.sock is not there");
}

#[test]
fn an_answer_of_more_than_eight_mebibytes_is_not_read_to_its_end() {
    let (_sleep, pid, ticks) = process();
    let host = Host::new();
    host.docker_runs(&id('a'), "web", pid, ticks);
    let answer = |length: usize| {
        let mut web = docker_config(&id('a'), "web", false);
        (web["Id"], web["State"]["Status"]) = (id('a').into(), "exited".into());
        web["Padding"] = "x".repeat(length).into();
        Script::new().otherwise(Answer::json(200, &web.to_string())).listen(host.path("run/docker.sock"))
    };
    let engine = answer(7 << 20);
    host.cpid(&["docker:web"]).run().fails_with(1).stderr_has("web is not running (exited, code 0)");
    drop(engine);
    let _engine = answer(8 << 20);
    let said = host.cpid(&["-v", "docker:web"]).run().ok().stdout_is(&format!("{pid}\n"));
    said.stderr_has("/run/docker.sock gave an invalid answer: its answer is too long");
}

/// Makes what is no state file.
type MakeOdd<'a> = &'a dyn Fn(&Path);

#[test]
fn state_that_is_a_link_a_device_or_a_pipe_holds_nobody_up_and_hides_nobody() {
    let (_sleep, pid, ticks) = process();
    let mkfifo = |path: &Path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    let link = |to: &'static str| move |path: &Path| std::os::unix::fs::symlink(to, path).unwrap();
    let odd: [(MakeOdd<'_>, &str); 6] = [
        (&mkfifo, "is not a regular file"),
        (&link("/dev/zero"), "is not a regular file"),
        (&link("/dev/tty"), "config.v2.json"),
        (&link("/proc/self/mem"), "config.v2.json"),
        (&link("config.v2.json"), "config.v2.json"),
        (&|path| fs::create_dir(path).unwrap(), "is not a regular file"),
    ];
    for (make, why) in odd {
        let host = Host::new();
        host.docker_runs(&id('a'), "web", pid, ticks);
        make(&host.directory(&format!("var/lib/docker/containers/{}", id('b'))).join("config.v2.json"));
        let began = Instant::now();
        host.cpid(&["web"]).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
        for target in ["db", &id('b')] {
            let unsure = host.cpid(&[target]).run().fails_with(2).stdout_is("");
            unsure.stderr_has(&format!("{}/config.v2.json", id('b'))).stderr_has(why);
        }
        let list = host.cpid(&["--list"]).run().fails_with(2).stdout_has("web");
        assert_eq!(list.stderr.lines().count(), 1, "{list}");
        assert!(began.elapsed() < as_busy(Duration::from_secs(5)), "{:?}", began.elapsed());
    }
}
