//! Databases written by hand, page by page; those of a real containerd are read in the tests of engines.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use nix::unistd::geteuid;

use super::*;

const SIZE: usize = 4096;

/// A file that is gone with it.
struct Database(PathBuf);

impl Database {
    fn of(name: &str, pages: &[Vec<u8>]) -> Database {
        let path = std::env::temp_dir().join(format!("netns-toolbox-{}-bolt-{name}", std::process::id()));
        let database = Database(path);
        database.write(pages);
        database
    }

    fn write(&self, pages: &[Vec<u8>]) {
        let padded = pages.iter().flat_map(|page| {
            let mut page = page.clone();
            page.resize(page.len().next_multiple_of(SIZE), 0);
            page
        });
        fs::write(&self.0, padded.collect::<Vec<u8>>()).unwrap();
    }

    fn path(&self) -> StatePath {
        StatePath::new(&self.0, geteuid())
    }

    fn keys(&self, within: &[&str], prefix: &str) -> Result<Option<Vec<String>>, EngineError> {
        read(&self.path(), |snapshot| {
            let mut bucket = snapshot.root();
            for key in within {
                match snapshot.bucket(&bucket, key.as_bytes())? {
                    Some(inner) => bucket = inner,
                    None => return Ok(vec![]),
                }
            }
            let entries = snapshot.entries(&bucket, prefix.as_bytes())?;
            Ok(entries.into_iter().map(|(key, _)| String::from_utf8_lossy(&key).into_owned()).collect())
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn page(number: u64, flags: u16, count: usize, more: usize) -> Vec<u8> {
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(u16::try_from(count).unwrap().to_ne_bytes());
    bytes.extend(u32::try_from(more).unwrap().to_ne_bytes());
    bytes
}

fn meta(number: u64, root: u64, pages: u64, transaction: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for small in [MAGIC, VERSION, SIZE as u32, 0] {
        bytes.extend(small.to_ne_bytes());
    }
    for number in [root, 0, 0, pages, transaction] {
        bytes.extend(number.to_ne_bytes());
    }
    let sum = fnv(&bytes);
    bytes.extend(sum.to_ne_bytes());
    [page(number, 4, 0, 0), bytes].concat()
}

fn leaf(number: u64, elements: &[(&str, Vec<u8>, bool)]) -> Vec<u8> {
    let (mut heads, mut data) = (Vec::new(), Vec::new());
    for (index, (key, value, is_bucket)) in elements.iter().enumerate() {
        let position = (elements.len() - index) * ELEMENT + data.len();
        for small in [usize::from(*is_bucket), position, key.len(), value.len()] {
            heads.extend(u32::try_from(small).unwrap().to_ne_bytes());
        }
        data.extend(key.as_bytes());
        data.extend(value);
    }
    let length = PAGE_HEADER + heads.len() + data.len();
    [page(number, LEAF, elements.len(), (length - 1) / SIZE), heads, data].concat()
}

fn branch(number: u64, children: &[(&str, u64)]) -> Vec<u8> {
    let (mut heads, mut data) = (Vec::new(), Vec::new());
    for (index, (key, child)) in children.iter().enumerate() {
        let position = (children.len() - index) * ELEMENT + data.len();
        heads.extend(u32::try_from(position).unwrap().to_ne_bytes());
        heads.extend(u32::try_from(key.len()).unwrap().to_ne_bytes());
        heads.extend(child.to_ne_bytes());
        data.extend(key.as_bytes());
    }
    [page(number, BRANCH, children.len(), 0), heads, data].concat()
}

fn tree(root: u64) -> Vec<u8> {
    [root.to_ne_bytes(), [0; 8]].concat()
}

fn inline(elements: &[(&str, Vec<u8>, bool)]) -> Vec<u8> {
    [tree(0), leaf(0, elements)].concat()
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// `all` with two leaves below a branch, the second of two pages; `small` within its value.
fn pages() -> Vec<Vec<u8>> {
    let small = inline(&[("a", bytes("1"), false), ("b", inline(&[("c", bytes("2"), false)]), true)]);
    let long = "x".repeat(SIZE);
    vec![
        meta(0, 2, 7, 8),
        meta(1, 2, 7, 7),
        leaf(2, &[("all", tree(3), true), ("small", small, true), ("word", bytes("w"), false)]),
        branch(3, &[("db", 4), ("web-2", 5)]),
        leaf(4, &[("db", bytes("1"), false), ("web-1", bytes("2"), false)]),
        leaf(5, &[("web-2", bytes(&long), false), ("zz", bytes("4"), false)]),
    ]
}

#[test]
fn keys_are_found_in_trees_and_in_values() {
    let database = Database::of("keys", &pages());
    let keys = |within: &[&str], prefix: &str| database.keys(within, prefix).unwrap().unwrap().join(" ");
    assert_eq!(keys(&[], ""), "all small word");
    assert_eq!(keys(&["all"], ""), "db web-1 web-2 zz");
    assert_eq!(keys(&["all"], "web-"), "web-1 web-2");
    assert_eq!(keys(&["all"], "web-2"), "web-2");
    assert_eq!(keys(&["all"], "a"), "");
    assert_eq!(keys(&["all"], "zzz"), "");
    assert_eq!(keys(&["small"], ""), "a b");
    assert_eq!(keys(&["small", "b"], ""), "c");
    assert_eq!(keys(&["word"], "") + &keys(&["none"], ""), "");
    let value = read(&database.path(), |snapshot| {
        let all = snapshot.bucket(&snapshot.root(), b"all")?.unwrap();
        snapshot.get(&all, b"web-2")
    });
    assert!(matches!(value, Ok(Some(Some(BoltValue::Bytes(value)))) if value.len() == SIZE));
    let several = read(&database.path(), |snapshot| {
        let all = snapshot.bucket(&snapshot.root(), b"all")?.unwrap();
        snapshot.get_all(&all, [b"db", b"none", b"web-1", b"zz"])
    });
    let several = several.unwrap().unwrap().map(|value| match value {
        Some(BoltValue::Bytes(bytes)) => String::from_utf8(bytes).unwrap(),
        other => format!("{other:?}"),
    });
    assert_eq!(several.join(" "), "1 None 2 4");
}

#[test]
fn the_last_whole_meta_page_counts() {
    let mut pages = pages();
    pages[1] = meta(1, 4, 7, 9);
    let database = Database::of("meta", &pages);
    assert_eq!(database.keys(&[], "").unwrap().unwrap(), ["db", "web-1"]);
    // Half written.
    pages[1][PAGE_HEADER + 48] ^= 1;
    database.write(&pages);
    assert_eq!(database.keys(&[], "").unwrap().unwrap(), ["all", "small", "word"]);
    pages[0][PAGE_HEADER] ^= 1;
    database.write(&pages);
    assert!(database.keys(&[], "").is_err());
    database.write(&[]);
    assert!(database.keys(&[], "").unwrap().is_none());
    assert!(read(&StatePath::new("/nonexistent", geteuid()), |_| Ok(())).unwrap().is_none());
}

#[test]
fn what_a_daemon_writes_meanwhile_is_read_again() {
    let database = Database::of("torn", &pages());
    let times = Cell::new(0);
    let found = read(&database.path(), |snapshot| {
        times.set(times.get() + 1);
        let keys = || {
            let entries = snapshot.entries(&snapshot.root(), b"")?;
            Ok::<Vec<Vec<u8>>, BoltError>(entries.into_iter().map(|(key, _)| key).collect())
        };
        let before = keys()?;
        if times.get() == 1 {
            // Two transactions later the pages of this one are used again.
            let mut pages = pages();
            pages[0] = meta(0, 4, 7, 10);
            pages[2] = leaf(2, &[("garbage", bytes(""), false)]);
            database.write(&pages);
        }
        let after = keys()?;
        Ok((before, after))
    });
    let keys = [b"db".to_vec(), b"web-1".to_vec()].to_vec();
    assert_eq!((found.unwrap().unwrap(), times.get()), ((keys.clone(), keys), 2));
    // One that never stops.
    let transaction = Cell::new(10);
    let found = read(&database.path(), |_| {
        transaction.set(transaction.get() + 1);
        let mut pages = pages();
        pages[1] = meta(1, 4, 7, transaction.get());
        database.write(&pages);
        Ok(())
    });
    assert!(found.unwrap_err().to_string().contains("changes faster than it can be read"));
}

#[test]
fn no_damage_is_a_panic_or_without_end() {
    let whole: Vec<u8> = {
        let database = Database::of("whole", &pages());
        fs::read(&database.0).unwrap()
    };
    let database = Database::of("damaged", &[]);
    let mut lost = 0;
    for at in (0..whole.len()).filter(|at| at % SIZE < 96) {
        for flip in [1, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            fs::write(&database.0, bytes).unwrap();
            lost += usize::from(database.keys(&["all"], "").is_err());
        }
    }
    assert!(lost > 0);
    for length in (0..whole.len()).step_by(509) {
        fs::write(&database.0, &whole[..length]).unwrap();
        let _ = database.keys(&["all"], "");
    }
    let mut circle = pages();
    circle[3] = branch(3, &[("a", 3), ("b", 3)]);
    database.write(&circle);
    assert!(database.keys(&["all"], "").is_err());
}

/// Elements of a leaf that is as large as a page can be, all of the same bytes of it.
#[test]
fn elements_that_share_their_bytes_cost_no_more_than_a_file_of_that_size() {
    let count = usize::from(u16::MAX);
    let length = 4 << 20;
    let mut leaf = page(2, LEAF, count, length / SIZE - 1);
    for index in 0..count {
        let position = (count - index) * ELEMENT;
        let rest = length - PAGE_HEADER - count * ELEMENT;
        for small in [1, position, rest / 2, rest - rest / 2] {
            leaf.extend(u32::try_from(small).unwrap().to_ne_bytes());
        }
    }
    leaf.resize(length, 0);
    let pages = u64::try_from(2 + length / SIZE).unwrap();
    let database = Database::of("shared", &[meta(0, 2, pages, 1), meta(1, 2, pages, 0), leaf]);
    let error = database.keys(&[], "").unwrap_err().to_string();
    assert!(error.ends_with("is larger than any daemon's"), "{error}");
}
