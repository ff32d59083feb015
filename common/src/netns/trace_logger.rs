//! The logger of a network namespace (net.netfilter.nf_log), while the rules of the older iptables are traced there: the kernel tells of
//! them by the logger alone, and a setting stays when its process is killed. So what it was is written down before it is changed, in a
//! file that its process has locked; a file that nobody has locked is put back by the next call of any tool.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, linkat, unlinkat};
use serde::{Deserialize, Serialize};

use super::Home;
use super::lock::flock;
use crate::namespace::Namespace;
use crate::netlink::Netfilter;

/// For all tools that record what to undo, and of these records.
const TOOLBOX: &str = "/run/netns-toolbox";
const OURS: &str = "/run/netns-toolbox/trace-loggers";
const SETTINGS: &str = "/proc/sys/net/netfilter/nf_log";
/// By which the kernel tells programs: net/netfilter/nfnetlink_log.c.
const TELLS_PROGRAMS: &str = "nfnetlink_log";
/// What the kernel has by itself, or writes to its own log by: net/netfilter/nf_log_syslog.c.
const OF_THE_KERNEL: [&str; 5] = ["NONE", "nf_log_ipv4", "nf_log_ipv6", "nf_log_bridge", "nf_log_syslog"];
/// NFPROTO_IPV4 and NFPROTO_IPV6.
const FAMILIES: [u8; 2] = [2, 10];
const MOST_BYTES: u64 = 4096;

/// Why the logger cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TraceLoggerError {
    /// Another program has set it.
    #[error("net.netfilter.nf_log.{family} is {value}, which another program has set")]
    Taken {
        /// Of which family.
        family: u8,
        /// What it is.
        value: String,
    },
    /// It could not be read, written, or written down.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The logger of one namespace is ours, until this is dropped.
#[derive(Debug)]
pub struct TraceLogger {
    /// Opened in the namespace, and so its own wherever they are written to.
    settings: Vec<(File, String)>,
    record: Option<LoggerFile>,
}

/// What was written down, by a process that is gone.
#[derive(Debug)]
pub struct LeftLogger {
    record: LoggerRecord,
    file: LoggerFile,
}

#[derive(Debug, Serialize, Deserialize)]
struct LoggerRecord {
    netns: u64,
    /// The number of the namespace that no later one has; none below Linux 5.14.
    cookie: Option<u64>,
    /// By family.
    was: BTreeMap<u8, String>,
}

/// A file in the directory, locked as long as it is open.
#[derive(Debug)]
struct LoggerFile {
    directory: OwnedFd,
    name: String,
    _locked: OwnedFd,
}

impl TraceLogger {
    /// Has the kernel tell programs what it logs, in the namespace that this thread is in, which is that one.
    ///
    /// # Errors
    /// [`TraceLoggerError`].
    pub fn set(namespace: &Namespace) -> Result<Self, TraceLoggerError> {
        let mut logger = TraceLogger { settings: Vec::new(), record: None };
        let mut was = BTreeMap::new();
        for family in FAMILIES {
            let file = format!("{SETTINGS}/{family}");
            let mut file =
                OpenOptions::new().read(true).write(true).open(file).map_err(io_of("its logger"))?;
            let value = value_of(&mut file).map_err(io_of("its logger"))?;
            match value.as_str() {
                TELLS_PROGRAMS => {}
                known if OF_THE_KERNEL.contains(&known) => {
                    was.insert(family, value.clone());
                    logger.settings.push((file, value));
                }
                _ => return Err(TraceLoggerError::Taken { family, value }),
            }
        }
        if was.is_empty() {
            return Ok(logger);
        }
        let cookie = Netfilter::open().ok().flatten().and_then(|socket| socket.netns_cookie());
        let record = LoggerRecord { netns: namespace.identity().inode, cookie, was };
        logger.record = Some(LoggerFile::write(&record).map_err(io_of("write down its logger"))?);
        for (file, _) in &mut logger.settings {
            set_to(file, TELLS_PROGRAMS).map_err(io_of("set its logger"))?;
        }
        Ok(logger)
    }
}

impl Drop for TraceLogger {
    fn drop(&mut self) {
        let put_back = |(file, was): &mut (File, String)| set_back(file, was);
        let done: Vec<io::Result<bool>> = self.settings.iter_mut().map(put_back).collect();
        // What could not be put back is left for the next call.
        if let Some(record) = self.record.take().filter(|_| done.iter().all(Result::is_ok)) {
            record.remove();
        }
    }
}

impl LeftLogger {
    /// Those of processes that are gone. Where there never were any, one look says so.
    pub fn all() -> Vec<Self> {
        let Ok(Some(directory)) = directory(false) else { return Vec::new() };
        let Ok(mut listed) = directory.try_clone().and_then(|fd| Ok(Dir::from_fd(fd)?)) else {
            return Vec::new();
        };
        let names =
            listed.iter().flatten().filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
        let names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.into_iter().filter_map(|name| LeftLogger::of(directory.try_clone().ok()?, name)).collect()
    }

    fn of(directory: OwnedFd, name: String) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(&directory, name.as_str(), flags, Mode::empty()).ok()?;
        // Whoever wrote it has it locked for as long as it lives.
        flock(&file, FlockArg::LockExclusiveNonblock).ok()?;
        let mut text = String::new();
        File::from(file.try_clone().ok()?).take(MOST_BYTES).read_to_string(&mut text).ok()?;
        let file = LoggerFile { directory, name, _locked: file };
        match serde_json::from_str(&text) {
            Ok(record) => Some(LeftLogger { record, file }),
            Err(_) => {
                file.remove();
                None
            }
        }
    }

    /// The inode of its namespace.
    pub fn netns(&self) -> u64 {
        self.record.netns
    }

    /// Puts it back in its namespace, which is nothing where that is gone; whether there was something to put back.
    ///
    /// # Errors
    /// What reading or writing the setting says: then it is left as it is.
    pub fn put_back(self, namespace: Option<&Namespace>, home: &Home) -> io::Result<bool> {
        let Some(namespace) = namespace else {
            self.file.remove();
            return Ok(false);
        };
        let was = &self.record.was;
        let cookie = self.record.cookie;
        let here = || {
            let own = Netfilter::open().ok().flatten().and_then(|socket| socket.netns_cookie());
            // Another namespace has its inode number by now.
            if own != cookie {
                return Ok(false);
            }
            let mut is_any = false;
            for (family, was) in was.iter().filter(|(_, was)| OF_THE_KERNEL.contains(&was.as_str())) {
                let mut file =
                    OpenOptions::new().read(true).write(true).open(format!("{SETTINGS}/{family}"))?;
                is_any |= set_back(&mut file, was)?;
            }
            Ok(is_any)
        };
        let done = home.inside(namespace, here).map_err(io::Error::from)?;
        if done.is_ok() {
            self.file.remove();
        }
        done
    }
}

impl LoggerFile {
    /// It appears whole and locked, or not at all.
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    fn write(record: &LoggerRecord) -> io::Result<Self> {
        let missing = || io::Error::from(Errno::ENOENT);
        let directory = directory(true)?.ok_or_else(missing)?;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = openat(&directory, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        flock(&file, FlockArg::LockExclusiveNonblock)?;
        File::from(file.try_clone()?).write_all(&serde_json::to_vec(record)?)?;
        let name = format!("{}-{}.json", record.netns, std::process::id());
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let _ = unlinkat(&directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
        linkat(AT_FDCWD, unnamed.as_str(), &directory, name.as_str(), AtFlags::AT_SYMLINK_FOLLOW)?;
        Ok(LoggerFile { directory, name, _locked: file })
    }

    fn remove(self) {
        let _ = unlinkat(&self.directory, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        // Not while there are others.
        let _ = fs::remove_dir(OURS);
    }
}

/// The directory; nothing where it is not there, and is not to be made.
fn directory(make: bool) -> io::Result<Option<OwnedFd>> {
    for path in [TOOLBOX, OURS].into_iter().filter(|_| make) {
        match nix::unistd::mkdir(path, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match nix::fcntl::open(OURS, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        opened => opened?,
    };
    let stat = fstat(&opened)?;
    // Another user that can write there could have us set what was never changed.
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        return Err(io::Error::other("can be written by another user"));
    }
    Ok(Some(opened))
}

fn value_of(file: &mut File) -> io::Result<String> {
    let mut value = String::new();
    file.rewind()?;
    file.read_to_string(&mut value)?;
    Ok(value.trim_end().to_owned())
}

fn set_to(file: &mut File, value: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(value.as_bytes())
}

/// Only what is still as it was set is put back.
fn set_back(file: &mut File, was: &str) -> io::Result<bool> {
    let is_ours = value_of(file)? == TELLS_PROGRAMS;
    if is_ours {
        set_to(file, was)?;
    }
    Ok(is_ours)
}

fn io_of(what: &'static str) -> impl Fn(io::Error) -> TraceLoggerError {
    move |source| TraceLoggerError::Io { what, source }
}
