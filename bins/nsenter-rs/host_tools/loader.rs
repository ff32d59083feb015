//! The host's dynamic loader, made to load from the host's tree and from nowhere else.
//!
//! A loader takes some paths as they are: `/etc/ld.so.preload`, `/etc/ld.so.cache`, its built-in directories. In a
//! container's root those are the container's, and a library from there would run with the caller's power. No
//! option turns all of them off, and what is mounted over a file can be removed by a process that may rename the file.
//! So it is a copy of the loader that runs, in which these paths are cut off at their beginning, and lead nowhere.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::c_library;
use super::program::{Program, Word};
use super::root::Root;

/// Files that the loader of glibc reads wherever it runs, rtld.c.
const GLIBC_READS: [&[u8]; 3] = [b"/etc/ld.so.preload", b"/etc/ld.so.cache", b"/etc/suid-debug"];
/// What musl's takes where there is no `/etc/ld-musl-ARCH.path`, ldso/dynlink.c.
const MUSL_SEARCHES: &[u8] = b"/lib:/usr/local/lib:/usr/lib";

/// What is known of one loader of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loader {
    /// Its canonical path.
    file: PathBuf,
    musl: bool,
    /// glibc 2.33 lets us say what `argv[0]` is to be.
    takes_argv0: bool,
    /// Where the host's libraries are: ld.so.conf(5), and its built-in directories; canonical.
    directories: Vec<PathBuf>,
}

impl Loader {
    /// Reads the loader at `file`, and makes the copy. It will look into the directories `first` before all others.
    pub fn read(root: &Root, file: &Path, first: &[PathBuf]) -> io::Result<(Self, Vec<u8>)> {
        let file = root.canonical(file)?;
        let mut copy = root.read(&file)?;
        let musl = file.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-musl-"));
        let built_in = if musl { disarm_musl(&mut copy) } else { disarm_glibc(&mut copy) };
        if musl {
            // It is the C library too.
            c_library::redirect(&mut copy);
        }
        let configured = if musl { musl_path(root, &file) } else { ld_so_conf(root) };
        let mut directories: Vec<PathBuf> = Vec::new();
        for directory in first.iter().cloned().chain(configured).chain(built_in) {
            if let Ok(directory) = root.canonical(&directory)
                && !directories.contains(&directory)
            {
                directories.push(directory);
            }
        }
        let takes_argv0 = musl || memchr_find(&copy, b"--argv0");
        Ok((Loader { file, musl, takes_argv0, directories }, copy))
    }

    /// Where the host's libraries are.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Whether this is the loader at `file`, a canonical path.
    pub fn is(&self, file: &Path) -> bool {
        self.file == file
    }

    /// The loader's arguments for `program`, with the host's tree at `tree`, and libraries in the directory `first`
    /// that go before the host's; the program's own arguments come after them.
    pub fn words(
        &self,
        root: &Root,
        program: &Program,
        tree: &dyn Fn(&Path) -> PathBuf,
        first: Option<&Path>,
    ) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if self.takes_argv0 {
            words.extend(["--argv0".into(), program.zeroth.clone()]);
        }
        if !self.musl {
            // An empty name is the program's; its own paths are in ours, below the tree.
            words.extend(["--inhibit-cache", "--inhibit-rpath", ""].map(OsString::from));
        }
        words.extend(["--library-path".into(), self.library_path(root, program, tree, first)]);
        words.push(tree(&program.file).into_os_string());
        words
    }

    fn library_path(
        &self,
        root: &Root,
        program: &Program,
        tree: &dyn Fn(&Path) -> PathBuf,
        first: Option<&Path>,
    ) -> OsString {
        let own = |list: &[u8]| {
            let directories = own_directories(root, list, &program.file).into_iter();
            let lead_on = |directory: &PathBuf| !leads_out(root, directory);
            // What is one of the host's anyway has its links in `first`.
            directories.filter(|own| !self.directories.contains(own)).filter(lead_on).collect::<Vec<_>>()
        };
        let in_tree = |directory: &PathBuf| tree(directory).into_os_string();
        let (rpath, runpath) = (own(&program.elf.rpath), own(&program.elf.runpath));
        let first = first.map(|first| first.as_os_str().to_owned());
        let host = self.directories.iter().chain(&runpath).map(in_tree);
        let all: Vec<_> = rpath.iter().map(in_tree).chain(first).chain(host).collect();
        all.join(OsStr::new(":"))
    }
}

/// Whether a library in a program's own directory is a link that is absolute, and so would be the container's.
fn leads_out(root: &Root, directory: &Path) -> bool {
    let mut libraries = root.names(directory).into_iter().filter(|name| is_library(name));
    libraries.any(|name| root.leads_astray(&directory.join(name)).is_some())
}

/// Whether a file has the name of a shared library: `libX.so`, `libX.so.1`.
pub fn is_library(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".so") || memchr_find(name, b".so.")
}

/// The directories of libraries that the program brings with it.
pub fn own(root: &Root, program: &Program) -> Vec<PathBuf> {
    let lists = [&program.elf.rpath, &program.elf.runpath].into_iter();
    lists.flat_map(|list| own_directories(root, list, &program.file)).collect()
}

/// The directories of a DT_RPATH, canonical. `$LIB` and `$PLATFORM` are the loader's secret; few have them.
fn own_directories(root: &Root, list: &[u8], program: &Path) -> Vec<PathBuf> {
    let origin = program.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
    let expand = |entry: &[u8]| {
        let rest = entry.strip_prefix(b"$ORIGIN").or(entry.strip_prefix(b"${ORIGIN}"));
        let path = rest.map_or(entry.to_vec(), |rest| [origin, rest].concat());
        let path = PathBuf::from(OsString::from_vec(path));
        (path.is_absolute() && !path.as_os_str().as_bytes().contains(&b'$')).then_some(path)
    };
    let entries = list.split(|byte| *byte == b':').filter_map(expand);
    entries.filter_map(|directory| root.canonical(&directory).ok()).collect()
}

/// The directories of ld.so.conf(5).
pub fn ld_so_conf(root: &Root) -> Vec<PathBuf> {
    configured_by(root, Path::new("/etc/ld.so.conf"), 4)
}

/// A directory a line, and other files to read.
fn configured_by(root: &Root, file: &Path, depth: usize) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let text = root.read(file).unwrap_or_default();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        match line.strip_prefix(b"include").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace)) {
            Some(pattern) if depth > 0 => {
                let pattern = Path::new("/etc").join(path(pattern.trim_ascii()));
                let files = matching(root, &pattern).into_iter();
                directories.extend(files.flat_map(|file| configured_by(root, &file, depth - 1)));
            }
            None if line.starts_with(b"/") => directories.push(path(line)),
            _ => {}
        }
    }
    directories
}

/// The files that a pattern with one star in its last part means: what every distribution has there is
/// `/etc/ld.so.conf.d/*.conf`.
fn matching(root: &Root, pattern: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else { return Vec::new() };
    let Some(star) = name.as_bytes().iter().position(|byte| *byte == b'*') else {
        return vec![pattern.to_owned()];
    };
    let (start, end) = (&name.as_bytes()[..star], &name.as_bytes()[star + 1..]);
    let fits = |name: &OsString| {
        let name = name.as_bytes();
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    let mut names: Vec<_> = root.names(directory).into_iter().filter(fits).collect();
    names.sort();
    names.into_iter().map(|name| directory.join(name)).collect()
}

/// `/etc/ld-musl-ARCH.path`: directories set apart by colons or line feeds.
fn musl_path(root: &Root, loader: &Path) -> Vec<PathBuf> {
    let Some(stem) = loader.file_stem().and_then(|name| Path::new(name).file_stem()) else {
        return Vec::new();
    };
    let mut file = Path::new("/etc").join(stem).into_os_string();
    file.push(".path");
    let text = root.read(Path::new(&file)).unwrap_or_default();
    let entries = text.split(|byte| matches!(byte, b':' | b'\n')).filter(|entry| entry.starts_with(b"/"));
    entries.map(|entry| PathBuf::from(OsString::from_vec(entry.to_vec()))).collect()
}

/// Cuts off the paths in the loader's text, and gives the directories among them.
fn disarm_glibc(copy: &mut [u8]) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let mut at = 0;
    while let Some(start) = copy[at..].windows(2).position(|pair| pair == b"\0/").map(|found| at + found + 1)
    {
        let length = copy[start..].iter().position(|byte| *byte == 0).unwrap_or(copy.len() - start);
        let text = &copy[start..start + length];
        // system_dirs in dl-load.c: only directories end with a slash.
        let is_directory = text.ends_with(b"/") && text.len() > 1 && text.iter().all(u8::is_ascii_graphic);
        if is_directory {
            directories.push(PathBuf::from(OsString::from_vec(text.to_vec())));
        }
        if GLIBC_READS.contains(&text) {
            copy[start] = 0;
        } else if is_directory {
            // Each has to begin with a slash, dl-load.c asserts. The root itself is a directory, and no library.
            copy[start + 1] = 0;
        }
        at = start + length;
    }
    directories
}

fn disarm_musl(copy: &mut [u8]) -> Vec<PathBuf> {
    let Some(at) = copy.windows(MUSL_SEARCHES.len()).position(|text| text == MUSL_SEARCHES) else {
        return Vec::new();
    };
    copy[at] = 0;
    std::env::split_paths(OsStr::from_bytes(MUSL_SEARCHES)).collect()
}

fn memchr_find(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|found| found == word)
}

/// The words of a whole command line: the loader's, or none where the program needs no loader, the script's, and
/// the user's.
pub fn command_line(
    loader: Option<Vec<OsString>>,
    program: &Program,
    arguments: &[OsString],
    tree: &dyn Fn(&Path) -> PathBuf,
) -> Vec<OsString> {
    let before = program.before.iter().map(|word| match word {
        Word::Plain(word) => word.clone(),
        Word::Host(file) => tree(file).into_os_string(),
    });
    let zeroth = std::iter::once(program.zeroth.clone());
    zeroth.chain(loader.unwrap_or_default()).chain(before).chain(arguments.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_a_loader_knows_no_path_of_its_own() {
        let mut text =
            b"code\0/etc/ld.so.preload\0/lib/x86_64-linux-gnu/\0/usr/lib/\0/etc\0a/b/\0/\0".to_vec();
        let directories = disarm_glibc(&mut text);
        assert_eq!(directories, [Path::new("/lib/x86_64-linux-gnu/"), Path::new("/usr/lib/")]);
        assert_eq!(text, b"code\0\0etc/ld.so.preload\0/\0ib/x86_64-linux-gnu/\0/\0sr/lib/\0/etc\0a/b/\0/\0");
    }

    #[test]
    fn musls_is_cut_off_too() {
        let mut text = b"x\0/lib:/usr/local/lib:/usr/lib\0/etc/passwd".to_vec();
        assert_eq!(disarm_musl(&mut text).len(), 3);
        assert_eq!(text, b"x\0\0lib:/usr/local/lib:/usr/lib\0/etc/passwd");
    }

    #[test]
    fn a_programs_own_directories_are_taken_from_the_tree() {
        let root = Root::open(Path::new("/")).unwrap();
        let found =
            own_directories(&root, b"$ORIGIN/../lib:${ORIGIN}:$LIB:lib:/etc", Path::new("/usr/bin/x"));
        assert_eq!(found.first().map(PathBuf::as_path), Some(Path::new("/usr/lib")));
        assert_eq!(found.last().map(PathBuf::as_path), Some(Path::new("/etc")));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn the_hosts_own_loader_is_understood() {
        let root = Root::open(Path::new("/")).unwrap();
        let shell = Program::find(&root, OsStr::new("sh"), OsStr::new("/bin")).unwrap();
        let Some(interpreter) = &shell.elf.interpreter else { return };
        let (loader, copy) = Loader::read(&root, interpreter, &[]).unwrap();
        assert!(!memchr_find(&copy, b"\0/etc/ld.so.preload"));
        assert!(
            loader
                .directories
                .iter()
                .any(|directory| directory.starts_with("/usr/lib") || directory.starts_with("/lib"))
        );
        let tree = |file: &Path| Path::new("/host").join(super::super::root::below(file));
        let words = loader.words(&root, &shell, &tree, Some(Path::new("/host/first")));
        assert_eq!(words.last(), Some(&tree(&shell.file).into_os_string()));
        let path = words[words.len() - 2].to_str().unwrap();
        assert!(path.split(':').all(|directory| directory.starts_with("/host/")), "{path}");
    }
}
