//! A seccomp(2) filter for a host program that may come to run code of a container: no weaker than Docker's default one.
//!
//! Most of all it keeps the program from new user namespaces, in which it would have all capabilities, and from parts
//! of the kernel that ask for none: keys, io_uring, userfaultfd. The container's own filter cannot be taken from it
//! (PTRACE_SECCOMP_GET_FILTER stops the process that has it).
//!
//! A list of what may be called; all else is EPERM. Calls of the 32-bit ABI end the program (SIGSYS), and those of x32
//! are not in the list: neither is a way around.

mod table;
mod terminal;

use std::collections::BTreeMap;
use std::fmt;

use common::failure::Failure;
use libc::c_long;
use rustix::thread::CapabilitySet;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// CLONE_NEW* but for CLONE_NEWTIME, which clone(2) does not take: linux/sched.h.
const NEW_NAMESPACES: u64 = 0x7E02_0000;
/// CLONE_THREAD.
const ONE_THREAD: u64 = 0x1_0000;
/// personality(2): PER_LINUX, PER_LINUX32, UNAME26 with each, and the query for the current one.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF];
/// Families of sockets below and above these two, and between them: AF_ALG has had holes that any user could enter, and AF_VSOCK
/// leads to the hypervisor, whatever the network namespace.
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;

/// The filters, one over the other: the kernel takes what the strictest of them says.
#[derive(Clone)]
pub struct Filter(Vec<BpfProgram>);

type FilterRules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filter {
    /// For a program that has these capabilities; with none, what holds of a program in a container without a filter.
    ///
    /// # Errors
    /// On a machine that there is no table for.
    pub fn around(capabilities: Option<CapabilitySet>) -> Result<Self, Failure> {
        let mut all = capabilities.map_or_else(|| Ok(Filter(Vec::new())), Filter::of)?;
        all.0.push(terminal::filter());
        Ok(all)
    }

    /// For a program that has these capabilities.
    fn of(capabilities: CapabilitySet) -> Result<Self, Failure> {
        let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(as_failure)?;
        let errno = |errno: i32| SeccompAction::Errno(errno.cast_unsigned());
        let compiled = |rules, otherwise, then| {
            SeccompFilter::new(rules, otherwise, then, machine)
                .and_then(BpfProgram::try_from)
                .map_err(as_failure)
        };
        let allowed = allowed(capabilities).map_err(as_failure)?;
        let mut filters = Vec::new();
        if !capabilities.contains(CapabilitySet::SYS_ADMIN) {
            // Its flags are in memory, where a filter cannot look. Told that there is no such call, C libraries take clone(2).
            let none = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
            filters.push(compiled(none, SeccompAction::Allow, errno(libc::ENOSYS))?);
        }
        filters.push(compiled(allowed, errno(libc::EPERM), SeccompAction::Allow)?);
        Ok(Filter(filters))
    }

    /// Puts it on this process for good, and no_new_privs, without which it takes CAP_SYS_ADMIN.
    pub fn install(&self) -> Result<(), Failure> {
        self.0.iter().try_for_each(|filter| apply_filter(filter).map_err(as_failure))
    }
}

/// What may be called, and with which arguments where not with any.
fn allowed(capabilities: CapabilitySet) -> Result<FilterRules, seccompiler::BackendError> {
    let plain = [table::ALWAYS, table::OF_MACHINE, table::NEWER].into_iter().flatten();
    let mut rules: FilterRules = plain.map(|call| (*call, Vec::new())).collect();
    let any = |test: &[SeccompCondition]| SeccompRule::new(test.to_vec());
    let first = |test, value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, test, value);
    let families = [
        any(&[first(SeccompCmpOp::Lt, AF_ALG)?])?,
        any(&[first(SeccompCmpOp::Gt, AF_ALG)?, first(SeccompCmpOp::Lt, AF_VSOCK)?])?,
        any(&[first(SeccompCmpOp::Gt, AF_VSOCK)?])?,
    ];
    rules.insert(libc::SYS_socket, families.into());
    let personalities = PERSONALITIES.map(|value| any(&[first(SeccompCmpOp::Eq, value)?]));
    rules.insert(libc::SYS_personality, personalities.into_iter().collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_clone, vec![any(&[first(SeccompCmpOp::MaskedEq(NEW_NAMESPACES), 0)?])?]);
    // By this flag, which does nothing else, we ask before each fork whether there is a second thread: unshare(2).
    let asks = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, ONE_THREAD)?;
    rules.insert(libc::SYS_unshare, vec![any(&[asks])?]);
    // The other filter says what becomes of it.
    rules.insert(libc::SYS_clone3, Vec::new());
    let granted = table::WITH_CAPABILITY.iter().filter(|(capability, _)| capabilities.contains(*capability));
    rules.extend(granted.flat_map(|(_, calls)| calls.iter()).map(|call: &c_long| (*call, Vec::new())));
    Ok(rules)
}

fn as_failure(error: impl fmt::Display) -> Failure {
    Failure::failed("seccomp filter", error)
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Vec::len)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERS: CapabilitySet = CapabilitySet::from_bits_retain(0xa804_25fb);

    /// What the filter says of a call with this first argument: the program as the kernel runs it, for the few
    /// instructions that there are in it.
    fn verdict(filter: &Filter, machine: u32, call: i64, argument: u64) -> u32 {
        let data = |offset: u32| match offset {
            0 => call as u32,
            4 => machine,
            16 => argument as u32,
            20 => (argument >> 32) as u32,
            _ => 0,
        };
        let run = |program: &BpfProgram| {
            let (mut at, mut value) = (0, 0);
            loop {
                let step = &program[at];
                at += 1;
                let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
                match step.code {
                    0x20 => value = data(step.k),
                    0x54 => value &= step.k,
                    0x05 => at += step.k as usize,
                    0x15 => at += jump(value == step.k),
                    0x25 => at += jump(value > step.k),
                    0x35 => at += jump(value >= step.k),
                    0x06 => return step.k,
                    code => panic!("an instruction that is new here: {code:#x}"),
                }
            }
        };
        // The kernel: the lowest action wins, as a signed number.
        filter.0.iter().map(run).min_by_key(|action| (action & 0xffff_0000).cast_signed()).unwrap()
    }

    #[cfg(target_arch = "x86_64")]
    const MACHINE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const MACHINE: u32 = 0xc000_00b7;
    const ALLOW: u32 = 0x7fff_0000;
    const NO_PERMISSION: u32 = 0x0005_0001;
    const NO_SUCH_CALL: u32 = 0x0005_0026;
    const KILL: u32 = 0x8000_0000;

    #[test]
    fn new_namespaces_keys_and_the_like_are_refused_as_dockers_default_does() {
        let filter = Filter::of(DOCKERS).unwrap();
        let says = |call, argument| verdict(&filter, MACHINE, call, argument);
        let refused = [
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_umount2,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_open_by_handle_at,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_pidfd_getfd,
            libc::SYS_syslog,
            libc::SYS_swapon,
        ];
        for call in refused {
            assert_eq!(says(call, 0), NO_PERMISSION, "{call}");
        }
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_execveat, libc::SYS_chroot, 462] {
            assert_eq!(says(call, 0), ALLOW, "{call}");
        }
        assert_eq!(says(libc::SYS_clone3, 0), NO_SUCH_CALL);
    }

    #[test]
    fn arguments_are_compared_as_the_kernel_reads_them() {
        let filter = Filter::of(DOCKERS).unwrap();
        let allows = |call, argument| verdict(&filter, MACHINE, call, argument) == ALLOW;
        assert!(allows(libc::SYS_clone, 0x0120_0011) && allows(libc::SYS_clone, 0x003d_0f00));
        for new in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert!(!allows(libc::SYS_clone, new | 0x11), "{new:#x}");
        }
        for family in [1, 2, 10, 16, 17, 39, 44] {
            assert!(allows(libc::SYS_socket, family), "{family}");
        }
        // The kernel takes 32 bits of it, whatever stands above them.
        for family in [38, 40, 1 << 32 | 38, 1 << 32 | 40] {
            assert!(!allows(libc::SYS_socket, family), "{family}");
        }
        for flags in [0, 0x1_0000 | 0x1000_0000, 1 << 32 | 0x1_0000, 0x1000_0000] {
            assert!(!allows(libc::SYS_unshare, flags), "{flags:#x}");
        }
        assert!(allows(libc::SYS_unshare, 0x1_0000));
        assert!(allows(libc::SYS_personality, 0xffff_ffff) && !allows(libc::SYS_personality, 0x40_0000));
    }

    #[test]
    fn other_abis_are_no_way_around() {
        let filter = Filter::of(CapabilitySet::all()).unwrap();
        // AUDIT_ARCH_I386 and _ARM, where other calls have these numbers.
        for machine in [0x4000_0003, 0x4000_0028] {
            assert_eq!(verdict(&filter, machine, libc::SYS_read, 0), KILL);
        }
        const X32: i64 = 0x4000_0000;
        assert_eq!(verdict(&filter, MACHINE, X32 | libc::SYS_unshare, 0), NO_PERMISSION);
    }

    #[test]
    fn a_capability_brings_its_calls_and_none_brings_keys() {
        let says =
            |capabilities, call| verdict(&Filter::of(capabilities).unwrap(), MACHINE, call, 0x1000_0000);
        assert_eq!(says(CapabilitySet::DAC_READ_SEARCH, libc::SYS_open_by_handle_at), ALLOW);
        assert_eq!(says(CapabilitySet::SYS_ADMIN, libc::SYS_mount), ALLOW);
        assert_eq!(says(CapabilitySet::SYS_ADMIN, libc::SYS_clone), ALLOW);
        assert_eq!(says(CapabilitySet::SYS_ADMIN, libc::SYS_clone3), ALLOW);
        assert_eq!(says(DOCKERS, libc::SYS_clone), NO_PERMISSION);
        for call in [libc::SYS_keyctl, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_kexec_load]
        {
            assert_eq!(says(CapabilitySet::all(), call), NO_PERMISSION, "{call}");
        }
    }
}
