//! Programs that stop being root by themselves, and become a user that the container does not have.
//!
//! tcpdump, as distributions build it, becomes the user `tcpdump` as soon as the interface is open, and ends with
//! an error where getpwnam(3) finds none: in a container's /etc/passwd there is none, if there is that file at
//! all. It does so only as root. So it is started as nobody, with the capabilities that we have.
//!
//! dumpcap, which captures for tshark, sets as root the capabilities NET_ADMIN and NET_RAW, and takes it for an error
//! where it may not have the first, which it does not need. It does that only as root too.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

use super::program::Program;

/// The user and group that nothing belongs to.
const NOBODY: u32 = 65534;

/// Whether `program` would become a user that does not exist there, and so is started as `nobody`.
pub fn suits_nobody(program: &Program, arguments: &[OsString]) -> bool {
    let is = |name: &str| program.file.file_name().is_some_and(|file| file == name);
    let fails_as_root = drops_root(program, arguments) && !is_user("tcpdump")
        || is("dumpcap") && !has(CapabilitySet::NET_ADMIN);
    geteuid().is_root() && fails_as_root
}

/// Becomes `nobody`, with all capabilities. Where that is not possible we stay root, and the program reports what it lacks.
pub fn suit() {
    let _ = become_nobody();
}

fn has(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.permitted.contains(capability))
}

fn drops_root(program: &Program, arguments: &[OsString]) -> bool {
    let says =
        |word: &OsString| word.as_bytes().starts_with(b"-Z") || word.as_bytes().starts_with(b"--relinquish");
    program.file.file_name().is_some_and(|name| name == "tcpdump") && !arguments.iter().any(says)
}

fn is_user(name: &str) -> bool {
    User::from_name(name).is_ok_and(|user| user.is_some())
}

fn become_nobody() -> nix::Result<()> {
    let ours = capabilities(None).map_err(errno)?.permitted;
    prctl::set_keepcaps(true)?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    set_capabilities(None, CapabilitySets { effective: ours, permitted: ours, inheritable: ours })
        .map_err(errno)?;
    // Only ambient ones outlive an exec of a file that has none of its own, capabilities(7).
    for capability in ours.iter().filter(|capability| CapabilitySet::all().contains(*capability)) {
        configure_capability_in_ambient_set(capability, true).map_err(errno)?;
    }
    Ok(())
}

fn errno(error: rustix::io::Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_tools::elf::Elf;

    #[test]
    fn only_a_program_that_would_drop_root_by_itself_is_suited() {
        let program = |file: &str| Program {
            file: file.into(),
            elf: Elf::default(),
            name: "x".into(),
            zeroth: "x".into(),
            before: Vec::new(),
        };
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(drops_root(&program("/usr/bin/tcpdump"), &words("-ni eth0")));
        assert!(!drops_root(&program("/usr/bin/tcpdump"), &words("-ni eth0 -Z root")));
        assert!(!drops_root(&program("/usr/bin/tcpdump"), &words("-Zroot -i eth0")));
        assert!(!drops_root(&program("/usr/bin/ss"), &words("-t")));
    }
}
