//! A script without `#!`: execve(2) says ENOEXEC, and execvp(3) of glibc has /bin/sh run it, as every shell does. That
//! of musl does not.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// Of the root that the script is in.
pub const SHELL: &str = "/bin/sh";

/// As much of a file as bash looks at (general.c, check_binary_file).
pub const START: usize = 80;

/// Whether a file of which this is the beginning, and which the kernel does not know to run, is one for a shell: in a
/// binary, such as one of another architecture, there is a NUL before the end of the first line.
pub fn is_script(start: &[u8]) -> bool {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    !line.contains(&0)
}

/// The script that `name` means on `path`, after the kernel has said ENOEXEC of what it found there.
pub fn found(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| file.is_file() && access(file.as_path(), AccessFlags::X_OK).is_ok();
    let file = match name.as_bytes().contains(&b'/') {
        true => PathBuf::from(name),
        false => std::env::split_paths(path).map(|directory| directory.join(name)).find(is_program)?,
    };
    let mut start = Vec::new();
    File::open(&file).ok()?.take(START as u64).read_to_end(&mut start).ok()?;
    is_script(&start).then(|| not_an_option(file))
}

/// A name that begins with a dash would be one to the shell.
fn not_an_option(file: PathBuf) -> PathBuf {
    if file.as_os_str().as_bytes().starts_with(b"-") { Path::new(".").join(file) } else { file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_script_and_a_binary_is_none() {
        assert!(is_script(b"echo ran\n"));
        assert!(is_script(b""));
        assert!(is_script(b"first\nsecond\0"));
        assert!(!is_script(b"\x7fELF\x02\x01\x01\0\0"));
    }
}
