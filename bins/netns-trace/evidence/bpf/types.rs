//! Where the running kernel has the members of its structs, and what its enums call their values: BTF, which it describes its
//! own types with. Pure; no bytes make it panic.
//!
//! <https://docs.kernel.org/bpf/btf.html>, linux/btf.h

use std::collections::HashMap;

/// BTF_MAGIC, by the byte order of the machine.
const MAGIC: u16 = 0xeb9f;
/// enum, BTF_KIND_*.
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;
/// struct btf_type, and an element of a struct or of a datasec.
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const ENUMERATOR_BYTES: usize = 8;
/// Structs in structs without a name: the kernel has a handful.
const DEEPEST: usize = 16;

/// A description of types.
#[derive(Debug)]
pub(super) struct KernelTypeTable<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins, by its number.
    starts: Vec<u32>,
    /// The structs and functions by their names, of those that were asked for: their numbers.
    numbers: HashMap<&'static str, u32>,
    /// The enums whose names end in this.
    enums: Vec<usize>,
}

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberPlace {
    /// Bytes from the beginning of the outermost struct.
    pub(super) offset: u32,
    /// Of a bit field: the bit of that byte that it begins with, counted as the machine shifts, and how many it has.
    pub(super) bits: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct TypeEntry {
    at: usize,
    kind: u32,
    count: usize,
    has_bit_fields: bool,
    name: u32,
    /// Its size, or the type that it refers to.
    refers: u32,
}

impl<'a> KernelTypeTable<'a> {
    /// Reads it as far as these structs and functions, and the enums whose names end so.
    pub(super) fn read(bytes: &'a [u8], wanted: &[&'static str], enums_ending: &str) -> Option<Self> {
        let magic = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        if magic != MAGIC {
            return None;
        }
        let word = |at| word(bytes, at).and_then(|word| usize::try_from(word).ok());
        let header = word(4)?;
        let part = |offset, length| bytes.get(header.checked_add(offset)?..)?.get(..length);
        let mut table = KernelTypeTable {
            types: part(word(8)?, word(12)?)?,
            strings: part(word(16)?, word(20)?)?,
            starts: vec![0],
            numbers: HashMap::new(),
            enums: Vec::new(),
        };
        let mut at = 0;
        while let Some(entry) = table.entry(at) {
            table.starts.push(u32::try_from(at).ok()?);
            if matches!(entry.kind, STRUCT | FUNC) && entry.name != 0 {
                let name = table.name(entry.name);
                if let Some(name) = wanted.iter().find(|wanted| wanted.as_bytes() == name) {
                    let number = u32::try_from(table.starts.len() - 1).ok()?;
                    table.numbers.entry(name).or_insert(number);
                }
            } else if entry.kind == ENUM && table.name(entry.name).ends_with(enums_ending.as_bytes()) {
                table.enums.push(at);
            }
            at += TYPE_BYTES + following(entry.kind, entry.count)?;
        }
        (at == table.types.len()).then_some(table)
    }

    /// Where a struct has a member, also in the unions and structs without a name in it.
    pub(super) fn member(&self, of: &str, name: &str) -> Option<MemberPlace> {
        let entry = self.entry(*self.starts.get(self.number(of)? as usize)? as usize)?;
        self.member_of(entry, name.as_bytes(), DEEPEST)
    }

    /// The number of a struct or function.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// What the values of these enums are called.
    pub(super) fn enumerators(&self) -> HashMap<u32, String> {
        let mut names = HashMap::new();
        for entry in self.enums.iter().filter_map(|at| self.entry(*at)) {
            for nth in 0..entry.count {
                let at = entry.at + TYPE_BYTES + ENUMERATOR_BYTES * nth;
                if let Some((name, value)) = word(self.types, at).zip(word(self.types, at + 4)) {
                    let name = String::from_utf8_lossy(self.name(name)).into_owned();
                    names.entry(value).or_insert(name);
                }
            }
        }
        names
    }

    fn member_of(&self, within: TypeEntry, name: &[u8], deepest: usize) -> Option<MemberPlace> {
        for nth in 0..within.count {
            let at = within.at + TYPE_BYTES + MEMBER_BYTES * nth;
            let (called, kind) = (word(self.types, at)?, word(self.types, at + 4)?);
            let place = word(self.types, at + 8)?;
            let (bit, size) =
                if within.has_bit_fields { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            if called == 0 {
                let inner = self.resolved(kind)?;
                let is_struct = matches!(inner.kind, STRUCT | UNION) && deepest > 0;
                let found = is_struct.then(|| self.member_of(inner, name, deepest - 1)).flatten();
                if let Some(found) = found {
                    return Some(MemberPlace { offset: found.offset + bit / 8, ..found });
                }
            } else if self.name(called) == name {
                let bits = (size != 0).then(|| {
                    let first = bit % 8;
                    let shift = if cfg!(target_endian = "big") { 8 - (first + size).min(8) } else { first };
                    (shift, size)
                });
                return Some(MemberPlace { offset: bit / 8, bits });
            }
        }
        None
    }

    /// What a type is, behind its other names and qualifiers.
    fn resolved(&self, number: u32) -> Option<TypeEntry> {
        let mut number = number;
        for _ in 0..DEEPEST {
            let entry = self.entry(*self.starts.get(number as usize)? as usize)?;
            if !matches!(entry.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some(entry);
            }
            number = entry.refers;
        }
        None
    }

    fn entry(&self, at: usize) -> Option<TypeEntry> {
        let info = word(self.types, at + 4)?;
        Some(TypeEntry {
            at,
            kind: info >> 24 & 31,
            count: (info & 0xffff) as usize,
            has_bit_fields: info >> 31 == 1,
            name: word(self.types, at)?,
            refers: word(self.types, at + 8)?,
        })
    }

    fn name(&self, at: u32) -> &'a [u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// How many bytes follow a type of that kind.
fn following(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => 12 * count,
        ENUM | FUNC_PROTO => 8 * count,
        0..=TYPE_TAG => 0,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; union { struct { char b; char c:3, d:5; }; }; }` and `enum x_drop_reason { ONE = 1 }`.
    fn made() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0c\0d\0x_drop_reason\0ONE\0int\0";
        let at = |name: &[u8]| {
            let with_end = [name, b"\0"].concat();
            strings.windows(with_end.len()).position(|window| *window == *with_end).unwrap() as u32
        };
        let info = |kind: u32, count: u32, bits: bool| kind << 24 | count | u32::from(bits) << 31;
        let types: Vec<u32> = [
            vec![at(b"int"), info(INT, 0, false), 4, 32],
            vec![0, info(STRUCT, 3, true), 2, at(b"b"), 1, 8 << 24, at(b"c"), 1, 3 << 24 | 8],
            vec![at(b"d"), 1, 5 << 24 | 11],
            vec![0, info(UNION, 1, false), 2, 0, 2, 0],
            vec![at(b"outer"), info(STRUCT, 2, false), 6, at(b"a"), 1, 0, 0, 3, 32],
            vec![at(b"x_drop_reason"), info(ENUM, 1, false), 4, at(b"ONE"), 1],
        ]
        .concat();
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let header = [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let header = header.into_iter().flat_map(u32::to_ne_bytes);
        let mut bytes: Vec<u8> = MAGIC.to_ne_bytes().into_iter().chain([1, 0]).chain(header).collect();
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_in_what_has_no_name_and_bit_fields_too() {
        let bytes = made();
        let table = KernelTypeTable::read(&bytes, &["outer"], "_drop_reason").unwrap();
        let place = |name| table.member("outer", name);
        assert_eq!(place("a"), Some(MemberPlace { offset: 0, bits: None }));
        assert_eq!(place("b").unwrap().offset, 4);
        if cfg!(target_endian = "little") {
            assert_eq!(place("c"), Some(MemberPlace { offset: 5, bits: Some((0, 3)) }));
            assert_eq!(place("d"), Some(MemberPlace { offset: 5, bits: Some((3, 5)) }));
        }
        assert_eq!((place("e"), table.member("inner", "a")), (None, None));
        assert_eq!(table.enumerators(), HashMap::from([(1, "ONE".to_owned())]));
    }

    #[test]
    fn what_breaks_off_is_no_table() {
        let bytes = made();
        for length in 0..bytes.len() {
            assert!(KernelTypeTable::read(&bytes[..length], &["outer"], "_drop_reason").is_none());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            if let Some(table) = KernelTypeTable::read(&damaged, &["outer"], "_drop_reason") {
                let _ = (table.member("outer", "d"), table.enumerators());
            }
        }
    }

    #[test]
    fn this_kernels_own_table_is_read() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        let table = KernelTypeTable::read(&bytes, &["sk_buff", "net_device"], "_drop_reason").unwrap();
        assert!(table.member("sk_buff", "network_header").unwrap().offset > 0);
        assert_eq!(table.member("sk_buff", "pkt_type").unwrap().bits.unwrap().1, 3);
        assert!(table.member("net_device", "ifindex").is_some());
    }
}
