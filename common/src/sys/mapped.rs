//! Memory that the kernel shares with this process: its description of its own types, and the rings into which it writes
//! events. Both are mapped for as long as the value lives.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::Result;
use nix::errno::Errno;
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};

/// Where the kernel describes its types, if it was built with CONFIG_DEBUG_INFO_BTF.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";
/// linux/perf_event.h, struct perf_event_mmap_page: data_head and data_tail.
const PERF_HEAD: usize = 1024;
const PERF_TAIL: usize = 1032;
/// linux/bpf.h: BPF_RINGBUF_BUSY_BIT and BPF_RINGBUF_DISCARD_BIT, and the header in front of each record.
const BPF_BUSY: u32 = 1 << 31;
const BPF_DISCARDED: u32 = 1 << 30;
const BPF_HEADER: usize = 8;
/// linux/perf_event.h, struct perf_event_header: its type, something, and the length of the whole record.
const PERF_HEADER: usize = 8;

/// Memory that was mapped, and that goes when this is dropped.
#[derive(Debug)]
struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the process, whatever thread made the mapping, and nothing else refers to it.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(file: BorrowedFd<'_>, bytes: usize, protection: i32, flags: i32, offset: usize) -> Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the kernel chooses an address where there is nothing yet.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, file.as_raw_fd(), offset) };
        if address == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(address.cast()).map(|address| Mapping { address, bytes }).ok_or(Errno::ENOMEM)
    }

    /// A number that the kernel and we read and write, at a multiple of eight.
    fn number(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.bytes);
        // SAFETY: the place is inside of the mapping and aligned, both by the line above; it lives as long as `self`, and
        // all that this program does with it goes through atomics.
        unsafe { &*self.address.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// Copies bytes that the kernel is not writing to.
    fn copy(&self, at: usize, into: &mut [u8]) {
        assert!(at.checked_add(into.len()).is_some_and(|end| end <= self.bytes));
        // SAFETY: the source is inside of the mapping, by the line above; the two do not overlap, for `into` is memory of
        // ours; between the head and the tail of a ring the kernel does not write (the callers below).
        unsafe {
            std::ptr::copy_nonoverlapping(self.address.as_ptr().add(at), into.as_mut_ptr(), into.len());
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
    }
}

/// The kernel's description of its types (BTF), in its own memory: 0.03 ms where a copy takes 5.
#[derive(Debug)]
pub struct KernelTypes(Mapping);

impl KernelTypes {
    /// Maps it. ENODEV where it can only be read, as below Linux 6.16; ENOENT where there is none.
    ///
    /// [BTF](https://docs.kernel.org/bpf/btf.html).
    pub fn map() -> Result<Self> {
        let file =
            File::open(KERNEL_TYPES).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        // What is not the kernel's own could change while it is looked at.
        if fstatfs(&file)?.filesystem_type() != SYSFS_MAGIC {
            return Err(Errno::ENODEV);
        }
        let bytes = file.metadata().ok().and_then(|meta| usize::try_from(meta.len()).ok()).unwrap_or(0);
        Mapping::new(file.as_fd(), bytes, libc::PROT_READ, libc::MAP_PRIVATE, 0).map(KernelTypes)
    }
}

impl Deref for KernelTypes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: all of it is mapped for reading as long as `self` lives, and nothing writes to it: it is a constant of
        // the kernel's, by its place and its file system.
        unsafe { std::slice::from_raw_parts(self.0.address.as_ptr(), self.0.bytes) }
    }
}

/// How records are laid out, and where the ends of the ring are told.
#[derive(Debug)]
enum RingLayout {
    /// A ring of BPF's: a page that is ours, and a page of the kernel's in front of the records.
    Bpf { consumer: Mapping },
    /// A ring of perf's: one page for both in front of the records.
    Perf,
}

/// A ring into which the kernel writes events, and which goes with its descriptor.
#[derive(Debug)]
pub struct EventRing {
    // Unmapped before the descriptor is closed.
    layout: RingLayout,
    records: Mapping,
    page: usize,
    fd: OwnedFd,
}

impl EventRing {
    /// Maps a map of the type BPF_MAP_TYPE_RINGBUF that has room for `bytes`, a power of two and a multiple of the page.
    ///
    /// [BPF ring buffer](https://docs.kernel.org/bpf/ringbuf.html), Linux 5.8.
    pub(super) fn of_bpf(fd: OwnedFd, bytes: usize) -> Result<Self> {
        let page = page_size();
        if !bytes.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let (read, write) = (libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE);
        let consumer = Mapping::new(fd.as_fd(), page, write, libc::MAP_SHARED, 0)?;
        let records = Mapping::new(fd.as_fd(), page + bytes, read, libc::MAP_SHARED, page)?;
        Ok(EventRing { layout: RingLayout::Bpf { consumer }, records, page, fd })
    }

    /// Maps the ring of a perf event: so many pages of records, a power of two.
    ///
    /// [perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html), "MMAP layout".
    pub(super) fn of_perf(fd: OwnedFd, pages: usize) -> Result<Self> {
        let page = page_size();
        if !pages.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let write = libc::PROT_READ | libc::PROT_WRITE;
        let records = Mapping::new(fd.as_fd(), page * (1 + pages), write, libc::MAP_SHARED, 0)?;
        Ok(EventRing { layout: RingLayout::Perf, records, page, fd })
    }

    /// Hands over the records that have come since, and makes room for others; not those that come meanwhile, which may never end.
    ///
    /// Of BPF each is what a program has written; of perf each begins with its header, struct perf_event_header.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        self.drain_while(|record| {
            each(record);
            true
        });
    }

    /// The same up to the record that is said to be the last one; the others stay there.
    pub fn drain_while(&mut self, mut each: impl FnMut(&[u8]) -> bool) {
        let mut record = Vec::new();
        let (_, end) = self.positions();
        while self.positions().0 < end && self.next(&mut record) {
            if !record.is_empty() && !each(&record) {
                return;
            }
        }
    }

    /// Up to where it was read, and written.
    fn positions(&self) -> (u64, u64) {
        let (tail, head) = match &self.layout {
            RingLayout::Bpf { consumer } => (consumer.number(0), self.records.number(0)),
            RingLayout::Perf => (self.records.number(PERF_TAIL), self.records.number(PERF_HEAD)),
        };
        (tail.load(Ordering::Relaxed), head.load(Ordering::Acquire))
    }

    /// The next record; empty for one that was discarded. Whether there was one.
    fn next(&self, record: &mut Vec<u8>) -> bool {
        record.clear();
        match &self.layout {
            RingLayout::Bpf { consumer } => {
                let tail = consumer.number(0);
                let at = tail.load(Ordering::Relaxed);
                if at >= self.records.number(0).load(Ordering::Acquire) {
                    return false;
                }
                let header = self.header(at);
                if header & BPF_BUSY != 0 {
                    return false;
                }
                let length = (header & !(BPF_BUSY | BPF_DISCARDED)) as usize;
                if header & BPF_DISCARDED == 0 {
                    self.take(at + BPF_HEADER as u64, length, record);
                }
                tail.store(at + (BPF_HEADER + length).next_multiple_of(8) as u64, Ordering::Release);
            }
            RingLayout::Perf => {
                let (head, tail) = (self.records.number(PERF_HEAD), self.records.number(PERF_TAIL));
                let at = tail.load(Ordering::Relaxed);
                if at >= head.load(Ordering::Acquire) {
                    return false;
                }
                self.take(at, PERF_HEADER, record);
                let length = record.get(6..8).and_then(|length| length.try_into().ok());
                let length = length.map_or(0, u16::from_ne_bytes).into();
                self.take(at, length, record);
                tail.store(at + PERF_HEADER.max(length) as u64, Ordering::Release);
            }
        }
        true
    }

    /// What stands in front of a record of BPF's: the kernel says with it that the record is whole.
    fn header(&self, at: u64) -> u32 {
        let place = self.page + self.index(at);
        assert!(place.is_multiple_of(4) && place + 4 <= self.records.bytes);
        // SAFETY: it is inside of the mapping and aligned, both by the line above; it lives as long as `self`.
        let header = unsafe { &*self.records.address.as_ptr().add(place).cast::<AtomicU32>() };
        header.load(Ordering::Acquire)
    }

    /// Copies from the ring, around its end; nothing if it claims to be longer than the ring.
    fn take(&self, at: u64, length: usize, into: &mut Vec<u8>) {
        let whole = self.records.bytes - self.page;
        into.clear();
        if length > whole {
            return;
        }
        into.resize(length, 0);
        let start = self.index(at);
        let first = length.min(whole - start);
        self.records.copy(self.page + start, &mut into[..first]);
        self.records.copy(self.page, &mut into[first..]);
    }

    fn index(&self, at: u64) -> usize {
        let whole = (self.records.bytes - self.page) as u64;
        // Less than `whole`, which is a usize and a power of two.
        (at & (whole - 1)) as usize
    }
}

impl AsFd for EventRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A page of memory.
pub(super) fn page_size() -> usize {
    // SAFETY: there is no pointer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
