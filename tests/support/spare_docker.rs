//! A real dockerd that a test may stop and kill: a second one in the world, all of whose things are below a
//! directory of its own, which our tools take for `/`.

use std::process::Command;

use crate::run::{Ran, Run, RunningProgram};
use crate::scratch::unique;
use crate::skip::Missing;
use crate::world::{IMAGE, World};

/// Dropped, it ends with its containers.
pub struct SpareDocker {
    world: World,
    root: String,
    /// Which say where it keeps things.
    flags: String,
    daemon: Option<RunningProgram>,
}

/// As our tools expect it below the directory that they take for `/`.
const USUAL: &str = r#"--data-root "$0/var/lib/docker" --exec-root "$0/run/docker""#;

impl SpareDocker {
    /// One that runs, has the image, and leaves its containers running when it ends.
    #[track_caller]
    pub fn start() -> Result<SpareDocker, Missing> {
        SpareDocker::start_as("true", USUAL)
    }

    /// The same after a script, `prepare`, and with other `flags` of where it keeps things; `$0` is its directory in both.
    #[track_caller]
    pub fn start_as(prepare: &str, flags: &str) -> Result<SpareDocker, Missing> {
        let world = World::get().and_then(World::with_docker)?;
        let root = unique("/run/spare-");
        let mut spare = SpareDocker { world, root, flags: flags.to_owned(), daemon: None };
        // Where the world has a containerd, every dockerd uses that one.
        let directories =
            "mkdir -p \"$0\"/run \"$0\"/var/lib \"$0\"/etc; ln -s /run/containerd \"$0/run/containerd\"";
        spare.shell(&format!("{directories}\n{prepare}")).run().ok();
        spare.start_daemon();
        let image = format!("tar -c -C /var/lib/netns-toolbox/rootfs . | docker -H \"$1\" import - {IMAGE}");
        spare.shell(&image).run().ok();
        Ok(spare)
    }

    /// Starts the daemon, and waits until it listens.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        // Its log is a file, because containers' shims hold it open, and live longer.
        // Told that there is no bridge, it removes docker0 from the network it is in: the other Docker's.
        let daemon = format!(
            "unshare --net dockerd --host \"$1\" {} \
             --pidfile \"$0/pid\" --bridge none --iptables=false --ip-masq=false --live-restore \
             --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent \"$2\" >>\"$0/log\" 2>&1 &
             until docker -H \"$1\" version >/dev/null 2>&1; do kill -0 $! || tail \"$0/log\"; sleep 0.02; done
             echo ready; wait",
            self.flags
        );
        let daemon = self.in_cgroups(&daemon).start();
        daemon.wait_for("ready");
        self.daemon = Some(daemon);
    }

    /// Sends the daemon, and nobody else, a signal: `STOP`, `CONT`, `KILL`, `TERM`.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        self.shell(&format!("kill -{signal} $(cat \"$0/pid\")")).run().ok();
        if signal == "STOP" {
            // On a busy machine its threads run on for a while, and answer.
            let all_stopped = "while grep -hE '^State:' /proc/$(cat \"$0/pid\")/task/*/status | grep -qvE 'T \\(stopped'; do
                sleep 0.01; done";
            self.shell(all_stopped).run().ok();
        }
    }

    /// SIGKILL, and no daemon any more when this returns.
    #[track_caller]
    pub fn kill_daemon(&mut self) {
        self.signal("KILL");
        if let Some(daemon) = self.daemon.take() {
            daemon.finish();
        }
        // A file of a dead daemon would keep the next one from starting.
        self.shell("rm -f \"$0/pid\"").run().ok();
    }

    /// `docker ARGS` of this daemon.
    pub fn docker(&self, args: &[&str]) -> Ran {
        self.world.command("docker").args(["-H", &self.host()]).args(args).run()
    }

    /// `docker run --detach --network none --name NAME ARGS IMAGE sleep infinity`.
    #[track_caller]
    pub fn run(&self, name: &str) {
        let args = ["run", "--detach", "--network", "none", "--name", name, IMAGE, "sleep", "infinity"];
        self.docker(&args).ok();
    }

    /// The PID that the daemon tells.
    #[track_caller]
    pub fn pid(&self, name: &str) -> String {
        self.docker(&["inspect", "--format", "{{.State.Pid}}", name]).ok().text().to_owned()
    }

    /// Our own tool, for which the spare Docker is the system's.
    #[track_caller]
    pub fn tool(&self, name: &str) -> Command {
        let mut tool = self.world.tool(name);
        tool.env("NETNS_TOOLBOX_ROOT", &self.root);
        tool
    }

    /// The same on a host whose Docker this one is, in all but where it keeps things: what is at the usual places is the
    /// world's own Docker's.
    #[track_caller]
    pub fn tool_beside_another(&self, name: &str) -> Command {
        let mounted = "exec unshare --mount sh -ec 'mount --bind \"$0\" /run/docker.sock; exec \"$@\"' \
            \"$0/run/docker.sock\" \"${@:2}\"";
        let mut tool = self.shell(mounted);
        tool.env_remove("NETNS_TOOLBOX_ROOT").arg(crate::tools::tool(name));
        tool
    }

    /// A script in the world; `$0` is the spare Docker's directory, `$1` its address.
    pub fn shell(&self, script: &str) -> Command {
        let mut shell = self.world.command("bash");
        shell.args(["-ec", script, &self.root, &self.host()]);
        shell.env("NETNS_TOOLBOX_ROOT", &self.root);
        shell
    }

    fn in_cgroups(&self, script: &str) -> Command {
        let mut shell = self.world.engine("bash");
        shell.args(["-ec", script, &self.root, &self.host(), &self.root.replace("/run/", "/")]);
        shell
    }

    /// The socket that it listens on, as `docker --host` wants it.
    pub fn host(&self) -> String {
        format!("unix://{}/run/docker.sock", self.root)
    }
}

impl Drop for SpareDocker {
    fn drop(&mut self) {
        if self.daemon.is_none() && !std::thread::panicking() {
            self.start_daemon();
        }
        let script = "kill -CONT $(cat \"$0/pid\") || true
            docker -H \"$1\" ps -aq | xargs -r docker -H \"$1\" rm -f >/dev/null || true
            kill $(cat \"$0/pid\") || true";
        let _ = self.shell(script).start().ends();
        let _ = self.daemon.take().is_some_and(|daemon| daemon.ends());
        // What its containers' namespaces were bound to.
        let script =
            "awk -v at=\"$0/\" 'index($2, at) == 1 { print $2 }' /proc/mounts | tac | xargs -r umount -l
            rm -rf \"$0\"";
        let _ = self.shell(script).start().ends();
    }
}
