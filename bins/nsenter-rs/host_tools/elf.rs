//! What the kernel and the dynamic loader read of a program: elf(5), as far as it says who loads it, and from
//! where.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A program's loader, and where it wants its libraries from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// PT_INTERP; none in a static program.
    pub interpreter: Option<PathBuf>,
    /// DT_RPATH, searched before all else; it counts only where there is no DT_RUNPATH.
    pub rpath: Vec<u8>,
    /// DT_RUNPATH, searched after what the loader was told.
    pub runpath: Vec<u8>,
}

const MAGIC: &[u8; 4] = b"\x7fELF";
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// More program headers, entries or letters than any program has: nothing here is trusted to be sane.
const MOST_SEGMENTS: u64 = 128;
const LARGEST_DYNAMIC: u64 = 64 << 10;
const LONGEST: u64 = 4096;

/// Where the numbers are: programs of 64 and of 32 bits differ.
struct Layout {
    wide: bool,
    little: bool,
}

struct ElfSegment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf {
    /// Whether a file that begins with `bytes` is one.
    pub fn is_at(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads the headers of `file`.
    ///
    /// # Errors
    /// `InvalidData` when they make no sense, or what read(2) says.
    pub fn read(file: &File) -> io::Result<Self> {
        let header = bytes_at(file, 0, 64)?;
        if !Elf::is_at(&header) {
            return Err(nonsense());
        }
        let layout = Layout { wide: header[4] == 2, little: header[5] == 1 };
        let segments = layout.segments(file, &header)?;
        let mut elf = Elf::default();
        if let Some(interpreter) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
            let name = text_at(file, interpreter.offset, interpreter.size)?;
            elf.interpreter = Some(PathBuf::from(OsString::from_vec(name)));
        }
        if let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
            let entries = layout.entries(&bytes_at(file, dynamic.offset, dynamic.size.min(LARGEST_DYNAMIC))?);
            let value = |tag| entries.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value);
            let strings = value(DT_STRTAB).and_then(|address| offset_of(&segments, address));
            let string = |tag| match (strings, value(tag)) {
                (Some(strings), Some(at)) => text_at(file, strings.saturating_add(at), LONGEST),
                _ => Ok(Vec::new()),
            };
            elf.runpath = string(DT_RUNPATH)?;
            elf.rpath = if elf.runpath.is_empty() { string(DT_RPATH)? } else { Vec::new() };
        }
        Ok(elf)
    }
}

impl Layout {
    fn segments(&self, file: &File, header: &[u8]) -> io::Result<Vec<ElfSegment>> {
        let (at, size, count) = if self.wide { (32, 54, 56) } else { (28, 42, 44) };
        let (table, size) = (self.word(header, at), self.number(header, size, 2));
        let count = self.number(header, count, 2).min(MOST_SEGMENTS);
        let (offset, address, length) = if self.wide { (8, 16, 32) } else { (4, 8, 16) };
        if size < if self.wide { 56 } else { 32 } {
            return Err(nonsense());
        }
        let headers = bytes_at(file, table, size * count)?;
        let segment = |entry: &[u8]| ElfSegment {
            kind: self.number(entry, 0, 4),
            offset: self.word(entry, offset),
            address: self.word(entry, address),
            size: self.word(entry, length),
        };
        Ok(headers.chunks_exact(usize::try_from(size).map_err(|_| nonsense())?).map(segment).collect())
    }

    fn entries(&self, dynamic: &[u8]) -> Vec<(u64, u64)> {
        let word = if self.wide { 8 } else { 4 };
        let entries =
            dynamic.chunks_exact(2 * word).map(|entry| (self.word(entry, 0), self.word(entry, word)));
        entries.take_while(|(tag, _)| *tag != DT_NULL).collect()
    }

    fn word(&self, bytes: &[u8], at: usize) -> u64 {
        self.number(bytes, at, if self.wide { 8 } else { 4 })
    }

    fn number(&self, bytes: &[u8], at: usize, length: usize) -> u64 {
        let digits = &bytes[at..at + length];
        let add = |number: u64, digit: &u8| number << 8 | u64::from(*digit);
        if self.little { digits.iter().rev().fold(0, add) } else { digits.iter().fold(0, add) }
    }
}

/// The offset in the file of what the program has at `address`.
fn offset_of(segments: &[ElfSegment], address: u64) -> Option<u64> {
    let holds = |segment: &&ElfSegment| {
        segment.kind == PT_LOAD
            && address.checked_sub(segment.address).is_some_and(|inside| inside < segment.size)
    };
    let segment = segments.iter().find(holds)?;
    segment.offset.checked_add(address - segment.address)
}

fn bytes_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| nonsense())?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// A string that ends with a NUL, or with the file.
fn text_at(file: &File, offset: u64, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(longest.min(LONGEST)).map_err(|_| nonsense())?];
    let length = file.read_at(&mut bytes, offset)?;
    bytes.truncate(length);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(bytes)
}

fn nonsense() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_loader_of_a_program_is_the_one_that_the_kernel_would_take() {
        let shell = Elf::read(&File::open("/bin/sh").unwrap()).unwrap();
        // A host whose sh is static says nothing here, and that is right too.
        if let Some(interpreter) = shell.interpreter {
            assert!(interpreter.exists(), "{}", interpreter.display());
        }
    }

    #[test]
    fn what_is_cut_off_or_wild_is_an_error_and_no_panic() {
        let whole = std::fs::read("/bin/sh").unwrap();
        let path = std::env::temp_dir().join(format!("netns-toolbox-elf-{}", std::process::id()));
        let read = |bytes: &[u8]| {
            File::create(&path).unwrap().write_all(bytes).unwrap();
            Elf::read(&File::open(&path).unwrap())
        };
        assert!(read(b"").is_err());
        assert!(read(b"#!/bin/sh\n").is_err());
        for length in [4, 16, 63, 64, 100] {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        for at in 4..64 {
            let mut wild = whole[..4096].to_vec();
            wild[at] = 0xff;
            let _ = read(&wild);
        }
        std::fs::remove_file(path).unwrap();
    }
}
