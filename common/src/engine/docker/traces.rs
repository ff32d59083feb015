//! Whether a container runs, wherever its engine keeps its state: each of its processes is in a control group that is named
//! after its ID, and its shim has the ID in its command line (`-id ID`; containerd, `core/runtime/v2/binary.go`). A container
//! with neither has ended.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;

use super::super::state;

/// A shim's command line is shorter, and so is every control group's path.
const MOST_BYTES: u64 = 1 << 16;

/// The IDs that processes of this host show; nothing was looked at yet.
pub(super) struct ProcessTraces {
    /// The user whose shims count: a command line says what its user likes.
    owner: Uid,
    ids: OnceCell<Option<BTreeSet<String>>>,
}

impl ProcessTraces {
    pub(super) fn of(owner: Uid) -> Self {
        ProcessTraces { owner, ids: OnceCell::new() }
    }

    /// Whether no process can be of the container with this ID: none shows it, and all could be looked at.
    pub(super) fn certainly_lack(&self, id: &str) -> bool {
        let ids = self.ids.get_or_init(|| ids_of_processes(self.owner).ok());
        ids.as_ref().is_some_and(|ids| !ids.contains(id))
    }
}

/// # Errors
/// Where processes are hidden from us: the mount options hidepid=1 and hidepid=2 of proc(5).
fn ids_of_processes(owner: Uid) -> io::Result<BTreeSet<String>> {
    // With hidepid=2, /proc seems to have no other user's processes: not even the first one.
    File::open("/proc/1/cgroup")?;
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_process {
            add_ids_of(&entry.path(), owner, &mut ids)?;
        }
    }
    Ok(ids)
}

fn add_ids_of(process: &Path, owner: Uid, ids: &mut BTreeSet<String>) -> io::Result<()> {
    let Some(cgroup) = unless_gone(beginning(&process.join("cgroup")))? else { return Ok(()) };
    add_ids_in(&cgroup, ids);
    let Some(meta) = unless_gone(fs::metadata(process))? else { return Ok(()) };
    if meta.uid() == owner.as_raw() {
        let line = unless_gone(beginning(&process.join("cmdline")))?.unwrap_or_default();
        if is_shims(&line) {
            add_ids_in(&line, ids);
        }
    }
    Ok(())
}

/// Shims are called `containerd-shim-RUNTIME-VERSION`. Others have an ID in their command line, too: we ourselves.
fn is_shims(command_line: &[u8]) -> bool {
    let program = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    program.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(b"containerd-shim"))
}

fn add_ids_in(text: &[u8], ids: &mut BTreeSet<String>) {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).filter_map(|word| str::from_utf8(word).ok());
    ids.extend(words.filter(|word| state::is_id(word)).map(str::to_owned));
}

fn beginning(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}
