//! A user whom root has put into the group of a real Docker's socket: what Docker answers is the answer, and what takes more is told in
//! one line with the command that has it.

use std::path::Path;

use support::run::{Ran, Run};
use support::skip::{need, program};
use support::spare_docker::SpareDocker;
use support::tools;

/// Nobody else's.
const GROUP: &str = "41997";
const USUAL: &str = r#"--data-root "$0/var/lib/docker" --exec-root "$0/run/docker" --group 41997"#;

/// As the user `ops` of a host that has such a user, such a group, this Docker, and a Podman of root's. `$0` is the Docker's directory,
/// `$2` that of the tools, `$3` is run as root before, and what follows as that user.
const AS_OPS: &str = r#"
    mount --bind "$0/run/docker.sock" /run/docker.sock
    # Podman's socket is root's wherever it has one: its package makes the directory like this.
    if ! [ -S /run/podman/podman.sock ]; then
        mkdir -p -m 700 /run/podman; mount -t tmpfs -o mode=700 tmpfs /run/podman
        touch /run/podman/podman.sock; mount --bind "$0/run/docker.sock" /run/podman/podman.sock
    fi
    # What other tests record there is root's: this host has no records but the user's own.
    mkdir -p -m 700 /run/netns-toolbox; mount -t tmpfs -o mode=700,uid=1000,gid=1000 tmpfs /run/netns-toolbox
    eval "$3"
    printf 'root:x:0:0::/root:/bin/sh\nops:x:1000:1000::/:/bin/sh\n' >"$0/passwd"; mount --bind "$0/passwd" /etc/passwd
    printf 'root:x:0:\nops:x:1000:\ndocker:x:41997:ops\npodman:x:41998:\n' >"$0/group"; mount --bind "$0/group" /etc/group
    # The directories above the build may be closed to others.
    mkdir -p /run/tools-of-ops; mount --bind "$2" /run/tools-of-ops
    cd /; shift 3
    exec setpriv --reuid=ops --regid=ops --init-groups env -i PATH=/run/tools-of-ops:/usr/bin:/bin "$@"
"#;

fn as_ops(docker: &SpareDocker, prepare: &str, words: &[&str]) -> Ran {
    let tools = Path::new(tools::tool("cpid")).parent().unwrap();
    let mut shell = docker.shell(r#"exec unshare --mount bash -ec "$2" "$0" "$1" "${@:3}""#);
    shell.env_remove("NETNS_TOOLBOX_ROOT").arg(AS_OPS).arg(tools).arg(prepare).args(words);
    shell.run()
}

#[test]
fn a_user_of_the_group_docker_has_dockers_answers_and_is_told_what_takes_root() {
    need!(program("setpriv", "util-linux"));
    let docker = need!(SpareDocker::start_as("true", USUAL));
    let run = |line: &str| as_ops(&docker, "true", &line.split(' ').collect::<Vec<_>>());
    ["web-1", "web-2"].iter().for_each(|name| docker.run(name));
    let pid = docker.pid("web-1");
    run("id -Gn").ok().stdout_is("ops docker\n");
    run("stat -c %g /run/docker.sock").ok().stdout_is(&format!("{GROUP}\n"));

    // What Docker answers.
    run("cpid web-1").ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    run(&format!("cpid --of {pid}")).ok().stdout_is("docker:web-1\n").stderr_is("");
    run("cpid --list").ok().stdout_has("web-1").stdout_has("web-2").stderr_is("");
    run("netns-ls --namespaces").ok().stderr_has("docker:web-1, docker:web-2");
    for looks in ["netns-link --list", "netns-link --check", "add-nic --list", "add-nic --check"] {
        run(looks).ok().stderr_is("");
    }
    let unknown = run("cpid web-3").fails_with(1).stderr_has("web-3: no such container (asked: docker");
    assert!(!unknown.stderr.contains("permission"), "{unknown}");
    unknown.stderr_has("\nhint: root can see more: sudo cpid web-3\n");
    run("cpid podman:web-1")
        .fails_with(2)
        .stderr_has("podman.sock, which only root has\nhint: sudo cpid podman:web-1\n");
    for look in ["cpid -v --list", "cpid -v web-3"] {
        let said = run(look).stderr_has("podman (only root may ask)");
        assert_eq!(
            said.stderr.matches("podman: no permission for /run/podman/podman.sock").count(),
            1,
            "{said}"
        );
        assert!(!said.stderr.contains("could not be asked"), "{said}");
    }

    // What takes root.
    for more in [
        "netns-link web-1",
        "netns-link --all",
        "add-nic web-1 10.1.0.2/24",
        "add-nic --rm web-1",
        "add-nic --preflight web-1 10.1.0.2/24",
        "netns-ping web-1 gateway",
        "netns-ping --matrix web-*",
        "netns-trace web-1 web-2",
        "netns-trace --drops",
        "netns-ls web-1",
        "nsenter-rs -t web-1 -n true",
        "nsenter-rs --each web-* -n true",
        "nsenter-rs --explain -t web-1 -n true",
    ] {
        let said = run(more);
        let status = if more.starts_with("nsenter-rs") { 1 } else { 2 };
        let said = said.fails_with(status);
        let all = format!("{}{}", said.stdout, said.stderr);
        let typed = more.replace("web-*", "'web-*'");
        assert_eq!(all.matches(&format!("hint: sudo {typed}\n")).count(), 1, "{said}");
        assert!(!all.contains("no such container") && !all.contains("no running container"), "{said}");
    }

    // What is the user's own.
    let own = "unshare --user --map-root-user --net sh -c 'nsenter-rs -t $$ -n ip -br link show lo'";
    as_ops(&docker, "true", &["sh", "-c", own]).ok().stdout_has("lo");
}

#[test]
fn a_socket_that_is_not_roots_alone_and_refuses_leaves_a_doubt() {
    need!(program("setpriv", "util-linux"));
    let docker = need!(SpareDocker::start_as("true", USUAL));
    docker.run("web-1");
    // A Podman of a group that the user is not in.
    let socket = r#"mount -t tmpfs -o mode=755 tmpfs /run/podman
        perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' /run/podman/podman.sock
        chown 0:41998 /run/podman/podman.sock; chmod 660 /run/podman/podman.sock"#;
    let list = as_ops(&docker, socket, &["cpid", "--list"]).fails_with(2).stdout_has("web-1");
    list.stderr_has("podman: no permission for /run/podman/podman.sock, which the group podman has\n");
    let unknown = as_ops(&docker, socket, &["cpid", "web-3"]).fails_with(2);
    unknown.stderr_has("web-3: cannot tell whether there is such a container: podman: no permission for ");
    // The same socket is no doubt once it is root's alone, in a directory that all may see.
    let roots = socket.replace("chown 0:41998", "chown 0:0");
    as_ops(&docker, &roots, &["cpid", "--list"]).ok().stdout_has("web-1").stderr_is("");
    // And who has named an engine wants its answer.
    let named = "env DOCKER_HOST=unix:///run/podman/podman.sock cpid --list".split(' ').collect::<Vec<_>>();
    as_ops(&docker, &roots, &named)
        .fails_with(2)
        .stderr_has("docker: no permission for /run/podman/podman.sock");
}
