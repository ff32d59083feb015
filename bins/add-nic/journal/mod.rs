//! What is needed to undo, kept from before the first change until the last one is undone: one file per NIC under
//! `/run/netns-toolbox`, which is lost at boot, as the kernel's state is.
//!
//! Only one add-nic changes anything at a time, and locks the directory. So a record of an incomplete NIC was left by one
//! that was killed. Why it is there: docs/decisions/journal-in-run.md.

mod cache;
mod content;
mod damaged;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use common::failure::{self, Failure, say};
use common::netns::{self, LockHolder};
use common::typed::with_sudo;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::model::record::NicRecord;
use crate::tool::TOOL;
use cache::{FileStamp, RecordCache};
use content::FileContent;
pub use content::NewerRecord;

/// For all tools that record what to undo.
const TOOLBOX: &str = "/run/netns-toolbox";
/// Of this one.
const OURS: &str = "nics";
/// A record is written here before it gets its name. One file is enough, because only one add-nic writes at a time. If that
/// one is killed, nothing has changed yet, and the next one overwrites the file.
const NEW: &str = ".new";
/// An add-nic, or a program that it starts, that takes longer is stuck.
const LONGEST: Duration = Duration::from_secs(60);
/// No plan is near this long.
const MOST_BYTES: u64 = 1 << 20;
/// Most are shorter.
const USUAL_BYTES: usize = 16 << 10;

/// The records of all NICs, and those of them that were read before.
#[derive(Debug, Default)]
pub struct Journal {
    known: RefCell<KnownFiles>,
    is_read_only: bool,
}

/// What is known of the journal's files.
#[derive(Debug, Default)]
struct KnownFiles {
    cache: RecordCache,
    newer: Vec<NewerRecord>,
    /// Those that were named on standard error.
    named: BTreeSet<String>,
}

/// The journal, locked against every other add-nic until it is dropped.
#[derive(Debug)]
pub struct LockedJournal<'a> {
    directory: OwnedFd,
    known: &'a RefCell<KnownFiles>,
}

impl Journal {
    /// For a call that changes nothing, not even a damaged file's place.
    pub fn read_only() -> Self {
        Journal { is_read_only: true, ..Journal::default() }
    }

    /// All records. Waits for no lock and creates nothing.
    pub fn records(&self) -> Result<Vec<NicRecord>, Failure> {
        let Some(toolbox) = directory(None, TOOLBOX, false)? else { return Ok(vec![]) };
        match directory(Some(&toolbox), OURS, false)? {
            Some(ours) => records(&ours, &mut self.known.borrow_mut(), self.is_read_only),
            None => Ok(vec![]),
        }
    }

    /// The records, among those that were read last, that only a newer add-nic can undo.
    pub fn newer(&self) -> Vec<NewerRecord> {
        self.known.borrow().newer.clone()
    }

    /// Creates the directory if it does not exist, and waits for the lock.
    pub fn lock(&self) -> Result<LockedJournal<'_>, Failure> {
        match self.lock_within(LONGEST)? {
            Ok(locked) => Ok(locked),
            Err(holder) => {
                let what = format_args!("{holder} has held this lock for {LONGEST:?}");
                Err(Failure::failed(path("").display(), what).hint(holder.hint()))
            }
        }
    }

    /// The lock if it is free within that time, or who has it.
    pub fn lock_within(&self, longest: Duration) -> Result<Result<LockedJournal<'_>, LockHolder>, Failure> {
        let toolbox = directory(None, TOOLBOX, true)?;
        let ours = match toolbox {
            Some(toolbox) => directory(Some(&toolbox), OURS, true)?,
            None => None,
        };
        let ours = ours.ok_or_else(|| Failure::failed(TOOLBOX, "disappeared"))?;
        let waited = netns::wait_for(&ours, longest);
        if let Some(holder) = waited.map_err(|errno| failed("lock the directory", &path(""), errno))? {
            return Ok(Err(holder));
        }
        // Programs that we start inherit it, and so the lock, until they end, even if we are killed in the meantime: the next
        // add-nic reads the state only after they are done.
        fcntl(&ours, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|errno| failed("keep the lock of", &path(""), errno))?;
        Ok(Ok(LockedJournal { directory: ours, known: &self.known }))
    }
}

impl LockedJournal<'_> {
    /// All records.
    pub fn records(&self) -> Result<Vec<NicRecord>, Failure> {
        records(&self.directory, &mut self.known.borrow_mut(), false)
    }

    /// Writes a record atomically: it is complete, or as before.
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    pub fn write(&self, record: &NicRecord) -> Result<(), Failure> {
        let file = format!("{}.json", record.id);
        let as_failure = |errno: Errno| failed("write", &path(&file), errno);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.directory, NEW, flags, Mode::from_bits_retain(0o600)).map_err(as_failure)?;
        let written = serde_json::to_vec(record)
            .map_err(io::Error::from)
            .and_then(|bytes| File::from(fd).write_all(&bytes));
        let done = written
            .map_err(|error| Failure::failed(path(&file).display(), format_args!("write: {error}")))
            .and_then(|()| {
                renameat(&self.directory, NEW, &self.directory, file.as_str()).map_err(as_failure)
            });
        if done.is_err() {
            let _ = unlinkat(&self.directory, NEW, UnlinkatFlags::NoRemoveDir);
        }
        done
    }

    /// Deletes a record: the last step of a removal.
    pub fn remove(&self, record: &NicRecord) -> Result<(), Failure> {
        let file = format!("{}.json", record.id);
        match unlinkat(&self.directory, file.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(failed("remove", &path(&file), errno)),
        }
    }
}

fn records(
    directory: &OwnedFd,
    known: &mut KnownFiles,
    is_read_only: bool,
) -> Result<Vec<NicRecord>, Failure> {
    let as_failure = |errno| failed("read the directory", &path(""), errno);
    let mut names = Vec::new();
    for entry in Dir::openat(directory, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(as_failure)?
        .iter()
    {
        let entry = entry.map_err(as_failure)?;
        names.extend(
            entry.file_name().to_str().ok().filter(|name| name.ends_with(".json")).map(str::to_owned),
        );
    }
    known.cache.retain(&names);
    known.newer.clear();
    let mut records = Vec::new();
    for name in names {
        match read(directory, &name, &mut known.cache)? {
            Some(FileContent::Record(record)) => records.push(*record),
            Some(FileContent::Newer(record)) => {
                if known.named.insert(name.clone()) {
                    let (made_by, format) = (&record.made_by, record.format);
                    let what =
                        format_args!("written by a newer version ({made_by}, format {format}): left alone");
                    say(TOOL, format_args!("{}: {what}", path(&name).display()));
                }
                known.newer.push(record);
            }
            Some(FileContent::Damaged(why)) => {
                let done = if is_read_only { None } else { Some(damaged::set_aside(directory, &name)) };
                if known.named.insert(name.clone()) {
                    let what = match done {
                        Some(Ok(now)) => format!("moved to {}", PathBuf::from(TOOLBOX).join(now).display()),
                        // Another add-nic has moved it.
                        Some(Err(Errno::ENOENT)) => continue,
                        Some(Err(errno)) => format!("cannot be moved away: {errno}"),
                        None => "ignored".to_owned(),
                    };
                    let lost = "the NIC that it may have been about is not known any more, and stays";
                    let said = Failure::failed(path(&name).display(), format_args!("{why}: {what}; {lost}"));
                    failure::report(TOOL, &said.hint(damaged::how_to_find(&name)));
                }
            }
            None => {}
        }
    }
    records.sort_by(|a: &NicRecord, b| a.since.cmp(&b.since).then_with(|| a.id.cmp(&b.id)));
    Ok(records)
}

fn read(directory: &OwnedFd, name: &str, cache: &mut RecordCache) -> Result<Option<FileContent>, Failure> {
    if let Some(record) = cache.get(directory, name) {
        return Ok(Some(FileContent::Record(Box::new(record))));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = match openat(directory, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        // Removed in between.
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Ok(Some(FileContent::Damaged("is a symbolic link".to_owned()))),
        Err(Errno::ENXIO) => return Ok(Some(FileContent::Damaged("is no file".to_owned()))),
        Err(errno) => return Err(failed("read", &path(name), errno)),
    };
    // With room for a usual one: one that has to grow as it is read takes four times as many system calls.
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    let stamp = fstat(&fd).map(FileStamp::from_stat);
    let read = File::from(fd).take(MOST_BYTES).read_to_end(&mut bytes);
    match read {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Ok(Some(FileContent::Damaged("is a directory".to_owned())));
        }
        other => other.map_err(|error| Failure::failed(path(name).display(), error))?,
    };
    let content = FileContent::parse(name, &bytes);
    if let (Ok(stamp), FileContent::Record(record)) = (stamp, &content) {
        cache.insert(name, stamp, record);
    }
    Ok(Some(content))
}

/// A directory that is ours alone; `None` if there is none and none is to be made.
fn directory(within: Option<&OwnedFd>, name: &str, make: bool) -> Result<Option<OwnedFd>, Failure> {
    let file = if within.is_some() { path("") } else { PathBuf::from(TOOLBOX) };
    let mode = Mode::from_bits_retain(0o700);
    let made = match within {
        _ if !make => Ok(()),
        Some(within) => mkdirat(within, name, mode),
        None => nix::unistd::mkdir(name, mode),
    };
    match made {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(failed("create the directory", &file, errno)),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match within {
        Some(within) => openat(within, name, flags, Mode::empty()),
        None => nix::fcntl::open(name, flags, Mode::empty()),
    };
    let fd = match opened {
        Ok(fd) => fd,
        Err(Errno::ENOENT) if !make => return Ok(None),
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            return Err(Failure::failed(file.display(), "not a directory"));
        }
        Err(errno) => return Err(failed("open the directory", &file, errno)),
    };
    let stat = fstat(&fd).map_err(|errno| failed("read the mode of", &file, errno))?;
    // Another user that can write there could make us undo what was never done.
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
        return Err(Failure::failed(file.display(), "can be written by another user"));
    }
    // A process that can open it can hold its lock for ever.
    if make && stat.st_mode & 0o077 != 0 {
        fchmod(&fd, mode).map_err(|errno| failed("set the mode of", &file, errno))?;
    }
    Ok(Some(fd))
}

fn path(file: &str) -> PathBuf {
    let directory = PathBuf::from(TOOLBOX).join(OURS);
    if file.is_empty() { directory } else { directory.join(file) }
}

fn failed(action: &str, file: &std::path::Path, errno: Errno) -> Failure {
    let failure = Failure::failed(file.display(), format_args!("{action}: {}", io::Error::from(errno)));
    if matches!(errno, Errno::EACCES | Errno::EPERM) { failure.hint(with_sudo()) } else { failure }
}
