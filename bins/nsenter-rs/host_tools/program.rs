//! Which file of the host is meant by a program's name, and what has to be executed for it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::elf::Elf;
use super::root::Root;

/// As deep as the kernel follows interpreters that are scripts themselves, execve(2).
const DEEPEST: usize = 5;
/// As much of a `#!` line as the kernel reads (BINPRM_BUF_SIZE).
const FIRST_LINE: u64 = 256;

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Plain(OsString),
    /// The name of a file in the host's tree, wherever that will be.
    Host(PathBuf),
}

/// A program of the host, ready to be executed.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// The ELF file: the program itself or, where that is a script, its interpreter. Canonical.
    pub file: PathBuf,
    pub elf: Elf,
    /// What the process is called.
    pub name: OsString,
    /// `argv[0]`.
    pub zeroth: OsString,
    /// What a script puts before the arguments: the interpreter's own argument, and the script.
    pub before: Vec<Word>,
}

impl Program {
    /// The program that `name` means on `path`, a list as in $PATH, in the tree `root`.
    ///
    /// # Errors
    /// ENOENT when there is none; EACCES when there is one that cannot be executed, and whatever execve(2)
    /// would say of it.
    pub fn find(root: &Root, name: &OsStr, path: &OsStr) -> io::Result<Self> {
        let file = look_up(root, name, path)?;
        let called = Path::new(name).file_name().unwrap_or(name).to_owned();
        Program::at(root, file, called, name.to_owned(), DEEPEST)
    }

    /// The files of the host that it is made of: the program and, where that runs one, the script.
    pub fn files(&self) -> Vec<PathBuf> {
        let scripts = self.before.iter().filter_map(|word| match word {
            Word::Host(file) => Some(file),
            Word::Plain(_) => None,
        });
        [&self.file].into_iter().chain(scripts).cloned().collect()
    }

    fn at(root: &Root, file: PathBuf, name: OsString, zeroth: OsString, depth: usize) -> io::Result<Self> {
        let opened = root.file(&file)?;
        let mut start = Vec::new();
        (&opened).take(FIRST_LINE).read_to_end(&mut start)?;
        let Some((interpreter, argument)) = shebang(&start) else {
            if !Elf::is_at(&start) {
                return Err(Errno::NOEXEC.into());
            }
            let zeroth = own_name(&file, zeroth);
            return Ok(Program { elf: Elf::read(&opened)?, file, name, zeroth, before: Vec::new() });
        };
        if depth == 0 {
            return Err(Errno::LOOP.into());
        }
        let called = interpreter.as_os_str().to_owned();
        let interpreter = look_up(root, &called, OsStr::new(""))?;
        let mut program = Program::at(root, interpreter, name, called, depth - 1)?;
        program.before.extend(argument.map(Word::Plain));
        program.before.push(Word::Host(file));
        Ok(program)
    }
}

/// Python starts itself again by the path in `argv[0]`, which would be the container's; a bare name it looks for
/// on $PATH, where it is the host's.
fn own_name(file: &Path, zeroth: OsString) -> OsString {
    let is_python = file.file_name().is_some_and(|name| name.as_bytes().starts_with(b"python"));
    match Path::new(&zeroth).file_name() {
        Some(name) if is_python => name.to_owned(),
        _ => zeroth,
    }
}

/// The canonical path of an executable file.
fn look_up(root: &Root, name: &OsStr, path: &OsStr) -> io::Result<PathBuf> {
    let executable = |candidate: &Path| {
        let file = root.canonical(candidate)?;
        root.executable(&file).map(|()| file)
    };
    if name.as_bytes().contains(&b'/') {
        return executable(&std::path::absolute(name)?);
    }
    let mut refused = None;
    for directory in directories(path) {
        match executable(&directory.join(name)) {
            Ok(file) => return Ok(file),
            // As execvp(3): one that is forbidden counts only where no other is found.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused = Some(error),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or(Errno::NOENT.into()))
}

/// The directories of a $PATH that mean the same everywhere: the absolute ones.
pub fn directories(path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path).filter(|directory| directory.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// Interpreter and argument of a script's first line, execve(2): one argument, with all the blanks inside it.
fn shebang(start: &[u8]) -> Option<(PathBuf, Option<OsString>)> {
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let mut words = line.splitn(2, |byte| matches!(byte, b' ' | b'\t'));
    let interpreter = words.next().filter(|word| !word.is_empty())?;
    let argument = words.next().map(<[u8]>::trim_ascii).filter(|word| !word.is_empty());
    let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((PathBuf::from(word(interpreter)), argument.map(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_first_line_is_read_as_the_kernel_reads_it() {
        let read = |line: &str| {
            let (interpreter, argument) = shebang(line.as_bytes())?;
            Some((interpreter.display().to_string(), argument.map(|word| word.into_string().unwrap())))
        };
        let two = |a: &str, b: Option<&str>| Some((a.to_owned(), b.map(str::to_owned)));
        assert_eq!(read("#!/bin/sh\necho"), two("/bin/sh", None));
        assert_eq!(read("#! /usr/bin/env  python3 -u \n"), two("/usr/bin/env", Some("python3 -u")));
        assert_eq!(read("#!/bin/sh"), two("/bin/sh", None));
        assert_eq!(read("#!\n"), None);
        assert_eq!(read("\x7fELF"), None);
    }

    #[test]
    fn only_absolute_directories_are_searched() {
        let found: Vec<_> = directories(OsStr::new("/bin::.:bin:/usr/bin")).collect();
        assert_eq!(found, [Path::new("/bin"), Path::new("/usr/bin")]);
    }

    #[test]
    fn python_is_not_told_a_path_that_is_not_there() {
        let named =
            |file: &str, zeroth: &str| own_name(Path::new(file), zeroth.into()).into_string().unwrap();
        assert_eq!(named("/usr/bin/python3.11", "/usr/bin/python3"), "python3");
        assert_eq!(named("/usr/bin/dash", "/bin/sh"), "/bin/sh");
    }

    #[test]
    fn a_program_is_found_as_a_shell_would() {
        let root = Root::open(Path::new("/")).unwrap();
        let find = |name: &str| Program::find(&root, OsStr::new(name), OsStr::new("/nowhere:/usr/bin:/bin"));
        let shell = find("sh").unwrap();
        assert_eq!(shell.file, std::fs::canonicalize("/bin/sh").unwrap());
        assert_eq!((shell.name, shell.zeroth), ("sh".into(), "sh".into()));
        assert_eq!(find("/bin/sh").unwrap().name, "sh");
        assert_eq!(find("no-such-program").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(find("/etc/passwd").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(find("/etc").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
