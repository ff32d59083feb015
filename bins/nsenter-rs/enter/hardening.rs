//! What is done about the target before it is joined, and checked once we are in: it may be hostile.

use common::failure::Failure;
use nix::sys::prctl;

use crate::enter::descriptors;
use crate::plan::Plan;

/// Makes us harder to get at: the last thing before the first namespace is joined, when all is open that comes
/// from the host. A host's program in the host's root, with `-n` alone, is as it would be without us.
pub fn before_joining(plan: &Plan) -> Result<(), Failure> {
    if !plan.comes_near_target() {
        return Ok(());
    }
    // Until the program starts, which makes it dumpable again, /proc/PID of this process is root's alone, and takes
    // CAP_SYS_PTRACE over the user namespace that we come from: ptrace(2), "Ptrace access mode checking".
    prctl::set_dumpable(false).map_err(|errno| Failure::failed("PR_SET_DUMPABLE", errno.desc()))?;
    descriptors::close_inherited(&plan.kept_descriptors)
}

/// Makes sure that no directory outside of the root came along as the working directory. A link in the container
/// may lead through `/proc/self/fd` to what we hold open, and a target's own directory may be outside of its root.
pub fn after_joining(plan: &Plan) -> Result<(), Failure> {
    if !plan.keeps_to_root() {
        return Ok(());
    }
    // The system call itself: for what is not below the root it answers "(unreachable)/…" (getcwd(3)), where
    // the C library starts to search.
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        // It was removed, and leads nowhere.
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(Failure::failed("working directory", errno)),
        Ok(_) => {
            let option = if plan.wd.is_some() { "--wd" } else { "--wdns" };
            Err(Failure::failed(option, "the directory is outside of the program's root")
                .hint(common::sentence!("if a directory of the host is to be taken along, name it: -w=DIR")))
        }
    }
}
