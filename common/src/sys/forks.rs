//! New processes, of a process that has one thread.

use nix::Result;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::ForkResult;

/// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html) of a process that has one thread.
///
/// The tools never start a second thread before this; EDEADLK if there is one, for the child of a
/// process with threads may not even allocate.
pub fn fork_single_threaded() -> Result<ForkResult> {
    one_thread()?;
    // SAFETY: with one thread no lock can be held by a thread that the child lacks.
    unsafe { nix::unistd::fork() }
}

/// Ends this process, a child that was forked for one thing, without what its parent has left to be done at the end:
/// [_exit(2)](https://man7.org/linux/man-pages/man2/_exit.2.html).
pub fn exit_at_once() -> ! {
    // SAFETY: the call touches no memory, and does not return.
    unsafe { libc::_exit(0) }
}

/// EDEADLK for a process that has more.
fn one_thread() -> Result<()> {
    // This one flag does nothing but fail in a process with threads: unshare(2).
    match nix::sched::unshare(CloneFlags::CLONE_THREAD) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL) => Err(Errno::EDEADLK),
        // A seccomp filter answers in the kernel's place.
        Err(_) => one_task(),
    }
}

/// The same by `/proc`, which may be a container's by now: what is no procfs, or does not know us, counts as EDEADLK.
fn one_task() -> Result<()> {
    let unknown = |_| Errno::EDEADLK;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut tasks = Dir::open("/proc/self/task", flags, Mode::empty()).map_err(unknown)?;
    let is_procfs = fstatfs(&tasks).map_err(unknown)?.filesystem_type() == PROC_SUPER_MAGIC;
    let names = tasks.iter().filter(|entry| {
        !entry.as_ref().is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
    });
    if is_procfs && names.count() == 1 { Ok(()) } else { Err(Errno::EDEADLK) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_seen() {
        // The harness has its own thread beside ours.
        let (held, hold) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || hold.recv());
        assert_eq!(one_thread(), Err(Errno::EDEADLK));
        assert_eq!(one_task(), Err(Errno::EDEADLK));
        drop(held);
        let _ = other.join();
    }

    /// As container engines' filters do; where they ask for a capability, to root of another user namespace.
    fn refuse_unshare() {
        let rules = [(libc::SYS_unshare, Vec::new())].into();
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let refused = seccompiler::SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let filter =
            seccompiler::SeccompFilter::new(rules, seccompiler::SeccompAction::Allow, refused, machine);
        let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        assert_eq!(nix::sched::unshare(CloneFlags::CLONE_THREAD), Err(Errno::EPERM));
    }

    #[test]
    fn behind_a_filter_that_refuses_unshare_one_thread_may_fork_and_two_may_not() {
        // The filter is for one thread, and for its children.
        let filtered = std::thread::spawn(|| {
            refuse_unshare();
            let with_others = fork_single_threaded().err();
            // SAFETY: what the child does takes no lock that another thread can hold: it makes system calls, and ends.
            let child = match unsafe { nix::unistd::fork() }.unwrap() {
                ForkResult::Parent { child } => child,
                ForkResult::Child => {
                    let status = match fork_single_threaded() {
                        Ok(ForkResult::Child) => exit_at_once(),
                        Ok(ForkResult::Parent { child }) => {
                            u8::from(nix::sys::wait::waitpid(child, None).is_err())
                        }
                        Err(_) => 2,
                    };
                    // Not 0, which a child says that does nothing.
                    std::process::exit(40 + i32::from(status))
                }
            };
            (with_others, nix::sys::wait::waitpid(child, None).unwrap())
        });
        let (with_others, alone) = filtered.join().unwrap();
        assert_eq!(with_others, Some(Errno::EDEADLK));
        assert!(matches!(alone, nix::sys::wait::WaitStatus::Exited(_, 40)), "{alone:?}");
    }
}
