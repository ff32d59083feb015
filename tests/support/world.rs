//! Real engines: a private world on this machine that `NETNS_TOOLBOX_WORLD` points to, if `make test` could make one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::run::{Ran, Run, RunningProgram};
use super::scratch::unique;
use super::skip::Missing;
use super::tools;

/// The image that every engine of the world has.
pub const IMAGE: &str = "netns-toolbox/busybox";

/// Mount, network and PID namespaces of their own, in which engines run with their state at the standard paths.
pub struct World {
    dir: PathBuf,
    enter: PathBuf,
}

impl World {
    /// `let world = need!(World::get());`
    pub fn get() -> Result<World, Missing> {
        // Why there is none, where the set-up has tried.
        let why = std::env::var("NETNS_TOOLBOX_NO_WORLD").unwrap_or("make test starts one".to_owned());
        let absent = || Missing::Fixable(format!("no world of real engines: {why}"));
        let dir = std::env::var_os("NETNS_TOOLBOX_WORLD").filter(|dir| !dir.is_empty()).ok_or_else(absent)?;
        // A world that was promised and is not there is an error of the set-up, and nothing to be skipped.
        Ok(World::at(Path::new(&dir)))
    }

    /// The one that `tests/setup/world start` has started there.
    #[track_caller]
    pub fn at(dir: &Path) -> World {
        let enter = dir.join("enter");
        assert!(enter.is_file(), "a world was promised, but there is no {}", enter.display());
        World { dir: dir.to_owned(), enter }
    }

    /// Runs `program` in the world, as root: `world.command("docker").args(["inspect", "web"]).run()`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = tools::in_clean_environment(Command::new(&self.enter));
        command.arg(program);
        command
    }

    /// The same, and in the world's cgroups: for what starts containers by itself (runc, crun).
    pub fn engine(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = tools::in_clean_environment(Command::new(self.dir.join("engine")));
        command.arg(program);
        command
    }

    /// That engine must be up, or the test cannot run: `need!(World::get().and_then(|world| world.with("runc")))`.
    pub fn with(self, engine: &str) -> Result<World, Missing> {
        let up = std::fs::read_to_string(self.dir.join("engines")).unwrap_or_default();
        let is_up = up.lines().any(|name| name == engine);
        is_up.then_some(self).ok_or_else(|| Missing::Fixable(format!("no {engine} in this world")))
    }

    /// Runs our own tool of that name in the world.
    #[track_caller]
    pub fn tool(&self, name: &str) -> Command {
        self.command(tools::tool(name))
    }

    /// An ordinary user's process in a control group that the user has called `id`, in a directory that was given to the
    /// user (as systemd gives one to each), and its PID. It ends with its standard input.
    pub fn in_users_group(&self, id: &str) -> (RunningProgram, String) {
        let script =
            "for root in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ ! -e $root/cgroup.procs ] || break; done
            mine=$root/$0; mkdir $mine; chown -R 1000 $mine; echo $$ >$mine/cgroup.procs
            exec setpriv --reuid=1000 --regid=1000 --clear-groups sh -ec '
                mkdir $0/$1; echo $$ >$0/$1/cgroup.procs; echo at $$; read -r _' $mine $1";
        let mut user = self.engine("sh");
        user.args(["-ec", script, &unique("delegated-"), id]);
        let user = user.start_with(Stdio::piped());
        let line = user.first_line().unwrap_or_else(|| panic!("no such group: {}", user.so_far()));
        let pid = line.strip_prefix("at ").expect("at PID").to_owned();
        (user, pid)
    }

    /// The engine that docker's command line asks must answer, or the test cannot run.
    pub fn with_docker(self) -> Result<World, Missing> {
        let asked = self.docker(&["version", "--format", "{{.Server.Version}}"]);
        let answers = asked.status.is_some_and(|status| status.success());
        if answers {
            Ok(self)
        } else {
            Err(Missing::Fixable(format!("no Docker in this world: {}", asked.stderr.trim())))
        }
    }

    /// Podman must be here, or the test cannot run.
    pub fn with_podman(self) -> Result<World, Missing> {
        let asked = self.engine("podman").args(["image", "exists", "localhost/netns-toolbox/busybox"]).run();
        if asked.status.is_some_and(|status| status.success()) {
            Ok(self)
        } else {
            Err(Missing::Fixable(format!("no Podman in this world: {}", asked.stderr.trim())))
        }
    }

    /// `docker run -d --name UNIQUE ARGS netns-toolbox/busybox sleep infinity`; `args` are docker's:
    /// `world.docker_container("web", &["--network", "none"])`.
    #[track_caller]
    pub fn docker_container(&self, prefix: &str, args: &[&str]) -> DockerContainer<'_> {
        let name = unique(&format!("{prefix}-"));
        let mut run = self.command("docker");
        run.args(["run", "--detach", "--name", &name]).args(args).args([IMAGE, "sleep", "infinity"]);
        // Made before it is run: what `docker run` leaves when it fails halfway is removed as well.
        let mut container = DockerContainer { world: self, name, id: String::new() };
        run.run().ok().text().clone_into(&mut container.id);
        container
    }

    fn docker(&self, args: &[&str]) -> Ran {
        self.command("docker").args(args).run()
    }
}

/// A container of the real Docker, removed when this is dropped.
pub struct DockerContainer<'world> {
    world: &'world World,
    /// Unique in the world.
    pub name: String,
    /// All 64 digits of it.
    pub id: String,
}

impl DockerContainer<'_> {
    /// What docker says of it: `web.inspect("{{.State.Pid}}")`.
    #[track_caller]
    pub fn inspect(&self, format: &str) -> String {
        self.world.docker(&["inspect", "--format", format, &self.id]).ok().text().to_owned()
    }

    /// As Docker tells it, in the world's numbers.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.inspect("{{.State.Pid}}").parse().expect("a PID")
    }

    /// Runs `program` in it as `docker exec` does.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.world.command("docker");
        command.args(["exec", &self.id, program]);
        command
    }

    /// It exits and is still there, as `docker ps -a` shows it.
    #[track_caller]
    pub fn stop(&self) {
        self.world.docker(&["stop", "--time", "0", &self.id]).ok();
    }

    /// It has another process afterwards.
    #[track_caller]
    pub fn restart(&self) {
        self.world.docker(&["restart", "--time", "0", &self.id]).ok();
    }
}

impl Drop for DockerContainer<'_> {
    fn drop(&mut self) {
        let mut remove = self.world.command("docker");
        remove.args(["rm", "--force", "--volumes", &self.name]);
        // A panic here would end the whole run without the message of the test that fails.
        if std::thread::panicking() {
            let _ = remove.start().ends();
        } else {
            remove.run().ok();
        }
    }
}
