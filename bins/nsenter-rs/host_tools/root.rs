//! A directory tree that is looked into as if it were `/`: no symbolic link leads out of it, and no `/proc` is
//! needed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// As many symbolic links as the kernel follows, path_resolution(7).
const MOST_LINKS: usize = 40;
/// More than any loader or configuration has.
const LARGEST: u64 = 16 << 20;

/// The host's root, or the copy of it that was grafted into a container.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the directory at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// The absolute path of `path` in here that has no symbolic link in it. It stays right when the tree is
    /// mounted somewhere else, where the absolute links in it would lead astray.
    pub fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(self.follow(path)?.0)
    }

    /// The same of a path that leads to another file, or to none, when the tree is mounted somewhere else, because a link
    /// on the way is absolute.
    pub fn leads_astray(&self, path: &Path) -> Option<PathBuf> {
        self.follow(path).ok().filter(|(_, astray)| *astray).map(|(file, _)| file)
    }

    /// The canonical path, and whether an absolute link was on the way.
    fn follow(&self, path: &Path) -> io::Result<(PathBuf, bool)> {
        let mut astray = false;
        let mut left: Vec<OsString> = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(&part);
            match fs::readlinkat(&self.0, below(&done), Vec::new()) {
                Ok(_) if links == MOST_LINKS => return Err(Errno::LOOP.into()),
                Ok(target) => {
                    links += 1;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    done.pop();
                    if target.is_absolute() {
                        astray = true;
                        done = PathBuf::from("/");
                    }
                    left.extend(parts(&target));
                }
                // What is there, and is no link.
                Err(Errno::INVAL) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok((done, astray))
    }

    /// Opens a file for reading.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(self.resolve(path, flags)?.into())
    }

    /// The whole of a file, if it is of a size that can be meant.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path)?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What stat(2) says of the file that `path` leads to.
    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(fs::fstat(self.resolve(path, OFlags::PATH | OFlags::CLOEXEC)?)?)
    }

    /// Whether there is something.
    pub fn has(&self, path: &Path) -> bool {
        self.stat(path).is_ok()
    }

    /// Fails as execve(2) would for what is no file, or not to be executed by us; `path` is canonical.
    pub fn executable(&self, path: &Path) -> io::Result<()> {
        let stat = fs::statat(&self.0, below(path), AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::ACCESS.into());
        }
        Ok(fs::accessat(&self.0, below(path), Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    /// The names in a directory; none where it cannot be read.
    pub fn names(&self, directory: &Path) -> Vec<OsString> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(entries) =
            self.resolve(directory, flags).map_err(io::Error::from).and_then(|fd| Ok(Dir::new(fd)?))
        else {
            return Vec::new();
        };
        let names =
            entries.filter_map(|entry| Some(OsString::from_vec(entry.ok()?.file_name().to_bytes().to_vec())));
        names.filter(|name| name != "." && name != "..").collect()
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        fs::openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }
}

impl From<OwnedFd> for Root {
    /// The directory that is open.
    fn from(directory: OwnedFd) -> Self {
        Root(directory)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path of some root as the *at() calls want it.
pub fn below(path: &Path) -> &Path {
    match path.strip_prefix("/") {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => path,
    }
}

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<_> = named.collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree of its own below the build's directory.
    fn tree(name: &str) -> (PathBuf, Root) {
        let dir = std::env::temp_dir().join(format!("netns-toolbox-root-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("usr/bin")).unwrap();
        std::fs::write(dir.join("usr/bin/ip"), "").unwrap();
        let root = Root::open(&dir).unwrap();
        (dir, root)
    }

    #[test]
    fn absolute_links_stay_inside() {
        let (dir, root) = tree("links");
        symlink("usr/bin", dir.join("bin")).unwrap();
        symlink("/bin/ip", dir.join("usr/bin/link")).unwrap();
        symlink("../../../../bin/ip", dir.join("usr/bin/up")).unwrap();
        symlink("round", dir.join("round")).unwrap();
        for name in ["/bin/ip", "/usr/bin/link", "/usr/bin/up", "/bin/../../bin/ip"] {
            assert_eq!(root.canonical(Path::new(name)).unwrap(), Path::new("/usr/bin/ip"), "{name}");
        }
        assert_eq!(root.canonical(Path::new("/round")).unwrap_err().raw_os_error(), Some(libc_eloop()));
        assert!(root.canonical(Path::new("/etc/passwd")).is_err());
        assert!(root.file(Path::new("/usr/bin/up")).is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }

    fn libc_eloop() -> i32 {
        Errno::LOOP.raw_os_error()
    }

    #[test]
    fn what_cannot_be_executed_is_told_from_what_can() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, root) = tree("executable");
        let file = Path::new("/usr/bin/ip");
        assert!(root.executable(file).is_err());
        std::fs::set_permissions(dir.join("usr/bin/ip"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(root.executable(file).is_ok());
        assert!(root.executable(Path::new("/usr/bin")).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
