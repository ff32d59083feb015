//! Which tracepoints the kernel has, and where their fields are: tracefs. Where it is not mounted it is mounted for us alone, in
//! no directory: nothing of it is left. Pure but for the reading; no file makes it panic.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::evidence::error::NotArmed;

/// Where it usually is.
const MOUNTED: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The directory, for as long as it is needed.
#[derive(Debug)]
pub(super) struct TraceFiles {
    root: PathBuf,
    _mount: Option<OwnedFd>,
}

/// A tracepoint.
#[derive(Debug)]
pub(super) struct TracepointFormat {
    /// Its number.
    pub(super) id: u64,
    /// Where its fields are, and how long: in bytes.
    fields: HashMap<String, (usize, usize)>,
    /// What the values of its last enum are called.
    pub(super) words: HashMap<u32, String>,
}

impl TraceFiles {
    /// Opens it; an error where the kernel has none, or does not let us.
    pub(super) fn open() -> Result<Self, NotArmed> {
        let mounted = MOUNTED.into_iter().map(PathBuf::from).find(|root| root.join("events/net").is_dir());
        if let Some(root) = mounted {
            return Ok(TraceFiles { root, _mount: None });
        }
        let mount = mounted_for_us().map_err(|errno| match Errno::from_raw(errno.raw_os_error()) {
            Errno::ENODEV => NotArmed::NoTypes { what: "tracefs" },
            errno => NotArmed::refused("tracefs", errno),
        })?;
        let root = Path::new("/proc/self/fd").join(mount.as_raw_fd().to_string());
        Ok(TraceFiles { root, _mount: Some(mount) })
    }

    /// The tracepoint of that name: `skb/kfree_skb`.
    pub(super) fn format(&self, tracepoint: &str) -> Result<TracepointFormat, NotArmed> {
        let what = "tracepoints of packets";
        let text = fs::read_to_string(self.root.join("events").join(tracepoint).join("format"));
        match text.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)) {
            Ok(text) => read(&text).ok_or(NotArmed::NoTypes { what }),
            Err(Errno::ENOENT) => Err(NotArmed::NoTypes { what }),
            Err(errno) => Err(NotArmed::refused(what, errno)),
        }
    }
}

fn mounted_for_us() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

impl TracepointFormat {
    /// The number that a field holds.
    pub(super) fn number(&self, record: &[u8], field: &str) -> Option<u64> {
        let (offset, size) = self.fields.get(field)?;
        let bytes = record.get(*offset..offset.checked_add(*size)?)?;
        Some(match size {
            8 => u64::from_ne_bytes(bytes.try_into().ok()?),
            4 => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
            2 => u16::from_ne_bytes(bytes.try_into().ok()?).into(),
            1 => bytes[0].into(),
            _ => return None,
        })
    }

    /// The text that a field leads to (`__data_loc`): its offset in the record, and its length with the NUL.
    pub(super) fn text(&self, record: &[u8], field: &str) -> Option<String> {
        let place = usize::try_from(self.number(record, field)?).ok()?;
        let bytes = record.get(place & 0xffff..)?.get(..place >> 16)?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Whether it has that field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }
}

/// Lines like `field:unsigned int len; offset:16; size:4; signed:0;`
fn read(text: &str) -> Option<TracepointFormat> {
    let id = text.lines().find_map(|line| line.strip_prefix("ID: "))?.trim().parse().ok()?;
    let fields = text.lines().filter_map(|line| {
        let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
        let name = parts.next()?.split_whitespace().next_back()?.to_owned();
        let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
        let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
        Some((name, (offset, size)))
    });
    Some(TracepointFormat { id, fields: fields.collect(), words: words(text) })
}

/// `__print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 3, "NO_SOCKET" })`
fn words(text: &str) -> HashMap<u32, String> {
    let listed = text.rsplit_once("__print_symbolic(").map_or("", |(_, listed)| listed);
    let pairs = listed.split('{').skip(1).filter_map(|pair| {
        let (number, word) = pair.split_once(',')?;
        Some((number.trim().parse().ok()?, word.split('"').nth(1)?.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: kfree_skb\nID: 2310\nformat:\n\
        \tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n\n\
        \tfield:enum skb_drop_reason reason;\toffset:12;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"%s\", __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" }, { 12, \"NETFILTER_DROP\" })\n";

    #[test]
    fn fields_are_found_where_the_kernel_says() {
        let format = read(FORMAT).unwrap();
        let record = [&[0; 8][..], &[16, 0, 3, 0], &[12, 0, 0, 0], b"va\0"].concat();
        assert_eq!((format.id, format.number(&record, "reason")), (2310, Some(12)));
        assert_eq!(format.text(&record, "name").as_deref(), Some("va"));
        assert_eq!(format.words[&12], "NETFILTER_DROP");
        assert!(format.has("name") && !format.has("len"));
        for length in 0..record.len() {
            let _ = (format.text(&record[..length], "name"), format.number(&record[..length], "reason"));
        }
        assert!(read("nonsense").is_none());
    }

    #[test]
    fn this_kernels_tracepoints_are_read() {
        let Ok(files) = TraceFiles::open() else { return };
        let format = files.format("net/netif_receive_skb").unwrap();
        assert!(format.has("skbaddr") && format.has("len") && format.id > 0);
        assert!(matches!(files.format("net/none_such"), Err(NotArmed::NoTypes { .. })));
    }
}
