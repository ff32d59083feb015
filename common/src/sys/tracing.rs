//! What the kernel tells of packets while it handles them: programs of BPF on its tracepoints (bpf(2)), and tracepoints by
//! perf_event_open(2). All of it goes with its descriptors, also when the process is killed.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;

use super::bpf::{bpf, program_info};
use super::mapped::EventRing;

/// linux/bpf.h, enum bpf_cmd.
const BPF_MAP_CREATE: u32 = 0;
const BPF_MAP_LOOKUP_ELEM: u32 = 1;
const BPF_PROG_LOAD: u32 = 5;
const BPF_RAW_TRACEPOINT_OPEN: u32 = 17;
const BPF_ENABLE_STATS: u32 = 32;
/// enum bpf_map_type, enum bpf_prog_type.
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_RINGBUF: u32 = 27;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
/// The instruction that calls a function of the kernel's, and the functions that read and tell: enum bpf_func_id,
/// BPF_FUNC_ktime_get_ns, get_stack, probe_read_kernel, ringbuf_output. One writes to the memory of processes: it is not among them.
const CALL: u8 = 0x85;
const HARMLESS: [i32; 4] = [5, 67, 113, 130];
/// BPF_PSEUDO_KFUNC_CALL: functions that are called by their type, of which none writes to the memory of processes.
const BY_TYPE: u8 = 2;

/// linux/perf_event.h: PERF_TYPE_TRACEPOINT; PERF_SAMPLE_TID, TIME, RAW; the flags `disabled` and `use_clockid` of struct
/// perf_event_attr, which are bit fields; PERF_FLAG_FD_CLOEXEC.
const PERF_TYPE_TRACEPOINT: u32 = 2;
const PERF_SAMPLED: u64 = 1 << 1 | 1 << 2 | 1 << 10;
const PERF_DISABLED: u64 = bit_field(0);
const PERF_USE_CLOCKID: u64 = bit_field(25);
const PERF_FLAG_FD_CLOEXEC: u32 = 1 << 3;
const PERF_ENABLE: libc::Ioctl = libc::_IO(b'$' as u32, 0);
const PERF_DISABLE: libc::Ioctl = libc::_IO(b'$' as u32, 1);
const PERF_SET_FILTER: libc::Ioctl = libc::_IOW::<*const libc::c_char>(b'$' as u32, 6);

const fn bit_field(nth: u32) -> u64 {
    if cfg!(target_endian = "big") { 1 << (63 - nth) } else { 1 << nth }
}

/// The part of union bpf_attr that BPF_PROG_LOAD takes; the kernel takes zeroes behind what it knows.
#[repr(C)]
struct ProgramToLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The same for BPF_MAP_LOOKUP_ELEM.
#[repr(C)]
struct ElementToRead {
    map: u32,
    spare: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The same for BPF_RAW_TRACEPOINT_OPEN.
#[repr(C)]
struct TracepointToOpen {
    name: u64,
    program: u32,
    spare: u32,
}

/// struct perf_event_attr as far as its version 3: linux/perf_event.h.
#[repr(C)]
#[derive(Default)]
struct PerfAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_registers: u64,
    sample_stack: u32,
    clock: i32,
}

/// A program that runs at a tracepoint until this is dropped.
#[derive(Debug)]
pub struct BpfTracepoint {
    // Detached first.
    _attached: OwnedFd,
    program: OwnedFd,
}

/// Two numbers that programs add to, by their place: the array of BPF's with one element, which is these sixteen bytes.
#[derive(Debug)]
pub struct BpfCounters(OwnedFd);

/// How often a program has run, and how long that took in all: counted while [`count_bpf_run_time`] says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfRunTime {
    /// In all.
    pub nanoseconds: u64,
    /// How often.
    pub runs: u64,
}

/// A ring into which programs write events, with room for `bytes`: a power of two, and a multiple of a page.
///
/// Linux 5.8; EPERM without CAP_BPF.
pub fn bpf_ring(bytes: u32) -> Result<EventRing> {
    // map_type, key_size, value_size, max_entries.
    let mut attributes = [BPF_MAP_TYPE_RINGBUF, 0, 0, bytes];
    let fd = bpf(BPF_MAP_CREATE, attributes.as_mut_ptr().cast(), size_of_val(&attributes))?;
    EventRing::of_bpf(owned(fd), bytes as usize)
}

impl BpfCounters {
    /// Both are 0. Linux 3.19; that programs reach them by their address, 5.2. EPERM without CAP_BPF.
    pub fn new() -> Result<Self> {
        // map_type, key_size, value_size, max_entries.
        let mut attributes = [BPF_MAP_TYPE_ARRAY, 4, 16, 1];
        bpf(BPF_MAP_CREATE, attributes.as_mut_ptr().cast(), size_of_val(&attributes))
            .map(owned)
            .map(BpfCounters)
    }

    /// What they are now.
    pub fn read(&self) -> Result<[u64; 2]> {
        let (key, mut value) = (0_u32, [0_u64; 2]);
        let mut asked = ElementToRead {
            map: self.0.as_raw_fd().cast_unsigned(),
            spare: 0,
            key: &raw const key as u64,
            value: &raw mut value as u64,
            flags: 0,
        };
        bpf(BPF_MAP_LOOKUP_ELEM, (&raw mut asked).cast(), size_of::<ElementToRead>())?;
        Ok(value)
    }
}

impl AsFd for BpfCounters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl BpfTracepoint {
    /// Loads a program and has the kernel run it at a tracepoint. The program may read the kernel's memory, and write to
    /// rings; EACCES for one that the kernel's verifier refuses, or that calls another function.
    ///
    /// `name` is at most 15 bytes, and what `bpftool prog` shows. Linux 4.17, the functions 5.8; EPERM without CAP_BPF and
    /// CAP_PERFMON.
    pub fn attach(tracepoint: &CStr, name: &CStr, instructions: &[[u8; 8]]) -> Result<Self> {
        let program = load(name, instructions)?;
        let fd = program.as_raw_fd().cast_unsigned();
        let mut asked = TracepointToOpen { name: tracepoint.as_ptr() as u64, program: fd, spare: 0 };
        let attached = bpf(BPF_RAW_TRACEPOINT_OPEN, (&raw mut asked).cast(), size_of::<TracepointToOpen>())?;
        Ok(BpfTracepoint { _attached: owned(attached), program })
    }

    /// How long it has run so far.
    pub fn run_time(&self) -> Result<BpfRunTime> {
        // struct bpf_prog_info: run_time_ns and run_cnt, at bytes 200 and 208 (Linux 5.1).
        let mut info = [0_u64; 27];
        program_info(self.program.as_fd(), &mut info)?;
        Ok(BpfRunTime { nanoseconds: info[24], runs: info[25] })
    }
}

/// Has the kernel count how long programs run, until the descriptor is closed: Linux 5.8.
pub fn count_bpf_run_time() -> Result<OwnedFd> {
    // BPF_STATS_RUN_TIME.
    let mut kind = 0_u32;
    bpf(BPF_ENABLE_STATS, (&raw mut kind).cast(), size_of::<u32>()).map(owned)
}

fn load(name: &CStr, instructions: &[[u8; 8]]) -> Result<OwnedFd> {
    let is_harmless = |[code, registers, _, _, number @ ..]: &[u8; 8]| {
        let is_by_type = if cfg!(target_endian = "big") { registers & 15 } else { registers >> 4 } == BY_TYPE;
        *code != CALL || is_by_type || HARMLESS.contains(&i32::from_ne_bytes(*number))
    };
    if !instructions.iter().all(is_harmless) {
        return Err(Errno::EACCES);
    }
    let mut short = [0; 16];
    short.iter_mut().zip(name.to_bytes().iter().take(15)).for_each(|(to, from)| *to = *from);
    let mut asked = ProgramToLoad {
        kind: BPF_PROG_TYPE_RAW_TRACEPOINT,
        count: u32::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?,
        instructions: instructions.as_ptr() as u64,
        // What probe_read_kernel asks for: a program that may call what only GPL code may.
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: short,
    };
    bpf(BPF_PROG_LOAD, (&raw mut asked).cast(), size_of::<ProgramToLoad>()).map(owned)
}

/// The events of a tracepoint on one processor, in all processes and namespaces, that its filter lets through: with
/// `PERF_SAMPLE_TID`, `TIME` (of CLOCK_MONOTONIC) and `RAW`. The ring has so many pages of records, a power of two.
///
/// Linux 4.1; EACCES without CAP_PERFMON, EINVAL for a filter of fields that the tracepoint does not have.
/// [perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html)
pub fn perf_tracepoint(id: u64, processor: u32, filter: Option<&CStr>, pages: usize) -> Result<EventRing> {
    let attributes = PerfAttributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: size_of::<PerfAttributes>() as u32,
        config: id,
        sample_period: 1,
        sample_type: PERF_SAMPLED,
        flags: PERF_DISABLED | PERF_USE_CLOCKID,
        wakeup_events: 1,
        clock: libc::CLOCK_MONOTONIC,
        ..PerfAttributes::default()
    };
    let (every_process, no_group) = (-1, -1);
    // SAFETY: the kernel reads the struct, which outlives the call and says its own length; the rest are numbers.
    let fd = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            every_process,
            processor,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    })?;
    let fd = owned(fd);
    if let Some(filter) = filter {
        // SAFETY: the kernel reads a string with its end, which outlives the call.
        Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), PERF_SET_FILTER, filter.as_ptr()) })?;
    }
    let ring = EventRing::of_perf(fd, pages)?;
    perf_set(ring.as_fd(), PERF_ENABLE)?;
    Ok(ring)
}

/// The tracepoint tells nothing any more. What it has told can still be read.
pub fn perf_stop(event: BorrowedFd<'_>) -> Result<()> {
    perf_set(event, PERF_DISABLE)
}

fn perf_set(event: BorrowedFd<'_>, command: libc::Ioctl) -> Result<()> {
    // SAFETY: the command takes a number.
    Errno::result(unsafe { libc::ioctl(event.as_raw_fd(), command, 0) }).map(drop)
}

/// A descriptor that a call has just given us, close-on-exec: all of bpf(2)'s are, and perf's was asked to be.
fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: the callers hand over what bpf(2) and perf_event_open(2) return for success, and nothing else has it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
