//! Files of the journal that are no records: they are moved to a directory beside it, and stop nothing.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use common::hint;
use common::hint::Hint;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat, mkdirat};

/// Beside the records.
const DAMAGED: &str = "damaged";

/// Moves a file of the journal there, under a name that is free, and returns that place, seen from the directory above.
pub fn set_aside(journal: &OwnedFd, name: &str) -> nix::Result<PathBuf> {
    let beside = PathBuf::from("..").join(DAMAGED);
    match mkdirat(journal, &beside, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(journal, &beside, flags, Mode::empty())?;
    let is_free = |name: &str| {
        fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_err_and(|errno| errno == Errno::ENOENT)
    };
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}.{number}")));
    let free = names.find(|name| is_free(name)).ok_or(Errno::EEXIST)?;
    renameat(journal, name, &directory, free.as_str())?;
    Ok(PathBuf::from(DAMAGED).join(free))
}

/// The commands that show what may be left of its NIC.
pub fn how_to_find(name: &str) -> Option<Hint> {
    let id = name.trim_end_matches(".json");
    hint!("ip -o link | grep 'alias add-nic:'; nft list ruleset | grep {}", id)
}
