//! Root's realm is asked by itself: no claim of another user, who is asked too under sudo, takes the place of what root's
//! engines say, hides it, or makes it ambiguous. Each attack stands beside the same claim where it does count.

use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::by_hand::{id, process};
use crate::two_users::{DOCKER, PODMAN, Scene, USER, knows, knows_nobody};
use support::fake_engine::{Answer, Script};
use support::run::Run;
use support::skip::need;
use support::until::until;

#[test]
fn a_users_claim_with_the_id_of_roots_container_neither_takes_its_place_nor_hides_it() {
    let scene = need!(Scene::new());
    let (_process, roots, _) = process();
    // Docker is asked before Podman, and the user has the ID from /proc/PID/cgroup.
    let _theirs = scene.users_engine(DOCKER, knows(&id('a'), "pweb", scene.users.pid()));
    // Where root has no such container, the claim is believed: about the user's own process.
    scene.sudo_cpid(&["pweb"]).ok().stdout_is(&scene.users_pid());
    scene.sudo_cpid(&["--of", &scene.users.pid().to_string()]).ok().stdout_is("docker@nobody:pweb\n");

    let _roots = scene.roots_engine(PODMAN, knows(&id('a'), "pweb", roots));
    let pid = format!("{roots}\n");
    for target in ["pweb", "podman:pweb", &id('a')] {
        scene.sudo_cpid(&[target]).ok().stdout_is(&pid).stderr_is("");
    }
    scene.sudo_cpid(&["--of", &roots.to_string()]).ok().stdout_is("podman:pweb\n").stderr_is("");
    let listed = scene.sudo_cpid(&["--list", "--json"]).ok().json();
    let rows: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| (row["pid"].clone(), row["owner"].clone())).collect();
    assert_eq!(rows, [(json!(roots), json!(null)), (json!(scene.users.pid()), json!(USER))], "{listed}");
    let table = scene.sudo_cpid(&["--list"]).ok().stdout;
    let owner_of = |pid: i32| {
        let row = table.lines().find(|row| row.split_whitespace().nth(3) == Some(&pid.to_string()));
        row.unwrap_or_else(|| panic!("no row of {pid} in {table}"))
            .trim_end()
            .rsplit("  ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (owner_of(roots).as_str(), owner_of(scene.users.pid())),
        ("root", format!("user {USER}")),
        "{table}"
    );
    scene.host.cpid(&["pweb"]).run().ok().stdout_is(&pid);
}

#[test]
fn a_users_container_of_the_same_name_does_not_make_roots_ambiguous() {
    let scene = need!(Scene::new());
    let (_process, roots, _) = process();
    let theirs = scene.users_engine(DOCKER, knows(&id('b'), "web", scene.users.pid()));
    let roots_engine = scene.roots_engine(PODMAN, knows(&id('a'), "web", roots));
    scene.sudo_cpid(&["web"]).ok().stdout_is(&format!("{roots}\n"));
    assert!(theirs.requests().is_empty(), "the user was asked: {:?}", theirs.requests());
    // Nor is the beginning of an ID that root has completed by a user's name.
    scene.sudo_cpid(&["aaaaaaaaaaaa"]).fails_with(1);
    drop(roots_engine);
    scene.sudo_cpid(&["web"]).ok().stdout_is(&scene.users_pid());
}

#[test]
fn while_an_engine_of_roots_cannot_be_asked_a_users_claim_is_not_used() {
    let scene = need!(Scene::with_silent_engine());
    let _theirs = scene.users_engine(DOCKER, knows(&id('b'), "web", scene.users.pid()));
    let silent = scene.roots_engine(DOCKER, Script::new().otherwise(Answer::never()));
    for target in ["web", "docker:web", &id('b')] {
        let said = scene.sudo_cpid(&[target]).fails_with(2).stdout_is("");
        said.stderr_has("docker did not answer").stderr_has("hint: ");
    }
    drop(silent);
    // A daemon that is there, and whose state on disk may be the wrong one, has no certain no either.
    scene.host.directory("var/lib/docker/containers");
    let silent = scene.roots_engine(DOCKER, Script::new().otherwise(Answer::never()));
    for word in ["web", "nope"] {
        let said = scene.sudo_cpid(&[word]).fails_with(2).stdout_is("");
        said.stderr_has("cannot tell whether there is such a container: docker did not answer");
    }
    drop(silent);
    // State that is damaged may be the container's.
    let damaged = format!("{{ \"Name\": \"/web\" {}", id('c'));
    scene.host.docker_config(&id('c'), &damaged);
    scene.sudo_cpid(&["web"]).fails_with(2).stdout_is("").stderr_has("config.v2.json");
    std::fs::remove_dir_all(scene.host.path("var/lib/docker")).unwrap();
    // The same claim, and root's docker says that it has none of that name.
    let _nobody = scene.roots_engine(DOCKER, knows_nobody());
    scene.sudo_cpid(&["web"]).ok().stdout_is(&scene.users_pid());
}

/// A socket that nothing listens on any more.
fn left_behind(socket: &Path) {
    drop(UnixListener::bind(socket).unwrap());
}

#[test]
fn a_socket_that_a_stopped_docker_has_left_behind_hides_nothing() {
    let scene = need!(Scene::new());
    let (_process, roots, _) = process();
    let _podman = scene.roots_engine(PODMAN, knows(&id('a'), "web", roots));
    let _theirs = scene.users_engine(DOCKER, knows(&id('b'), "uweb", scene.users.pid()));
    left_behind(&scene.host.path("run/docker.sock"));
    let nothing_is_hidden = || {
        scene.host.cpid(&["web"]).run().ok().stdout_is(&format!("{roots}\n")).stderr_is("");
        scene.sudo_cpid(&["uweb"]).ok().stdout_is(&scene.users_pid()).stderr_is("");
        scene.sudo_cpid(&["nope"]).fails_with(1).stderr_has("nope: no such container");
        scene.host.cpid(&["docker:web"]).run().fails_with(2).stderr_has("nothing listens on");
    };
    nothing_is_hidden();
    // As Docker leaves it when it has nothing to do, too.
    scene.host.directory("run/containerd/io.containerd.runtime.v2.task/moby");
    nothing_is_hidden();
    scene.host.directory("var/lib/docker/containers");
    scene.host.cpid(&["web"]).run().ok().stdout_is(&format!("{roots}\n")).stderr_is("");
    scene.sudo_cpid(&["uweb"]).ok().stdout_is(&scene.users_pid());
    // The same socket, of a daemon that was killed with a data root that we do not know: its containers run.
    scene.host.directory(&format!("run/containerd/io.containerd.runtime.v2.task/moby/{}", id('c')));
    scene.sudo_cpid(&["uweb"]).fails_with(2).stdout_is("").stderr_has("docker is not running");
    std::fs::remove_dir_all(scene.host.path("var/lib/docker")).unwrap();
    scene.host.cpid(&["web"]).run().fails_with(2).stdout_is("").stderr_has("docker could not be asked");
}

#[test]
fn a_podman_that_nobody_uses_is_in_nobodys_way() {
    let scene = need!(Scene::with_silent_engine());
    let (_process, roots, _) = process();
    let _docker = scene.roots_engine(DOCKER, knows(&id('a'), "web", roots));
    let _theirs = scene.users_engine(DOCKER, knows(&id('b'), "uweb", scene.users.pid()));
    let both_are_found = || {
        scene.host.cpid(&["web"]).run().ok().stdout_is(&format!("{roots}\n")).stderr_is("");
        scene.sudo_cpid(&["uweb"]).ok().stdout_is(&scene.users_pid()).stderr_is("");
        scene.sudo_cpid(&["nope"]).fails_with(1).stderr_has("nope: no such container");
    };
    left_behind(&scene.host.path("run/podman/podman.sock"));
    both_are_found();
    std::fs::remove_file(scene.host.path("run/podman/podman.sock")).unwrap();
    // systemd listens for it, and starts it more slowly than we wait.
    let _slow = scene.roots_engine(PODMAN, Script::new().otherwise(Answer::never()));
    both_are_found();
    // It has run something, and keeps that where we do not know.
    scene.host.directory("run/libpod");
    for (word, status) in [("web", 2), ("uweb", 2), ("nope", 2)] {
        scene.sudo_cpid(&[word]).fails_with(status).stdout_is("").stderr_has("podman did not answer");
    }
    // It keeps things where it always does, and has made no container yet.
    scene.host.directory("var/lib/containers/storage/overlay-containers");
    both_are_found();
}

#[test]
fn the_way_out_of_a_doubt_is_a_word_that_works() {
    let scene = need!(Scene::with_silent_engine());
    let _theirs = scene.users_engine(PODMAN, knows(&id('b'), "web", scene.users.pid()));
    let _silent = scene.roots_engine(DOCKER, Script::new().otherwise(Answer::never()));
    scene.sudo_cpid(&["web"]).fails_with(2).stdout_is("").stderr_has("docker did not answer");
    for user in ["nobody".to_owned(), USER.to_string()] {
        scene.sudo_cpid(&[&format!("podman@{user}:web")]).ok().stdout_is(&scene.users_pid());
    }
    scene.sudo_cpid(&["podman:web"]).ok().stdout_is(&scene.users_pid());
}

#[test]
fn a_user_is_named_with_the_engine_and_nobody_else_is_asked() {
    let scene = need!(Scene::with_silent_engine());
    let (_process, roots, _) = process();
    let docker = scene.roots_engine(DOCKER, knows(&id('a'), "web", roots));
    let podman = scene.roots_engine(PODMAN, Script::new().otherwise(Answer::never()));
    let theirs = scene.users_engine(DOCKER, knows(&id('b'), "web", scene.users.pid()));
    let cpid = |word: &str| scene.host.cpid(&[word]).run();
    for word in ["docker@nobody:web", &format!("docker@{USER}:web"), &format!("docker@{USER}:{}", id('b'))] {
        cpid(word).ok().stdout_is(&scene.users_pid()).stderr_is("");
    }
    assert_eq!((docker.connections(), podman.connections()), (0, 0));
    cpid("docker@root:web").ok().stdout_is(&format!("{roots}\n"));
    cpid("docker@nobody:nope").fails_with(1).stderr_has("docker@nobody:nope: no such container");
    cpid("docker@no.such.user:web").fails_with(1).stderr_has("no.such.user: no such user");
    cpid("docker@:web").fails_with(2);
    // Whom one asks by name has to answer.
    drop(theirs);
    let _silent = scene.users_engine(DOCKER, Script::new().otherwise(Answer::never()));
    cpid("docker@nobody:web").fails_with(2).stdout_is("").stderr_has("docker did not answer");
}

#[test]
fn whatever_an_ordinary_user_has_changes_nothing_of_roots_look_up() {
    let scene = need!(Scene::with_silent_engine());
    let (_process, roots, ticks) = process();
    let _podman = scene.roots_engine(PODMAN, knows(&id('a'), "nginx", roots));
    let run = format!("run/user/{USER}");
    chown(scene.host.path(&run), Some(USER), None).unwrap();
    let docker = scene.users_engine(DOCKER, Script::new().otherwise(Answer::never()));
    let podman = scene.users_engine(PODMAN, knows(&id('b'), "nginx", scene.users.pid()));
    let state = json!({ "init_process_pid": scene.users.pid(), "init_process_start": ticks }).to_string();
    for file in ["runc/nginx/state.json", "crun/nginx/status", "systemd/machines/nginx"] {
        scene.host.write(&format!("{run}/{file}"), &state);
    }
    for sudo in [false, true] {
        let cpid = |word: &str| {
            let mut cpid = scene.host.cpid(&[word]);
            if sudo {
                cpid.env("SUDO_UID", USER.to_string());
            }
            cpid.run()
        };
        for word in ["nginx", "podman:nginx", &id('a')] {
            cpid(word).ok().stdout_is(&format!("{roots}\n")).stderr_is("");
        }
        assert_eq!((docker.connections(), podman.connections()), (0, 0), "sudo: {sudo}");
    }
    // It does where root has none, without sudo too.
    drop(docker);
    drop(podman);
    let _podman = scene.users_engine(PODMAN, knows(&id('b'), "uweb", scene.users.pid()));
    scene.host.cpid(&["uweb"]).run().ok().stdout_is(&scene.users_pid());
    let listed = scene.host.cpid(&["--list", "--json"]).run().ok().stdout;
    assert!(listed.contains("uweb") && listed.contains("nginx"), "{listed}");
    // But only in a directory of that user's own.
    chown(scene.host.path(&run), Some(USER - 1), None).unwrap();
    scene.host.cpid(&["uweb"]).run().fails_with(1).stderr_has("no such container");
}

#[test]
fn an_engine_that_was_silent_once_is_not_waited_for_again() {
    let scene = need!(Scene::with_silent_engine());
    let docker = scene.roots_engine(DOCKER, Script::new().otherwise(Answer::never()));
    let names: Vec<String> = (0..60).map(|number| format!("web-{number}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let ran = scene.host.cpid(&words).run().fails_with(2).stdout_is("");
    assert_eq!(ran.stderr.matches("docker did not answer").count(), 60, "{ran}");
    assert_eq!((docker.requests().len(), docker.connections()), (1, 1), "{:?}", docker.requests());
    // The next call asks again.
    scene.host.cpid(&["web"]).run().fails_with(2);
    assert_eq!(docker.requests().len(), 2, "{:?}", docker.requests());
}

#[test]
fn verbose_lists_every_engine_and_how_it_answered() {
    let scene = need!(Scene::new());
    let (_process, roots, _) = process();
    let _docker = scene.roots_engine(DOCKER, knows(&id('a'), "web", roots));
    scene.host.directory("var/lib/containers/storage/overlay-containers");
    let asked = "cpid: asked: docker (API), podman (state on disk), containerd (not on this host), ";
    for words in [["-v", "web"], ["-v", "--list"]] {
        scene.host.cpid(&words).run().ok().stderr_has(asked);
    }
    scene.host.cpid(&["-v", "nope"]).run().fails_with(1).stderr_has(asked);
}

#[test]
fn one_hit_of_roots_is_not_certain_while_another_engine_of_roots_cannot_be_asked() {
    let scene = need!(Scene::with_silent_engine());
    let (_process, roots, _) = process();
    let _podman = scene.roots_engine(PODMAN, knows(&id('a'), "web", roots));
    let silent = scene.roots_engine(DOCKER, Script::new().otherwise(Answer::never()));
    let said = scene.host.cpid(&["web"]).run().fails_with(2).stdout_is("");
    said.stderr_has("docker could not be asked").stderr_has("hint: use podman:web for that container\n");
    // A whole ID is nobody else's, and a named engine is that one.
    for certain in ["podman:web", &id('a')] {
        scene.host.cpid(&[certain]).run().ok().stdout_is(&format!("{roots}\n"));
    }
    drop(silent);
    scene.host.cpid(&["web"]).run().ok().stdout_is(&format!("{roots}\n"));
}

#[test]
fn users_engines_that_are_silent_drip_or_talk_nonsense_change_nothing_of_roots() {
    let scene = need!(Scene::with_silent_engine());
    let (_process, roots, _) = process();
    let roots_engine = scene.roots_engine(PODMAN, knows(&id('a'), "web", roots));
    let drip = Answer::json(200, "{}").a_byte_every(Duration::from_millis(50));
    for answer in [Answer::never(), drip, Answer::bytes("\0garbage"), Answer::hang_up()] {
        let theirs = scene.users_engine(DOCKER, Script::new().otherwise(answer));
        scene.sudo_cpid(&["web"]).ok().stdout_is(&format!("{roots}\n")).stderr_is("");
        assert!(theirs.requests().is_empty(), "the user was asked: {:?}", theirs.requests());
        // They are asked where root has none of that name; that they say nothing is no status, but a line of -v.
        let said = "cpid: nope: no such container (asked: podman)\nhint: cpid --list\n";
        scene.sudo_cpid(&["nope"]).fails_with(1).stderr_is(said);
        scene.sudo_cpid(&["-v", "nope"]).fails_with(1).stderr_has(&format!("/run/user/{USER}/docker.sock"));
        let listed = scene.sudo_cpid(&["--list", "--json"]).ok().json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        scene.sudo_cpid(&["--list", "-v"]).ok().stderr_has(&format!("/run/user/{USER}/docker.sock"));
        drop(theirs);
    }
    drop(roots_engine);
}

#[test]
fn a_users_engines_have_one_time_limit_for_all_of_them() {
    let scene = need!(Scene::new());
    let _roots = scene.roots_engine(PODMAN, knows_nobody());
    let silent = || Script::new().otherwise(Answer::never());
    let _theirs = [scene.users_engine(DOCKER, silent()), scene.users_engine(PODMAN, silent())];
    let ask = || scene.sudo_cpid(&["--engine-timeout", "1s", "web"]).fails_with(1).took;
    // Two limits are never over within that; one is, as soon as the machine is not busy with other things.
    until("a call takes less than two limits", || ask() < Duration::from_millis(1900));
}

#[test]
fn two_of_a_users_are_listed_with_whose_they_are() {
    let scene = need!(Scene::new());
    let _docker = scene.users_engine(DOCKER, knows(&id('a'), "web", scene.users.pid()));
    let _podman = scene.users_engine(PODMAN, knows(&id('b'), "web", scene.users.pid()));
    let said = scene.sudo_cpid(&["web"]).fails_with(2).stdout_is("").stderr_has("means 2 containers");
    let whose = format!(" web of user {USER} (running)");
    assert_eq!(said.stderr.matches(&whose).count(), 2, "{said}");
}
