//! What a program of the host is given of the target's environment (`--env` without another root).
//!
//! The target, or its image, decides what is in it. With `LD_PRELOAD=/proc/4242/root/evil.so`, or such a PATH, a program
//! of the host would load or become a file of the container, with the power that it has on the host; the variable may
//! list all PIDs that there are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Our own is given instead: paths of the container mean nothing in the host's root.
const OURS: [&str; 3] = ["HOME", "PATH", "SHELL"];

/// What begins with these is for the dynamic loader: ld.so(8).
const LOADERS: [&str; 1] = ["LD_"];

/// What makes others of the host's programs run or load what it names: those that sudo takes away by default
/// (sudoers(5), "Command environment"; `sudo -V` lists them), those that glibc's loader does of set-user-ID programs,
/// and what less(1) and man(1) run. There is no end to such variables; these work on nearly any program.
const DANGEROUS: [&str; 45] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_TRACE",
    "MANPAGER",
    "NIS_PATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NULLCMD",
    "PAGER",
    "PATH_LOCALE",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLIO_DEBUG",
    "PERLLIB",
    "PS4",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "READNULLCMD",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "TERMCAP",
    "TERMINFO",
    "TERMINFO_DIRS",
    "ZDOTDIR",
];

/// The target's environment without what would make a program of the host run something else, and with `ours` for
/// what has to be the host's.
pub fn for_program_of_host(
    theirs: Vec<(OsString, OsString)>,
    ours: impl Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    let harmless = theirs.into_iter().filter(|(name, value)| !decides(name, value));
    let kept = OURS.into_iter().filter_map(|name| Some((name.into(), ours(name)?)));
    harmless.chain(kept).collect()
}

/// Whether the variable could decide what the program runs. Bash takes functions from the environment, too.
fn decides(name: &OsStr, value: &OsStr) -> bool {
    OURS.iter().chain(&DANGEROUS).any(|other| name == *other)
        || LOADERS.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
        || name.as_bytes().starts_with(b"BASH_FUNC_")
        || value.as_bytes().starts_with(b"()")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_what_is_run_is_ours_or_left_out() {
        let entry = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let theirs = vec![
            entry("COLOUR", "blue"),
            entry("PATH", "/proc/1/root"),
            entry("LD_PRELOAD", "/proc/1/root/x.so"),
            entry("LD_", ""),
            entry("SHELL", "/proc/1/root/sh"),
            entry("HOME", "/proc/1/root"),
            entry("BASH_FUNC_ls%%", "() { evil; }"),
            entry("x", "() { :; }; evil"),
            entry("ENV", "/proc/1/root/rc"),
            entry("LDAP", "kept"),
        ];
        let ours = |name: &str| (name == "PATH").then(|| "/bin".into());
        let given = for_program_of_host(theirs, ours);
        assert_eq!(given, [entry("COLOUR", "blue"), entry("LDAP", "kept"), entry("PATH", "/bin")]);
    }
}
