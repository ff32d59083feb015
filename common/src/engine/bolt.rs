//! Reading a database of BoltDB's (bbolt) while the daemon that owns it writes to it: page by page, without its lock, which
//! the daemon holds for as long as it runs.
//!
//! The file is a tree of pages. A transaction writes new pages to places that the last one does not use, and then one of
//! two meta pages in turn, with its number and a checksum (bbolt, `internal/common/{page,meta,bucket}.go`, `tx.go`). So all
//! that a meta page leads to stays as it is until the next transaction but one writes, and that is not before the next one
//! has written its meta page: what was read is whole if no meta page has changed when all was read. Otherwise it is read
//! again.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::state::{self, StatePath};
use super::{EngineError, budget};

/// Of a database that changes each time, it cannot be told what is in it.
const MOST_ATTEMPTS: usize = 100;
/// All that is read for one query, and all that is kept of it: elements of a damaged page can share their bytes, so that
/// what is copied is counted too. A container of containerd needs the pages that its OCI specification is in, some 20 KiB.
const MOST_BYTES: usize = 128 << 20;
/// With a page of 4 KiB, more than a hundred branches each: no file is so large.
const MOST_LEVELS: usize = 16;
/// What bbolt may have taken for the size of a page, if the first meta page does not tell.
const PAGE_SIZES: [u64; 7] = [4096, 8192, 16384, 32768, 65536, 2048, 1024];

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Flags of a page.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
/// The flag of an element whose value is a bucket.
const IS_BUCKET: u32 = 1;
/// ID, flags, count of elements, count of pages that belong to it.
const PAGE_HEADER: usize = 16;
/// Position, length of the key, page; and flags, position, length of the key, of the value.
const ELEMENT: usize = 16;
/// Page of its root, 0 where that is in the value itself; a counter.
const BUCKET_HEADER: usize = 16;
/// Up to the checksum.
const META_BYTES: usize = 56;

/// What a database holds, as of one transaction.
#[derive(Debug)]
pub(super) struct BoltSnapshot<'a> {
    file: &'a File,
    meta: Meta,
    /// How many bytes may still be read.
    left: Cell<usize>,
}

/// Why a file is none of BoltDB's, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub(super) enum BoltError {
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    #[error("is larger than any daemon's")]
    TooLarge,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A set of keys, with values and other buckets.
#[derive(Debug)]
pub(super) enum Bucket {
    /// Its tree begins with that page.
    Tree(u64),
    /// It is small enough to be one page within the value of its own key.
    Inline(Vec<u8>),
}

/// What a key has.
#[derive(Debug)]
pub(super) enum BoltValue {
    Bytes(Vec<u8>),
    Bucket(Bucket),
}

/// A key and what it has, as they are in the file.
struct Element<'a> {
    key: &'a [u8],
    value: &'a [u8],
    is_bucket: bool,
}

/// Is shown an element, and says whether it wants more.
type EachElement<'a> = dyn FnMut(&Element<'_>) -> Result<bool, BoltError> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meta {
    page_size: u64,
    root: u64,
    /// The first page that is not in use.
    pages: u64,
    transaction: u64,
}

/// What `query` reads from the database, all of it as of one transaction; `None` where no file is there, or an empty one.
///
/// # Errors
/// `Unreadable`, `Foreign`, and `File` where it is damaged, or changes faster than it can be read.
pub(super) fn read<T>(
    file: &StatePath,
    query: impl Fn(&BoltSnapshot<'_>) -> Result<T, BoltError>,
) -> Result<Option<T>, EngineError> {
    let Some((opened, length)) = state::open(file)? else { return Ok(None) };
    let wrong = |error: BoltError| state::wrong(file, error);
    // The kernel's own files have no length, and are not empty.
    if length == 0 && opened.read_at(&mut [0], 0).map_err(|error| wrong(error.into()))? == 0 {
        return Ok(None);
    }
    for _ in 0..MOST_ATTEMPTS {
        let meta = Meta::of(&opened).map_err(wrong)?;
        let snapshot = BoltSnapshot { file: &opened, meta, left: Cell::new(MOST_BYTES) };
        let answer = query(&snapshot);
        budget::spend(file.as_path(), 0, (MOST_BYTES - snapshot.left.get()) as u64)?;
        if Meta::of(&opened).map_err(wrong)? == meta {
            return answer.map(Some).map_err(wrong);
        }
    }
    Err(state::wrong(file, "changes faster than it can be read"))
}

impl BoltSnapshot<'_> {
    /// The bucket that all others are in.
    pub(super) fn root(&self) -> Bucket {
        Bucket::Tree(self.meta.root)
    }

    /// The bucket that `key` has in `bucket`.
    ///
    /// # Errors
    /// Of a damaged file.
    pub(super) fn bucket(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Bucket>, BoltError> {
        Ok(match self.get(bucket, key)? {
            Some(BoltValue::Bucket(found)) => Some(found),
            _ => None,
        })
    }

    /// What `key` has in `bucket`.
    ///
    /// # Errors
    /// Of a damaged file.
    pub(super) fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<BoltValue>, BoltError> {
        let [found] = self.get_all(bucket, [key])?;
        Ok(found)
    }

    /// What each of `keys`, which are in their order, has in `bucket`: all of them at the cost of one.
    ///
    /// # Errors
    /// Of a damaged file.
    pub(super) fn get_all<const N: usize>(
        &self,
        bucket: &Bucket,
        keys: [&[u8]; N],
    ) -> Result<[Option<BoltValue>; N], BoltError> {
        let mut found = [const { None }; N];
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(found) };
        self.each_from(bucket, first, &mut |element| {
            if let Some(at) = keys.iter().position(|key| *key == element.key) {
                found[at] = Some(self.copied(element)?);
            }
            Ok(element.key < *last)
        })?;
        Ok(found)
    }

    /// The keys in `bucket` that begin with `prefix`, in their order, and what they have.
    ///
    /// # Errors
    /// Of a damaged file.
    pub(super) fn entries(
        &self,
        bucket: &Bucket,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, BoltValue)>, BoltError> {
        let mut entries = Vec::new();
        self.each_from(bucket, prefix, &mut |element| {
            let fits = element.key.starts_with(prefix);
            if fits {
                self.spend(ELEMENT + element.key.len())?;
                entries.push((element.key.to_vec(), self.copied(element)?));
            }
            Ok(fits)
        })?;
        Ok(entries)
    }

    fn copied(&self, element: &Element<'_>) -> Result<BoltValue, BoltError> {
        self.spend(element.value.len())?;
        match element.is_bucket {
            true => Bucket::of(element.value).map(BoltValue::Bucket),
            false => Ok(BoltValue::Bytes(element.value.to_vec())),
        }
    }

    /// Shows `each` the elements from the key `first` on, until it has seen enough.
    fn each_from(&self, bucket: &Bucket, first: &[u8], each: &mut EachElement<'_>) -> Result<(), BoltError> {
        match bucket {
            Bucket::Tree(page) => self.walk(*page, first, 0, each).map(drop),
            Bucket::Inline(page) => Page(page).leaves(first, each).map(drop),
        }
    }

    fn walk(
        &self,
        page: u64,
        first: &[u8],
        level: usize,
        each: &mut EachElement<'_>,
    ) -> Result<bool, BoltError> {
        if level == MOST_LEVELS {
            return Err(BoltError::Damaged("its pages lead nowhere"));
        }
        let bytes = self.page(page)?;
        let page = Page(&bytes);
        match page.flags()? {
            LEAF => page.leaves(first, each),
            BRANCH => {
                for child in page.children(first)? {
                    if !self.walk(child, first, level + 1, each)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Err(BoltError::Damaged("a page of its tree is of another kind")),
        }
    }

    /// A page with those that belong to it.
    fn page(&self, number: u64) -> Result<Vec<u8>, BoltError> {
        let size = self.meta.page_size;
        // The first two are the meta pages.
        if !(2..self.meta.pages).contains(&number) {
            return Err(BoltError::Damaged("it has no such page"));
        }
        let offset = number.checked_mul(size).ok_or(BoltError::Damaged("it has no such page"))?;
        let mut bytes = self.bytes(offset, size)?;
        if number_at::<8>(&bytes, 0)? != number.to_ne_bytes() {
            return Err(BoltError::Damaged("a page has another one's number"));
        }
        let more = u64::from(u32::from_ne_bytes(number_at(&bytes, 12)?));
        if more > 0 {
            bytes.extend(self.bytes(offset + size, more * size)?);
        }
        Ok(bytes)
    }

    fn spend(&self, bytes: usize) -> Result<(), BoltError> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(BoltError::TooLarge)?);
        Ok(())
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, BoltError> {
        let length = usize::try_from(length).map_err(|_| BoltError::TooLarge)?;
        self.spend(length)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BoltError::Damaged("it has been cut off"),
            _ => error.into(),
        })?;
        Ok(bytes)
    }
}

/// A page as it is in the file, whose numbers are of this machine's byte order.
struct Page<'a>(&'a [u8]);

impl Page<'_> {
    fn flags(&self) -> Result<u16, BoltError> {
        Ok(u16::from_ne_bytes(number_at(self.0, 8)?))
    }

    fn count(&self) -> Result<usize, BoltError> {
        Ok(usize::from(u16::from_ne_bytes(number_at(self.0, 10)?)))
    }

    /// Shows `each` the elements of a leaf from the key `first` on; returns whether it wants more.
    fn leaves(&self, first: &[u8], each: &mut EachElement<'_>) -> Result<bool, BoltError> {
        if self.flags()? != LEAF {
            return Err(BoltError::Damaged("a bucket is of another kind"));
        }
        for at in (0..self.count()?).map(|index| PAGE_HEADER + index * ELEMENT) {
            let number = |part| self.number(at + part);
            let (start, key_length, value_length) = (at + number(4)?, number(8)?, number(12)?);
            let key = self.part(start, key_length)?;
            if key < first {
                continue;
            }
            let value = self.part(start + key_length, value_length)?;
            let is_bucket = u32::from_ne_bytes(number_at(self.0, at)?) & IS_BUCKET != 0;
            if !each(&Element { key, value, is_bucket })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The pages below a branch that may have `first`, or what comes after it. The key of each is the least in it.
    fn children(&self, first: &[u8]) -> Result<Vec<u64>, BoltError> {
        let mut children = Vec::new();
        for at in (0..self.count()?).map(|index| PAGE_HEADER + index * ELEMENT) {
            let number = |part| self.number(at + part);
            let key = self.part(at + number(0)?, number(4)?)?;
            if key <= first {
                children.clear();
            }
            children.push(u64::from_ne_bytes(number_at(self.0, at + 8)?));
        }
        Ok(children)
    }

    fn number(&self, at: usize) -> Result<usize, BoltError> {
        Ok(u32::from_ne_bytes(number_at(self.0, at)?) as usize)
    }

    fn part(&self, start: usize, length: usize) -> Result<&[u8], BoltError> {
        let end = start.checked_add(length);
        end.and_then(|end| self.0.get(start..end))
            .ok_or(BoltError::Damaged("a page is too short for what is in it"))
    }
}

impl Bucket {
    fn of(value: &[u8]) -> Result<Bucket, BoltError> {
        match u64::from_ne_bytes(number_at(value, 0)?) {
            0 => value.get(BUCKET_HEADER..).map(|page| Bucket::Inline(page.to_vec())),
            root => Some(Bucket::Tree(root)),
        }
        .ok_or(BoltError::Damaged("a bucket is too short"))
    }
}

impl Meta {
    /// That of the last transaction that was written wholly.
    fn of(file: &File) -> Result<Meta, BoltError> {
        let mut beginning = [0; 8192];
        let length = read_at_most(file, &mut beginning, 0)?;
        let beginning = &beginning[..length];
        let first = Meta::parse(beginning);
        let sizes = first.as_ref().map_or(PAGE_SIZES.to_vec(), |meta| vec![meta.page_size]);
        let second = sizes.into_iter().find_map(|size| {
            let meta = match usize::try_from(size).ok().and_then(|size| beginning.get(size..)) {
                Some(page) => Meta::parse(page),
                None => None,
            };
            let read = || {
                let mut page = [0; PAGE_HEADER + META_BYTES + 8];
                let length = read_at_most(file, &mut page, size).ok()?;
                Meta::parse(&page[..length])
            };
            meta.or_else(read).filter(|meta| meta.page_size == size)
        });
        let both = first.into_iter().chain(second);
        both.max_by_key(|meta| meta.transaction).ok_or(BoltError::Damaged("it is no database of BoltDB's"))
    }

    fn parse(page: &[u8]) -> Option<Meta> {
        let meta = page.get(PAGE_HEADER..PAGE_HEADER + META_BYTES + 8)?;
        let small = |at| Some(u32::from_ne_bytes(number_at(meta, at).ok()?));
        let number = |at| Some(u64::from_ne_bytes(number_at(meta, at).ok()?));
        let is_meta =
            small(0)? == MAGIC && small(4)? == VERSION && number(META_BYTES)? == fnv(&meta[..META_BYTES]);
        let page_size = u64::from(small(8)?);
        let is_known = PAGE_SIZES.contains(&page_size);
        (is_meta && is_known).then_some(())?;
        Some(Meta { page_size, root: number(16)?, pages: number(40)?, transaction: number(48)? })
    }
}

fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// FNV-1a with 64 bits, as Go's `hash/fnv` has it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn number_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], BoltError> {
    let number = at.checked_add(N).and_then(|end| bytes.get(at..end)).and_then(|part| part.try_into().ok());
    number.ok_or(BoltError::Damaged("a page is too short for what is in it"))
}

#[cfg(test)]
mod tests;
