//! The one execve(2) that becomes of a program of the host: which file, which words, which environment.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use common::sys;
use nix::fcntl::AtFlags;
use nix::sys::signal::Signal;

use super::furnish::{ALONE, Contents, LIBRARIES, LOADER, NAMES, static_copy};
use super::graft::GraftedKit;
use super::hold::HostTreePath;
use super::loader::{Loader, command_line};
use super::program::{Program, directories};
use super::root::{Root, below};
use super::surroundings::{Environment, HostPaths, leave_behind};
use crate::memory::executable_file;

/// What a child could run only so that the container may look into it.
const DUMPABLE: &str = "this program cannot be protected from the container: it is static and large, or has a loader of its own; start it with nsenter-rs itself";

/// Everything that execve(2) wants.
#[derive(Debug)]
pub struct Execution {
    file: ExecutedFile,
    words: Vec<OsString>,
    environment: Environment,
}

#[derive(Debug)]
enum ExecutedFile {
    At(PathBuf),
    Open(OwnedFd),
}

impl Execution {
    /// The first program, where the host's tree was grafted.
    ///
    /// # Errors
    /// When the loader cannot be read.
    pub fn grafted(
        root: &Root,
        program: Program,
        arguments: &[OsString],
        mut environment: Environment,
        grafted: &GraftedKit,
    ) -> io::Result<Self> {
        let tree = |file: &Path| grafted.tree().join(below(file));
        let libraries = grafted.contents.loader.as_ref().map(Loader::directories).unwrap_or_default();
        HostPaths { root, tree: &tree, libraries, kit: Some(&grafted.base) }.for_all(&mut environment);
        leave_behind(&mut environment);
        environment.insert("HOST_ROOT".into(), grafted.tree().into_os_string());
        if grafted.contents.for_children {
            let mut path = grafted.programs().into_os_string();
            if let Some(others) = environment.get(OsStr::new("PATH")).filter(|path| !path.is_empty()) {
                path.push(":");
                path.push(others);
            }
            environment.insert("PATH".into(), path);
        }
        if grafted.alone {
            let tree = |file: &Path| grafted.tree().join(below(file));
            let named = grafted.base.join("alone/bin").join(&program.name);
            let file = ExecutedFile::At(if named.exists() { named } else { grafted.base.join(ALONE) });
            return Ok(Execution {
                file,
                words: command_line(None, &program, arguments, &tree),
                environment,
            });
        }
        Execution::of_child(root, program, arguments, environment, &grafted.base, &grafted.contents)
    }

    /// A child of one, which has its environment already. `base` is where the kit is.
    ///
    /// # Errors
    /// When its loader is none that the kit has, and cannot be read.
    pub fn of_child(
        root: &Root,
        mut program: Program,
        arguments: &[OsString],
        mut environment: Environment,
        base: &Path,
        contents: &Contents,
    ) -> io::Result<Self> {
        let tree = |file: &Path| base.join("host").join(below(file));
        let libraries = contents.loader.as_ref().map(Loader::directories).unwrap_or_default();
        let view = HostPaths { root, tree: &tree, libraries, kit: Some(base) };
        view.for_program(&program, &mut environment);
        program.before.splice(0..0, view.options(&program));
        let Some(interpreter) = &program.elf.interpreter else {
            let words = command_line(None, &program, arguments, &tree);
            let copy = contents.statics.iter().position(|file| *file == program.file);
            let file = match copy {
                Some(number) => base.join(static_copy(number, &program.file)),
                None if contents.fenced => return Err(io::Error::other(DUMPABLE)),
                None => tree(&program.file),
            };
            return Ok(Execution { file: ExecutedFile::At(file), words, environment });
        };
        let of_kit = contents.loader.as_ref();
        let canonical = root.canonical(interpreter);
        let other = canonical.ok().and_then(|file| contents.others.iter().position(|other| other.is(&file)));
        let (file, loader) =
            match of_kit.filter(|kit| root.canonical(interpreter).is_ok_and(|file| kit.is(&file))) {
                Some(loader) => {
                    let named = base.join(NAMES).join(&program.name);
                    let plain = base.join(LOADER);
                    (ExecutedFile::At(if named.exists() { named } else { plain }), loader.clone())
                }
                None => match other {
                    Some(number) => {
                        let file = base.join("loader").join(number.to_string());
                        (ExecutedFile::At(file), contents.others[number].clone())
                    }
                    None if contents.fenced => return Err(io::Error::other(DUMPABLE)),
                    None => {
                        let (loader, copy) = Loader::read(root, interpreter, &contents.libraries)?;
                        (ExecutedFile::Open(in_memory(&program, &copy)?), loader)
                    }
                },
            };
        let loader = loader.words(root, &program, &tree, Some(&base.join(LIBRARIES)));
        let words = command_line(Some(loader), &program, arguments, &tree);
        Ok(Execution { file, words, environment })
    }

    /// The program, where the host's root is held open.
    ///
    /// # Errors
    /// When its loader cannot be read.
    pub fn held(
        root: &Root,
        mut program: Program,
        arguments: &[OsString],
        mut environment: Environment,
        held: &HostTreePath,
    ) -> io::Result<Self> {
        let tree = |file: &Path| held.path(file);
        let interpreter = program.elf.interpreter.clone();
        let libraries = environment.get(OsStr::new("LD_LIBRARY_PATH")).cloned().unwrap_or_default();
        let libraries: Vec<_> =
            directories(&libraries).filter_map(|path| root.canonical(&path).ok()).collect();
        let loader = interpreter.map(|file| Loader::read(root, &file, &libraries)).transpose()?;
        let libraries = loader.as_ref().map(|(loader, _)| loader.directories()).unwrap_or_default();
        // Relative paths are no use to anybody: glibc for one asserts that there is a working directory.
        if let Some(host_root) = &held.tree {
            let view = HostPaths { root, tree: &tree, libraries, kit: None };
            view.for_all(&mut environment);
            view.for_program(&program, &mut environment);
            program.before.splice(0..0, view.options(&program));
            environment.insert("HOST_ROOT".into(), host_root.clone().into_os_string());
        }
        leave_behind(&mut environment);
        let Some((loader, copy)) = loader else {
            let words = command_line(None, &program, arguments, &tree);
            return Ok(Execution { file: ExecutedFile::At(tree(&program.file)), words, environment });
        };
        let file = ExecutedFile::Open(in_memory(&program, &copy)?);
        let loader = loader.words(root, &program, &tree, None);
        let words = command_line(Some(loader), &program, arguments, &tree);
        Ok(Execution { file, words, environment })
    }

    /// Becomes the program; what comes back is why not.
    pub fn run(self) -> io::Error {
        match self.try_run() {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn try_run(self) -> io::Result<std::convert::Infallible> {
        let words = self.words.into_iter().map(c_string).collect::<io::Result<Vec<_>>>()?;
        let pair = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            c_string(name)
        };
        let environment = self.environment.into_iter().map(pair).collect::<io::Result<Vec<_>>>()?;
        // Rust programs start with SIGPIPE ignored, which every program we run would inherit.
        sys::default_action(Signal::SIGPIPE)?;
        match self.file {
            ExecutedFile::At(path) => {
                Ok(nix::unistd::execve(&c_string(path.into_os_string())?, &words, &environment)?)
            }
            ExecutedFile::Open(file) => {
                let fd = file.as_fd();
                Ok(nix::unistd::execveat(fd, c"", &words, &environment, AtFlags::AT_EMPTY_PATH)?)
            }
        }
    }
}

/// A file that holds `bytes` and has the program's name.
fn in_memory(program: &Program, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = executable_file(&program.name)?;
    file.write_all(bytes)?;
    Ok(file.into())
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.into_vec())?)
}
