//! Settings under `/proc/sys/net`: those of the network namespace that the thread is in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use crate::model::sysctl::{SysctlChange, SysctlKey, SysctlReading, is_same};
use crate::read::sysctl::{file, read};

/// Restores the previous value, if the value is still ours; returns whether it was.
pub fn reset(sysctl: &SysctlChange) -> io::Result<bool> {
    let Some(before) = &sysctl.before else { return Ok(false) };
    match read(&sysctl.key) {
        SysctlReading::Is(now) if is_same(&now, &sysctl.value) => {}
        _ => return Ok(false),
    }
    put(&sysctl.key, before)?;
    for (key, value) in &sysctl.along {
        // A link that is gone has no settings.
        if matches!(read(key), SysctlReading::Is(now) if !is_same(&now, value)) {
            put(key, value)?;
        }
    }
    Ok(true)
}

/// Sets it, unless it has the value already.
pub fn write(key: &SysctlKey, value: &str) -> io::Result<()> {
    match read(key).value() {
        Some(now) if is_same(now, value) => Ok(()),
        _ => put(key, value),
    }
}

/// The kernel takes a value from one write(2), and from its beginning (proc_sysctl.c).
fn put(key: &SysctlKey, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file(key))?.write_all(format!("{value}\n").as_bytes())
}

/// When its file was last opened to be overwritten, or first looked at.
pub fn written(key: &SysctlKey) -> io::Result<(i64, i64)> {
    let metadata = fs::metadata(file(key))?;
    Ok((metadata.mtime(), metadata.mtime_nsec()))
}
