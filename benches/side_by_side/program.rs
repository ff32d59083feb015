//! Programs: where they are, what they say when run once, and what kind of file they are.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::BenchError;

/// The file that a shell would run for this name.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs it to its end and gives what it printed; anything but success is an error.
pub(crate) fn answer(command: &mut Command) -> Result<String, BenchError> {
    answer_to(command, "")
}

/// The same for a program that reads `input`, all of it or none.
pub(crate) fn answer_to(command: &mut Command, input: &str) -> Result<String, BenchError> {
    let cannot = |command: &Command, cause| BenchError::path(command.get_program())(cause);
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| cannot(command, cause))?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it does not read it does not need, and its status says whether all is well.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|cause| cannot(command, cause))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(BenchError::Failed { command: line(command), status: output.status, stderr })
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The first line of what a program says when asked for its version, if it does; iproute2 knows `-V` only.
pub(crate) fn version(file: &Path) -> Option<String> {
    let said = ["--version", "-V"].into_iter().find_map(|ask| answer(Command::new(file).arg(ask)).ok())?;
    said.lines().next().map(str::to_owned)
}

/// How a program gets into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Linkage {
    /// An ELF file that the kernel starts by itself.
    Static,
    /// An ELF file that names an interpreter (PT_INTERP): a dynamic loader runs before it.
    Dynamic,
    /// No 64-bit ELF file: a script, or another format.
    Other,
}

impl Linkage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Linkage::Static => "static",
            Linkage::Dynamic => "dynamic",
            Linkage::Other => "not ELF",
        }
    }

    pub(crate) fn of(file: &Path) -> Result<Self, BenchError> {
        let bytes = fs::read(file).map_err(BenchError::path(file))?;
        Self::of_elf(&bytes).ok_or_else(|| BenchError::path(file)(io::ErrorKind::InvalidData.into()))
    }

    /// By the ELF-64 header and its program headers (elf(5)); `None` if the file ends too early.
    fn of_elf(bytes: &[u8]) -> Option<Self> {
        const PT_INTERP: u32 = 3;
        let native = if cfg!(target_endian = "little") { 1 } else { 2 };
        if !bytes.starts_with(&[0x7f, b'E', b'L', b'F', 2, native]) {
            return Some(Linkage::Other);
        }
        let half = |at| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let word = |at| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let offset = |at| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let (e_phoff, e_phentsize, e_phnum) = (offset(0x20)?, half(0x36)?, half(0x38)?);
        for entry in 0..u64::from(e_phnum) {
            let p_type = word(usize::try_from(e_phoff + entry * u64::from(e_phentsize)).ok()?)?;
            if p_type == PT_INTERP {
                return Some(Linkage::Dynamic);
            }
        }
        Some(Linkage::Static)
    }
}
