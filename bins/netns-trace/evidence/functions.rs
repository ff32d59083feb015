//! The kernel's functions by their addresses: `/proc/kallsyms`, where it may be read.

use std::fs::File;
use std::io::{BufRead, BufReader};

/// A hundred thousand lines is a kernel with all its modules.
const MOST_LINES: usize = 1 << 20;

/// The names of the functions that these addresses are in; the list is read once, which takes tens of milliseconds.
pub(super) fn names(addresses: &[u64]) -> Vec<Option<String>> {
    match File::open("/proc/kallsyms") {
        Ok(file) if !addresses.is_empty() => read(BufReader::with_capacity(1 << 16, file), addresses),
        _ => vec![None; addresses.len()],
    }
}

/// Lines `ffffffff81000000 T name [module]`; those of the kernel itself come first, and in their order. Addresses that may not be
/// read are zeroes.
fn read(mut lines: impl BufRead, addresses: &[u64]) -> Vec<Option<String>> {
    let mut nearest: Vec<(u64, Vec<u8>)> = vec![(0, Vec::new()); addresses.len()];
    let last = addresses.iter().max().copied().unwrap_or_default();
    let mut line = Vec::new();
    for _ in 0..MOST_LINES {
        line.clear();
        if !lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            break;
        }
        let Some((address, kind, name, is_of_module)) = symbol(&line) else { continue };
        // Behind the last of them nothing of the kernel itself is nearer.
        if address > last && !is_of_module {
            break;
        }
        if !matches!(kind, b't' | b'T' | b'w' | b'W') || address == 0 {
            continue;
        }
        for (wanted, (at, called)) in addresses.iter().zip(&mut nearest) {
            if address <= *wanted && address > *at {
                *at = address;
                name.clone_into(called);
            }
        }
    }
    let words = nearest.into_iter().map(|(_, name)| String::from_utf8_lossy(&name).into_owned());
    words.map(|name| Some(name).filter(|name| !name.is_empty())).collect()
}

/// The address, the kind and the name of a symbol, and whether it is one of a module.
fn symbol(line: &[u8]) -> Option<(u64, u8, &[u8], bool)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (address, rest) = line.split_at_checked(16)?;
    let [b' ', kind, b' ', rest @ ..] = rest else { return None };
    let address = address
        .iter()
        .try_fold(0_u64, |sum, digit| Some(sum << 4 | u64::from(char::from(*digit).to_digit(16)?)))?;
    let name = rest.split(|byte| *byte == b'\t').next().unwrap_or(rest);
    Some((address, *kind, name, name.len() < rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_begins_before_it() {
        let lines = "0000000000000010 T first\n0000000000000018 d data\n0000000000000020 t second\nnonsense\n\
                     0000000000000050 T beyond\n0000000000000030 T third\t[module]\n";
        let found = read(lines.as_bytes(), &[0x1f, 0x20, 0x8, 0x38]);
        assert_eq!(
            found,
            [Some("first"), Some("second"), None, Some("second")].map(|name| name.map(str::to_owned))
        );
        let found = read(lines.as_bytes(), &[0x1f, 0x50]);
        assert_eq!(found, [Some("first"), Some("beyond")].map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn a_function_of_this_kernel_is_named() {
        let listed = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let known = listed.lines().find_map(|line| line.strip_suffix(" T kfree"));
        let Some(address) = known.and_then(|address| u64::from_str_radix(address, 16).ok()) else { return };
        if address > 0 {
            assert_eq!(names(&[address + 1]), [Some("kfree".to_owned())]);
        }
    }
}
