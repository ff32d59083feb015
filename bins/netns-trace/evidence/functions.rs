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
fn read(lines: impl BufRead, addresses: &[u64]) -> Vec<Option<String>> {
    let mut nearest: Vec<(u64, String)> = vec![(0, String::new()); addresses.len()];
    for line in lines.lines().map_while(Result::ok).take(MOST_LINES) {
        let mut words = line.split(' ');
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let is_code = matches!(kind, "t" | "T" | "w" | "W");
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        if !is_code || address == 0 {
            continue;
        }
        for (wanted, (at, called)) in addresses.iter().zip(&mut nearest) {
            if address <= *wanted && address > *at {
                *at = address;
                name.split(['\t', ' ']).next().unwrap_or(name).clone_into(called);
            }
        }
    }
    nearest.into_iter().map(|(_, name)| Some(name).filter(|name| !name.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_begins_before_it() {
        let lines = "0000000000000010 T first\n0000000000000018 d data\n0000000000000020 t second\t[module]\n\
                     nonsense\n0000000000000030 T third\n";
        let found = read(lines.as_bytes(), &[0x1f, 0x20, 0x8, 0x40]);
        let expected = [Some("first"), Some("second"), None, Some("third")];
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
    }
}
