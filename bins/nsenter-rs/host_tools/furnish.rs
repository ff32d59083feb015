//! What is in a kit.
//!
//! ```text
//! host/               where the host's tree is mounted: directories for its parts, and small files and links of it
//! program             a copy of nsenter-rs itself, if a root without libraries can run it
//! bin/NAME            -> ../program, for each program on the caller's $PATH
//! bin/.loader         the copy of the loader, and so `/proc/self/exe` of every program: what is beside that on the
//!                     host is looked for here, and is here
//! names/bin/          empty: bin/ is mounted here again, and
//! names/program       -> ../bin/.loader: in names/bin, NAME is the loader; that is how the kernel calls a process
//!                     by its program's name, and not by the loader's
//! loader/N            copies of other loaders that programs on $PATH have
//! static/N/NAME       copies of static programs on $PATH
//! alone/program       empty: a static program that is no child is mounted here, of any size
//! alone/bin/          as names/bin/
//! lib/                libraries that go before the host's: links to those to which the host's own links lead
//!                     through its `/`, which is the container's here; and the C library (`c_library`)
//! empty/              mounted over what is not to be seen of the host
//! nsswitch.conf, protocols, services, passwd, group    where the paths of `c_library` lead
//! node.js             what node runs first, for it starts itself by `/proc/self/exe`
//! host-tools.json     what the programs have to know
//! ```

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::c_library;
use super::elf::Elf;
use super::loader::{Loader, is_library};
use super::parts::Parts;
use super::root::{Root, below};
use super::special::Special;

/// What the programs have to know; where it is, there is a kit.
pub const CONTENTS: &str = "host-tools.json";
/// The copy of the loader.
pub const LOADER: &str = "bin/.loader";
/// The mode of what may be executed and not read.
pub const UNREADABLE: u32 = 0o711;
/// The file that a static program by itself is mounted over.
pub const ALONE: &str = "alone/program";
/// Where each program's name means the loader.
pub const NAMES: &str = "names/bin";
/// Where libraries are that go before the host's.
pub const LIBRARIES: &str = "lib";

/// Users, groups and names come from files and from DNS, and from no module that the container names: nsswitch.conf(5).
const NSSWITCH: &[u8] = b"\
passwd: files
group: files
shadow: files
gshadow: files
initgroups: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
netgroup: files
aliases: files
publickey: files
";

/// Users and groups for a container without any; its root goes by no other name.
const USERS: [(&str, &[u8]); 2] = [
    ("passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("group", b"root:x:0:\nnogroup:x:65534:\n"),
];

/// Tables that the host's programs have from the host.
const TABLES: [&str; 2] = ["protocols", "services"];

/// process.execPath is documented to be writable by nobody, and is: what starts node by it gets the host's again.
const NODE: &[u8] = b"process.execPath = require('path').join(__dirname, 'bin', 'node');\n";

/// Directories of programs that are no commands, but are started by a command by their names: git's. After all of $PATH.
const OF_ONE_PROGRAM: [&str; 5] = [
    "/usr/local/libexec/git-core",
    "/usr/local/lib/git-core",
    "/usr/lib/git-core",
    "/usr/libexec/git-core",
    "/usr/lib64/git-core",
];

/// What the programs in a container have to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    /// The host's directories in which programs are looked up.
    pub path: Vec<PathBuf>,
    /// Those of the caller's $LD_LIBRARY_PATH.
    pub libraries: Vec<PathBuf>,
    /// The loader that is there; none on a host without any.
    pub loader: Option<Loader>,
    /// Those that other programs have, in the order of their files.
    pub others: Vec<Loader>,
    /// The static programs of which there is a copy, in the same order.
    pub statics: Vec<PathBuf>,
    /// Whether nothing else may be executed, for it would be dumpable.
    pub fenced: bool,
    /// Whether children find the host's programs.
    pub for_children: bool,
}

/// What a kit is made of.
pub struct KitSpec<'a> {
    pub root: &'a Root,
    pub path: &'a [PathBuf],
    pub libraries: &'a [PathBuf],
    pub interpreter: Option<&'a Path>,
    /// What is shown of the host, where that is not all.
    pub parts: Option<&'a Parts>,
}

/// Fills an empty directory.
///
/// # Errors
/// What the kernel says.
pub fn furnish(at: BorrowedFd<'_>, making: &KitSpec<'_>) -> io::Result<Contents> {
    let KitSpec { root, path, libraries, interpreter, parts } = making;
    // Whatever the caller's umask: in a user namespace we are `other` for their modes.
    fs::chmodat(at, ".", Mode::from_raw_mode(0o755), AtFlags::empty())?;
    for directory in ["host", "bin", NAMES, "loader", "static", "alone/bin", LIBRARIES, "empty"] {
        directory_at(at, Path::new(directory))?;
    }
    write(at, ALONE, b"", 0o644)?;
    let for_children = copy_ourselves(at)?;
    fs::symlinkat("../bin/.loader", at, "names/program")?;
    let path = with_private_directories(root, path);
    link_programs(at, root, &path)?;
    let loader = interpreter.map(|interpreter| Loader::read(root, interpreter, libraries)).transpose()?;
    if let Some((loader, copy)) = &loader {
        write(at, LOADER, copy, UNREADABLE)?;
        link_libraries(at, root, loader.directories())?;
    }
    let loader = loader.map(|(loader, _)| loader);
    let special = match parts {
        Some(_) => Special::on(root, &path, loader.as_ref()),
        None => Special::default(),
    };
    let mut others = Vec::new();
    for (number, file) in special.loaders.iter().enumerate() {
        let (other, copy) = Loader::read(root, file, libraries)?;
        write(at, format!("loader/{number}"), &copy, UNREADABLE)?;
        others.push(other);
    }
    for (number, file) in special.statics.iter().enumerate() {
        let copy = static_copy(number, file);
        directory_at(at, copy.parent().unwrap_or(&copy))?;
        write(at, copy, &root.read(file)?, UNREADABLE)?;
    }
    if let Some(parts) = parts {
        lay_out(at, root, parts)?;
    }
    write(at, "nsswitch.conf", NSSWITCH, 0o644)?;
    for table in TABLES {
        let found = root.read(&Path::new("/etc").join(table)).unwrap_or_default();
        write(at, table, &found, 0o644)?;
    }
    for (name, lines) in USERS {
        write(at, name, lines, 0o644)?;
    }
    write(at, "node.js", NODE, 0o644)?;
    let contents = Contents {
        path,
        libraries: libraries.to_vec(),
        loader,
        others,
        statics: special.statics,
        fenced: parts.is_some(),
        for_children,
    };
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    let state = serde_json::to_vec(&contents)?;
    write(at, CONTENTS, &state, 0o644)?;
    Ok(contents)
}

/// Those of $PATH, then what one program has for itself.
fn with_private_directories(root: &Root, path: &[PathBuf]) -> Vec<PathBuf> {
    let private = OF_ONE_PROGRAM.iter().filter_map(|directory| root.canonical(Path::new(directory)).ok());
    let mut all = path.to_vec();
    for directory in private {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    all
}

/// A link for each name. What git's scripts read by its name, as others do gettext.sh, is no program, but the file
/// that it is on the host.
fn link_programs(at: BorrowedFd<'_>, root: &Root, path: &[PathBuf]) -> io::Result<()> {
    let mut seen = HashSet::<OsString>::from([OsString::from(".loader")]);
    for directory in path {
        let is_private = OF_ONE_PROGRAM.iter().any(|private| directory == Path::new(private));
        for name in root.names(directory) {
            if !seen.insert(name.clone()) {
                continue;
            }
            let may_be_read = is_private || name.as_bytes().ends_with(b".sh");
            let file = may_be_read.then(|| root.canonical(&directory.join(&name)).ok()).flatten();
            let read = file.filter(|file| !is_private || root.executable(file).is_err());
            let target = read.map_or("../program".into(), |file| Path::new("../host").join(below(&file)));
            fs::symlinkat(&target, at, Path::new("bin").join(&name))?;
        }
    }
    Ok(())
}

/// The first library of each name decides, as for the loader itself.
fn link_libraries(at: BorrowedFd<'_>, root: &Root, directories: &[PathBuf]) -> io::Result<()> {
    let mut seen = HashSet::<OsString>::new();
    for directory in directories {
        for name in root.names(directory) {
            if !is_library(&name) || !seen.insert(name.clone()) {
                continue;
            }
            let place = Path::new(LIBRARIES).join(&name);
            if c_library::NAMES.iter().any(|known| name == *known)
                && let Ok(mut copy) = root.read(&directory.join(&name))
                && c_library::redirect(&mut copy)
            {
                write(at, &place, &copy, 0o755)?;
            } else if let Some(file) = root.leads_astray(&directory.join(&name)) {
                fs::symlinkat(Path::new("../host").join(below(&file)), at, &place)?;
            }
        }
    }
    Ok(())
}

impl Contents {
    /// What is executed in there, by its path in the kit.
    pub fn executables(&self) -> Vec<PathBuf> {
        let statics = self.statics.iter().enumerate().map(|(number, file)| static_copy(number, file));
        let others = (0..self.others.len()).map(|number| Path::new("loader").join(number.to_string()));
        let ourselves = self.for_children.then(|| PathBuf::from("program"));
        let loader = self.loader.as_ref().map(|_| PathBuf::from(LOADER));
        ourselves.into_iter().chain(loader).chain(others).chain(statics).collect()
    }
}

/// Where the copy of a static program is.
pub fn static_copy(number: usize, file: &Path) -> PathBuf {
    Path::new("static").join(number.to_string()).join(file.file_name().unwrap_or_default())
}

/// Our own program, if a root without libraries can run it; whether it can.
fn copy_ourselves(at: BorrowedFd<'_>) -> io::Result<bool> {
    let mut ourselves = File::open("/proc/self/exe")?;
    let is_static = Elf::read(&ourselves)?.interpreter.is_none();
    if is_static {
        let mut bytes = Vec::new();
        ourselves.read_to_end(&mut bytes)?;
        write(at, "program", &bytes, UNREADABLE)?;
    }
    Ok(is_static)
}

/// What stands in the host's tree beside what is mounted there, and the directories to mount on.
fn lay_out(at: BorrowedFd<'_>, root: &Root, parts: &Parts) -> io::Result<()> {
    let place = |path: &Path| Path::new("host").join(below(path));
    let parent = |path: &Path| directory_at(at, path.parent().unwrap_or(path));
    for directory in &parts.directories {
        directory_at(at, &place(directory))?;
    }
    for (link, target) in &parts.links {
        parent(&place(link))?;
        fs::symlinkat(target, at, place(link))?;
    }
    for file in &parts.files {
        parent(&place(file))?;
        let mut bytes = Vec::new();
        root.file(file)?.read_to_end(&mut bytes)?;
        let mode = if root.stat(file)?.st_mode & 1 == 0 { 0o644 } else { 0o755 };
        write(at, place(file), &bytes, mode)?;
    }
    Ok(())
}

/// A directory with all above it, that every user may search.
fn directory_at(at: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    above.reverse();
    for directory in above {
        match fs::mkdirat(at, directory, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => {
                made?;
                fs::chmodat(at, directory, Mode::from_raw_mode(0o755), AtFlags::empty())?;
            }
        }
    }
    Ok(())
}

/// Makes a file in a kit.
///
/// # Errors
/// What the kernel says.
pub fn write(at: BorrowedFd<'_>, name: impl AsRef<Path>, bytes: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(at, name.as_ref(), flags, Mode::RUSR | Mode::WUSR)?;
    fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    File::from(file).write_all(bytes)
}
