//! Programs on $PATH that the kit's loader does not load: static ones, and those of another loader. They are copied when a
//! kit is made, for a child of the program can mount nothing, and so make no copy that it may not read.

use std::collections::HashSet;
use std::path::PathBuf;

use super::elf::Elf;
use super::loader::Loader;
use super::root::Root;

/// Static programs larger than this, and beyond so many bytes, are not copied: they are in memory as long as the kit is.
/// The tools of containers and clusters are, which are rarely anybody's children.
const LARGEST: i64 = 8 << 20;
const ALL_TOGETHER: i64 = 32 << 20;

/// Canonical paths.
#[derive(Debug, Default)]
pub struct Special {
    pub loaders: Vec<PathBuf>,
    pub statics: Vec<PathBuf>,
}

impl Special {
    /// Looks through the directories of `path` for all that `loader` is not for.
    pub fn on(root: &Root, path: &[PathBuf], loader: Option<&Loader>) -> Self {
        let mut special = Special::default();
        let mut left = ALL_TOGETHER;
        let mut seen = HashSet::new();
        let candidates = path
            .iter()
            .flat_map(|directory| root.names(directory).into_iter().map(move |name| directory.join(name)));
        for file in candidates.filter_map(|file| root.canonical(&file).ok()) {
            if !seen.insert(file.clone()) {
                continue;
            }
            let Ok(elf) = root.file(&file).and_then(|opened| Elf::read(&opened)) else { continue };
            match elf.interpreter.map(|interpreter| root.canonical(&interpreter)) {
                Some(Ok(other)) if !loader.is_some_and(|loader| loader.is(&other)) => {
                    if !special.loaders.contains(&other) {
                        special.loaders.push(other);
                    }
                }
                // Its loader is missing, or the one that there is.
                Some(_) => {}
                None => {
                    let size = root.stat(&file).map_or(i64::MAX, |stat| stat.st_size);
                    let is_program = root.executable(&file).is_ok();
                    if is_program && size <= LARGEST && size <= left {
                        left -= size;
                        special.statics.push(file);
                    }
                }
            }
        }
        special
    }
}
