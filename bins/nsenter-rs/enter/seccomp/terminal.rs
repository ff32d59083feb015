//! No keys are pushed into the operator's terminal: TIOCSTI and TIOCLINUX would type there what the shell runs afterwards.
//!
//! `docker exec -t` gives a terminal of its own; a program of ours has the operator's. Before Linux 6.2 whoever has a
//! terminal open may push keys into it, and later where dev.tty.legacy_tiocsti is 1, as many distributions leave it:
//! ioctl_tty(2). That is no power of a container, filtered or not, so that this filter is on every program.

use seccompiler::{BpfProgram, sock_filter};

/// What AUDIT_ARCH_* of linux/audit.h calls a machine, and the number of ioctl(2) there: of each ABI that the kernel may have.
#[cfg(target_arch = "x86_64")]
const CALLS: &[(u32, u32)] = &[(0xC000_003E, 16), (0xC000_003E, 0x4000_0000 | 514), (0x4000_0003, 54)];
#[cfg(target_arch = "aarch64")]
const CALLS: &[(u32, u32)] = &[(0xC000_00B7, 29), (0x4000_0028, 54)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const CALLS: &[(u32, u32)] = &[];

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541C;

/// Offsets in `struct seccomp_data`; of the second argument the half that the kernel reads, on machines that begin with it.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;
const REQUEST: u32 = 24;

/// BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K and BPF_RET | BPF_K of linux/bpf_common.h.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// SECCOMP_RET_ALLOW and SECCOMP_RET_ERRNO with EPERM.
const ALLOW: u32 = 0x7fff_0000;
const NO_PERMISSION: u32 = 0x0005_0001;

/// The filter. Written out, for one of the crate ends every program of another ABI.
pub fn filter() -> BpfProgram {
    let step = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    let jump = |k, jt, jf| sock_filter { code: IF_EQUAL, jt, jf, k };
    let of_call = |&(machine, number): &(u32, u32)| {
        [
            step(LOAD, MACHINE),
            jump(machine, 0, 6),
            step(LOAD, NUMBER),
            jump(number, 0, 4),
            step(LOAD, REQUEST),
            jump(TIOCSTI, 1, 0),
            jump(TIOCLINUX, 0, 1),
            step(RETURN, NO_PERMISSION),
        ]
    };
    CALLS.iter().flat_map(of_call).chain([step(RETURN, ALLOW)]).collect()
}
