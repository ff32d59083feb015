//! bpf(2), and as far as it lists what is attached.

use std::ffi::c_long;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;

/// linux/bpf.h, enum bpf_cmd.
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_PROG_QUERY: u32 = 16;
const BPF_F_QUERY_EFFECTIVE: u32 = 1;
/// The kernel attaches no more to one place: BPF_CGROUP_MAX_PROGS and BPF_MPROG_MAX.
const MOST_PROGRAMS: usize = 64;

/// The part of union bpf_attr that BPF_PROG_QUERY takes; the kernel takes zeroes behind what it knows.
#[repr(C, align(8))]
struct ProgramQuery {
    target: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    spare: u32,
    more: [u64; 4],
}

/// The same for BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct InfoQuery {
    fd: u32,
    length: u32,
    info: u64,
}

pub(super) fn bpf(command: u32, attributes: *mut u8, bytes: usize) -> Result<c_long> {
    // SAFETY: the callers give `bytes` bytes that outlive the call, and pointers in them that do, too.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, command, attributes, bytes) })
}

fn query(target: u32, attach_type: u32, flags: u32) -> Result<Vec<u32>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let (address, count) = (ids.as_mut_ptr() as u64, MOST_PROGRAMS as u32);
    let mut asked = ProgramQuery {
        target,
        attach_type,
        flags,
        attach_flags: 0,
        ids: address,
        count,
        spare: 0,
        more: [0; 4],
    };
    bpf(BPF_PROG_QUERY, (&raw mut asked).cast(), size_of::<ProgramQuery>())?;
    let count = (asked.count as usize).min(MOST_PROGRAMS);
    Ok(ids[..count].to_vec())
}

/// The IDs of the programs that are attached to a link of the network namespace that the thread is in, in their order.
///
/// BPF_TCX_INGRESS, BPF_TCX_EGRESS: Linux 6.6; EINVAL before. EPERM without CAP_NET_ADMIN.
pub fn bpf_programs_of_link(index: u32, attach_type: u32) -> Result<Vec<u32>> {
    query(index, attach_type, 0)
}

/// The IDs of the programs that are run for a control group of cgroup v2, its own and those of the groups above it.
///
/// BPF_F_QUERY_EFFECTIVE: Linux 4.15. EPERM without CAP_NET_ADMIN.
pub fn bpf_programs_of_cgroup(group: BorrowedFd<'_>, attach_type: u32) -> Result<Vec<u32>> {
    query(group.as_raw_fd().cast_unsigned(), attach_type, BPF_F_QUERY_EFFECTIVE)
}

/// The name that a program was loaded with, at most 15 bytes; EPERM without CAP_SYS_ADMIN.
///
/// BPF_OBJ_GET_INFO_BY_FD: Linux 4.13, names since 4.15.
pub fn bpf_program_name(id: u32) -> Result<Vec<u8>> {
    let mut by_id = [id, 0, 0, 0];
    let fd = bpf(BPF_PROG_GET_FD_BY_ID, by_id.as_mut_ptr().cast(), size_of_val(&by_id))?;
    // SAFETY: the kernel has just given us this descriptor, close-on-exec, and nothing else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // struct bpf_prog_info as far as its name, which is at byte 64.
    let mut info = [0_u64; 10];
    program_info(fd.as_fd(), &mut info)?;
    let name = [info[8].to_ne_bytes(), info[9].to_ne_bytes()].concat();
    Ok(name.into_iter().take_while(|byte| *byte != 0).collect())
}

/// The beginning of struct bpf_prog_info. What it would lead to by pointers is not asked for.
pub(super) fn program_info(program: BorrowedFd<'_>, info: &mut [u64]) -> Result<()> {
    let mut asked = InfoQuery {
        fd: program.as_raw_fd().cast_unsigned(),
        length: size_of_val(info) as u32,
        info: info.as_mut_ptr() as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, (&raw mut asked).cast(), size_of::<InfoQuery>()).map(drop)
}
