//! A real Podman of an ordinary user: found by that user, and by root who came through sudo.

use std::process::Command;

use support::run::{Ran, Run};
use support::skip::{Missing, need};
use support::tools;
use support::world::World;

/// A user of the world who runs Podman without root, and with no daemon. The user needs no entry in any file
/// of the world: what root reads of its home comes from a password file that only those commands see.
struct User {
    world: World,
    uid: u32,
}

impl User {
    #[track_caller]
    fn with_podman(uid: u32) -> Result<User, Missing> {
        let world = World::get().and_then(|world| world.with("podman"))?.with("crun")?.with("runc")?;
        support::skip::program("setpriv", "util-linux")?;
        let user = User { world, uid };
        user.root(
            "mkdir -p /run/user/$0 /run/home-$0; chown $0:$0 /run/user/$0 /run/home-$0; chmod 700 /run/user/$0
             (cat /etc/passwd; echo \"u$0:x:$0:$0::/run/home-$0:/bin/sh\") >/run/passwd-$0
             tar -c -C /var/lib/netns-toolbox/rootfs . >/run/image-$0.tar; chmod 644 /run/image-$0.tar",
        )
        .ok();
        user.podman("import /run/image-$0.tar localhost/box").ok();
        Ok(user)
    }

    /// A script of root's in the world; `$0` is the user's ID.
    fn root(&self, script: &str) -> Ran {
        let mut shell = self.world.engine("bash");
        shell.args(["-ec", script, &self.uid.to_string()]).run()
    }

    /// A command line of the user's.
    fn own(&self, line: &str) -> Ran {
        self.root(&format!(
            "cd /; export HOME=/run/home-$0 XDG_RUNTIME_DIR=/run/user/$0
             exec setpriv --reuid=$0 --regid=$0 --clear-groups {line}"
        ))
    }

    fn podman(&self, line: &str) -> Ran {
        self.own(&format!("podman --storage-driver vfs {line}"))
    }

    fn run(&self, name: &str, runtime: &str, more: &str) {
        let run = format!(
            "--runtime {runtime} --cgroup-manager cgroupfs run --detach --name {name} --network none {more} \
             --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 localhost/box sleep infinity"
        );
        self.podman(&run).ok();
    }

    /// `cpid WORDS` of the user's.
    fn cpid(&self, words: &str) -> Ran {
        self.own(&format!("{} {words}", tools::tool("cpid")))
    }

    /// The same by root, as after `sudo`.
    fn sudo_cpid(&self, words: &str) -> Ran {
        self.root(&format!(
            "SUDO_UID=$0 exec unshare --mount sh -ec 'mount -n --bind /run/passwd-'$0' /etc/passwd; exec {} {words}'",
            tools::tool("cpid")
        ))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let script = "export HOME=/run/home-$0 XDG_RUNTIME_DIR=/run/user/$0; cd /
            setpriv --reuid=$0 --regid=$0 --clear-groups podman --storage-driver vfs rm --force --all --time 0
            rm -rf /run/user/$0 /run/home-$0 /run/passwd-$0 /run/image-$0.tar";
        let mut shell: Command = self.world.engine("bash");
        let _ = shell.args(["-c", script, &self.uid.to_string()]).start().ends();
    }
}

#[test]
fn the_user_and_root_through_sudo_find_a_rootless_container() {
    let user = need!(User::with_podman(4241));
    user.run("by-crun", "crun", "--cgroups=disabled");
    user.run("by-runc", "runc", "");
    for name in ["by-crun", "by-runc"] {
        let pid = user.podman(&format!("inspect --format '{{{{.State.Pid}}}}' {name}")).ok().stdout;
        assert_ne!(pid, "0\n");
        user.cpid(&format!("podman:{name}")).ok().stdout_is(&pid);
        user.sudo_cpid(&format!("podman:{name}")).ok().stdout_is(&pid);
    }
    user.podman("stop --time 0 by-crun").ok();
    user.cpid("podman:by-crun").fails_with(1).stderr_has("by-crun is not running (exited");
}

#[test]
fn root_does_not_believe_a_users_podman_about_a_process_of_the_host() {
    let user = need!(User::with_podman(4242));
    user.run("liar", "crun", "--cgroups=disabled");
    // The user owns these files, and may write into them whatever it likes.
    user.root(
        "start=$(cut -d ' ' -f 22 /proc/1/stat)
         sed -i -E \"s/\\\"pid\\\": *[0-9]+/\\\"pid\\\":1/; s/\\\"process-start-time\\\": *[0-9]+/\\\"process-start-time\\\":$start/\" \
             /run/user/$0/crun/*/status
         echo 1 | tee /run/user/$0/containers/vfs-containers/*/userdata/pidfile >/dev/null",
    )
    .ok();
    let refused = user.sudo_cpid("podman:liar");
    refused.fails_with(2).stdout_is("").stderr_has("which is not in a user namespace of that user");
}
