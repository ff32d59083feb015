//! Which files the kernel starts host programs through: dynamic loaders and, where a program needs none, the program.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host_tools::{Elf, Program, Root, loaders};
use crate::unreadable::UnreadableError;

/// More words than people type.
const MOST_WORDS: usize = 100;
/// Of what a program consists that is no loader: as much is copied into memory for each run.
const LARGEST: u64 = 256 << 20;

/// The canonical paths of the host's loaders, of that of `program`, whatever it is, and of the programs without a loader
/// that the command line names: itself, and in what follows it, as in `sh -c 'busybox ping …'`.
///
/// # Errors
/// `Program` where it cannot be known through what the kernel starts it.
pub fn places(
    program: Option<&Path>,
    arguments: &[OsString],
    path: &OsStr,
) -> Result<BTreeSet<PathBuf>, UnreadableError> {
    let root = Root::open(Path::new("/")).map_err(UnreadableError::Copy)?;
    let mut places: BTreeSet<PathBuf> = loaders(&root).collect();
    places.retain(|place| root.executable(place).is_ok());
    if let Some(program) = program {
        places.extend(started_through(&root, program.as_os_str(), path)?);
    }
    let words = arguments.iter().flat_map(|argument| argument.as_bytes().split(|byte| !is_of_name(*byte)));
    for word in words.filter(|word| !word.is_empty()).take(MOST_WORDS) {
        let found = started_through(&root, OsStr::from_bytes(word), path);
        places.extend(found.ok().flatten());
    }
    Ok(places)
}

/// What words of a shell's line consist of, where they are plain.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._+-@:".contains(&byte) || byte >= 0x80
}

/// The file whose permissions decide. None where the program cannot be read, for then the kernel does what we want anyway.
fn started_through(root: &Root, name: &OsStr, path: &OsStr) -> Result<Option<PathBuf>, UnreadableError> {
    let unknown = |why: String| UnreadableError::Program(name.to_owned(), why);
    match Program::find(root, name, path) {
        Ok(Program { elf: Elf { interpreter: Some(loader), .. }, .. }) if loader.is_absolute() => {
            root.canonical(&loader).map(Some).map_err(|error| unknown(error.to_string()))
        }
        Ok(Program { elf: Elf { interpreter: Some(_), .. }, .. }) => {
            Err(unknown("its loader has no absolute path".to_owned()))
        }
        Ok(Program { file, .. }) => match root.stat(&file) {
            Ok(stat) if stat.st_size.cast_unsigned() > LARGEST => {
                Err(unknown("it is static, and too large for a copy in memory".to_owned()))
            }
            _ => Ok(Some(file)),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        // A script without a first line, which shells run themselves.
        Err(error) if error.kind() == io::ErrorKind::InvalidData && !has_other_formats() => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(unknown("it is neither ELF nor a script with #!".to_owned()))
        }
        Err(error) => Err(unknown(error.to_string())),
    }
}

/// Whether binfmt_misc has interpreters for files that the kernel does not know.
fn has_other_formats() -> bool {
    std::fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|entries| {
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names.into_iter().any(|name| name != "register" && name != "status")
    })
}

/// The file at one of the places, opened as the kernel will.
pub fn open(place: &Path) -> Result<File, UnreadableError> {
    File::open(place).map_err(UnreadableError::Copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/usr/bin:/bin";

    #[test]
    fn the_shells_loader_is_among_them_whether_it_is_named_or_not() {
        let shell = Path::new("/bin/sh");
        let Some(loader) = Elf::read(&File::open(shell).unwrap()).unwrap().interpreter else { return };
        let loader = std::fs::canonicalize(loader).unwrap();
        for program in [None, Some(shell)] {
            let found = places(program, &[], OsStr::new(PATH)).unwrap();
            assert!(found.contains(&loader), "{found:?}");
        }
    }

    #[test]
    fn a_program_without_a_loader_is_its_own_place_also_as_a_word_of_a_line() {
        let path = std::env::temp_dir().join(format!("netns-toolbox-static-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let file = path.join("victim");
        // An ELF header and no segment at all.
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[54] = 56;
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let file = std::fs::canonicalize(file).unwrap();
        let lines: [(Option<&Path>, &[&str]); 4] = [
            (Some(&file), &[]),
            (Some(Path::new("/bin/sh")), &["-c", "true;victim&"]),
            (Some(Path::new("/usr/bin/env")), &["A=b", "victim"]),
            (None, &[file.to_str().unwrap()]),
        ];
        for (program, arguments) in lines {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let found = places(program, &arguments, path.as_os_str()).unwrap();
            assert!(found.contains(&file), "{program:?} {arguments:?}: {found:?}");
        }
        assert!(!places(None, &[], path.as_os_str()).unwrap().contains(&file));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_is_not_there_is_said() {
        let missing = places(Some(Path::new("/nowhere/at-all")), &[], OsStr::new(PATH));
        assert!(matches!(missing, Err(UnreadableError::Program(..))), "{missing:?}");
    }
}
