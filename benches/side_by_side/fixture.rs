//! What the rows act upon: a container, a process in its network, and a link to that network.
//! Other containers, of which `crowd.rs` tells, go with it.
//!
//! All of it is gone when the `Stage` is dropped. What a SIGKILL leaves is a container that ends and removes itself
//! within the hour, a stand-in that does likewise, and a directory of floors; the link is in a mount namespace of
//! the bench's own.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    time::SystemTime,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use serde::{Deserialize, Serialize};

use crate::{
    cli::Wanted,
    crowd,
    error::BenchError,
    floors::Workshop,
    program::{answer, on_path},
};

/// Longer than any run of the bench; after it the container and the stand-in end by themselves.
pub(crate) const LIFETIME_S: &str = "3600";
const LINKS: &str = "/run/netns";

/// The fixture as plain data, to be handed to another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fixture {
    /// The container's name, or why there is none.
    pub(crate) container: Result<String, String>,
    pub(crate) pid: u32,
    pub(crate) link: String,
    pub(crate) socket: PathBuf,
    pub(crate) workshop: PathBuf,
}

impl Fixture {
    /// The network that is entered, for the report.
    pub(crate) fn describe(&self) -> &'static str {
        if self.container.is_ok() { "a container" } else { "an unshared process, for there is no container" }
    }
}

/// Holds the fixture.
pub(crate) struct Stage {
    pub(crate) fixture: Fixture,
    _link: Links,
    _container: Option<Container>,
    _stand_in: Option<StandIn>,
    _workshop: Workshop,
}

impl Stage {
    pub(crate) fn set_up(wanted: &Wanted) -> Result<Self, BenchError> {
        let workshop = Workshop::open()?;
        workshop.compile_floors()?;
        let links = Links::of_our_own()?;
        let name = unique_name();
        let (container, stand_in, pid) = match Container::run(&name, &wanted.image) {
            Ok((container, pid)) => (Ok(container), None, pid),
            Err(error) => {
                let stand_in = StandIn::start()?;
                let pid = stand_in.0.id();
                let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                (Err(why), Some(stand_in), pid)
            }
        };
        let link = format!("link-{name}");
        links.attach(&link, pid)?;
        let fixture = Fixture {
            container: container.as_ref().map(|container| container.0.clone()).map_err(Clone::clone),
            pid,
            link,
            socket: engine_socket(),
            workshop: workshop.dir().to_path_buf(),
        };
        Ok(Self {
            fixture,
            _link: links,
            _container: container.ok(),
            _stand_in: stand_in,
            _workshop: workshop,
        })
    }
}

fn unique_name() -> String {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    format!("netns-toolbox-bench-{}-{seconds}", process::id())
}

/// Where the Docker client would ask, too.
fn engine_socket() -> PathBuf {
    let host = env::var("DOCKER_HOST").unwrap_or_default();
    PathBuf::from(host.strip_prefix("unix://").unwrap_or("/run/docker.sock"))
}

/// A running container, removed when dropped.
struct Container(String);

impl Container {
    fn run(name: &str, image: &str) -> Result<(Self, u32), BenchError> {
        let run = ["run", "--detach", "--rm", "--network=none", "--name", name, image, "sleep", LIFETIME_S];
        answer(Command::new("docker").args(run))?;
        let container = Self(name.to_owned());
        let mut inspect = Command::new("docker");
        let said = answer(inspect.args(["inspect", "--format={{.State.Pid}}", name]))?;
        match said.parse() {
            Ok(pid) if pid > 0 => Ok((container, pid)),
            _ => Err(BenchError::Unexpected { command: "docker inspect".into(), said }),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let gone = answer(Command::new("docker").args(["rm", "--force", &self.0]));
        for error in [gone.map(drop), crowd::disperse(&self.0)].into_iter().filter_map(Result::err) {
            crate::complain(&error);
        }
    }
}

/// A process in a network namespace of its own, where there is no container; killed when dropped.
struct StandIn(Child);

impl StandIn {
    fn start() -> Result<Self, BenchError> {
        let mut stand_in = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec sleep \"$0\"", LIFETIME_S])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
            .map_err(BenchError::path("unshare"))?;
        if let Some(stdout) = stand_in.0.stdout.take() {
            // A line says that the namespace is there. None will say so below: there is nothing to enter.
            BufReader::new(stdout).read_line(&mut String::new()).map_err(BenchError::path("unshare"))?;
        }
        Ok(stand_in)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Only fails on a process that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An empty `/run/netns` that only this process and its children see.
struct Links {
    made_directory: bool,
}

impl Links {
    fn of_our_own() -> Result<Self, BenchError> {
        unshare(CloneFlags::CLONE_NEWNS)
            .map_err(BenchError::call("unshare a mount namespace (needs root)"))?;
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none).map_err(BenchError::call("make mounts private"))?;
        let made_directory = match fs::create_dir(LINKS) {
            Ok(()) => true,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => false,
            Err(cause) => return Err(BenchError::path(LINKS)(cause)),
        };
        let links = Self { made_directory };
        mount(Some("tmpfs"), LINKS, Some("tmpfs"), MsFlags::empty(), none)
            .map_err(BenchError::call("mount tmpfs"))?;
        Ok(links)
    }

    fn attach(&self, link: &str, pid: u32) -> Result<(), BenchError> {
        let Some(ip) = on_path("ip") else { return Ok(()) };
        answer(Command::new(ip).args(["netns", "attach", link, &pid.to_string()])).map(drop)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if self.made_directory {
            // Another process may have begun to use the directory: then it stays.
            let _ = umount2(Path::new(LINKS), MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(LINKS);
        }
    }
}
