//! A control group by its name, and which of them a process is in.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use common::failure::Failure;
use common::process::Process;

/// A control group, as `/proc/PID/cgroup` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What tells its hierarchy from others: `cpu,cpuacct`, `name=systemd`; empty for cgroup v2.
    pub controllers: String,
    /// As our cgroup namespace sees it.
    pub path: PathBuf,
}

impl Group {
    /// Those of the target's control groups that are not ours too.
    pub fn foreign(process: &Process) -> Result<Vec<Group>, Failure> {
        let theirs = process.read("cgroup")?;
        let ours = own_groups()?;
        // Of a process that ends, v1 says that it is in the root of each hierarchy, where no limits are.
        if process.is_ending()? {
            return Err(Failure::no(process, "has ended, and is in no control group any more"));
        }
        Ok(groups(&theirs).filter(|group| !ours.contains(group)).collect())
    }

    /// Whether it is above or beside the root of our cgroup namespace.
    pub fn is_outside(&self) -> bool {
        self.path.starts_with("/..")
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hierarchy = if self.controllers.is_empty() { "v2" } else { &self.controllers };
        write!(f, "control group {} ({hierarchy})", self.path.display())
    }
}

pub fn own_groups() -> Result<Vec<Group>, Failure> {
    Ok(groups(&read("/proc/self/cgroup")?).collect())
}

/// `4:memory:/docker/3f2a`, and `0::/docker/3f2a` for cgroup v2.
pub fn groups(file: &[u8]) -> impl Iterator<Item = Group> {
    file.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = String::from_utf8_lossy(fields.next()?).into_owned();
        Some(Group { controllers, path: OsString::from_vec(fields.next()?.to_vec()).into() })
    })
}

pub fn read(file: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::failed(file, error))
}
