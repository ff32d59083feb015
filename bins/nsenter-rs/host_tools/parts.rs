//! Which parts of the host's tree a program sees that may come to run code of a container: programs, and what they need.
//!
//! No list of secrets: what is shown is shown as any user sees it ([`crate::unreadable`]), and only what every user can
//! reach. The rest (`/home`, `/root`, `/var`, most of `/etc`, sockets below `/run`) is not there at all.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::root::Root;

/// Directories that are not part of the copy, with all below them.
pub const LEFT_BEHIND: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];

/// Where distributions have programs and libraries: hier(7), Nix, Guix. Most are links into the first.
const PROGRAMS: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What programs read that is in `/etc` on some distribution: data of theirs, that is the same on every machine or
/// says what the machine has. Nothing of users, and no key: those are not readable by all.
const CONFIGURATION: [&str; 34] = [
    "alternatives",
    "bpftrace",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "ethertypes",
    "gai.conf",
    "gdb",
    "inputrc",
    "iproute2",
    "java",
    "ld-musl-aarch64.path",
    "ld-musl-x86_64.path",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "magic.mime",
    "manpath.config",
    "mime.types",
    "netconfig",
    "networks",
    "perl",
    "pki",
    "protocols",
    "python3",
    "rpc",
    "services",
    "ssl",
    "static",
    "terminfo",
    "vim",
];

/// What is shown, by absolute paths without links in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// With all below.
    pub directories: Vec<PathBuf>,
    /// Symbolic links, and what is in them.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Copied.
    pub files: Vec<PathBuf>,
}

impl Parts {
    /// All of that, with the `directories` of the caller's own and those of the `programs`; a program below a directory
    /// that not every user may search comes alone.
    ///
    /// # Errors
    /// When a program is not readable by all: then it could not be run either.
    pub fn of(root: &Root, directories: &[PathBuf], programs: &[PathBuf]) -> io::Result<Self> {
        let mut parts = Parts::default();
        let configuration = CONFIGURATION.iter().map(|name| Path::new("/etc").join(name));
        for path in PROGRAMS.iter().map(PathBuf::from).chain(configuration) {
            parts.add(root, &path);
        }
        for directory in directories.iter().filter(|directory| is_for_programs(directory)) {
            parts.add_directory(directory);
        }
        for program in programs {
            let directory = program.parent().unwrap_or(program);
            if is_for_programs(directory) && is_reachable(directory) {
                parts.add_directory(directory);
            } else if !parts.has(program) {
                parts.files.push(program.clone());
            }
        }
        Ok(parts)
    }

    /// Whether it is in one of the directories.
    pub fn has(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// What is at `path`, if anything: a link with what it leads to.
    fn add(&mut self, root: &Root, path: &Path) {
        let Ok(found) = fs::symlink_metadata(path) else { return };
        if self.has(path) {
            return;
        }
        if found.is_symlink() {
            let Ok(target) = fs::read_link(path) else { return };
            self.links.push((path.to_owned(), target));
            if let Ok(end) = root.canonical(path)
                && !LEFT_BEHIND.iter().any(|left| end.starts_with(left))
            {
                self.add(root, &end);
            }
        } else if found.is_dir() {
            self.add_directory(path);
        } else if found.is_file() && is_readable(&found) && !self.files.iter().any(|file| file == path) {
            self.files.push(path.to_owned());
        }
    }

    fn add_directory(&mut self, directory: &Path) {
        if !self.has(directory) && is_reachable(directory) {
            self.directories.push(directory.to_owned());
        }
    }
}

/// Whether nothing but programs is to be expected there: not in the root itself, nor where sockets of daemons are.
fn is_for_programs(directory: &Path) -> bool {
    let holds = |left: &&str| Path::new(left).starts_with(directory);
    let is_of_the_kernel = ["/proc", "/sys", "/dev"].iter().any(|of| directory.starts_with(of));
    !is_of_the_kernel && !LEFT_BEHIND.iter().any(holds) && directory != Path::new("/etc")
}

/// Whether every user may go there.
pub fn is_reachable(directory: &Path) -> bool {
    directory
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|found| found.is_dir() && found.mode() & 1 != 0))
}

/// Whether every user may read it.
pub fn is_readable(found: &Metadata) -> bool {
    found.mode() & 4 != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn programs_are_shown_and_neither_users_nor_daemons() {
        let root = Root::open(Path::new("/")).unwrap();
        let parts =
            Parts::of(&root, &["/usr/bin".into(), "/".into(), "/run".into(), "/etc".into()], &[]).unwrap();
        assert!(parts.has(Path::new("/usr/bin/env")));
        for path in
            ["/", "/etc/shadow", "/etc/passwd", "/run", "/home", "/root", "/var/lib", "/proc", "/dev", "/tmp"]
        {
            assert!(!parts.has(Path::new(path)), "{path}");
        }
        let linked = |name: &str| fs::symlink_metadata(name).is_ok_and(|found| found.is_symlink());
        assert_eq!(parts.links.iter().any(|(link, _)| link == Path::new("/bin")), linked("/bin"));
    }

    #[test]
    fn what_not_every_user_may_reach_is_not_shown_but_for_the_program_itself() {
        let root = Root::open(Path::new("/")).unwrap();
        let top = std::env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(format!("netns-toolbox-parts-{}", std::process::id()));
        let closed = top.join("closed/bin");
        fs::create_dir_all(&closed).unwrap();
        for directory in [&top, &closed] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let program = closed.join("program");
        fs::write(&program, "").unwrap();
        let parts = |mode| {
            fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(mode)).unwrap();
            Parts::of(&root, std::slice::from_ref(&closed), std::slice::from_ref(&program)).unwrap()
        };
        let open = parts(0o755);
        assert!(open.has(&program) && open.files.iter().all(|file| *file != program));
        let private = parts(0o750);
        assert!(!private.has(&program) && private.files.contains(&program));
        fs::remove_dir_all(top).unwrap();
    }
}
