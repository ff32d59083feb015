//! Configuration files in TOML, as far as they say where an engine keeps things: containerd's `config.toml`, `storage.conf`
//! of containers/storage, CRI-O's `crio.conf`.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::EngineError;
use super::engine_dirs::rooted;
use super::state::{self, StatePath};

/// The paths that files set, of which a later one outdoes an earlier.
#[derive(Debug, Default)]
pub(super) struct Settings {
    found: Vec<(&'static str, PathBuf)>,
}

impl Settings {
    /// Reads one more file: each of `keys` below the table `table`, or at the top where that is empty. Nothing where it is
    /// not there. Returns the files that its `imports` name, as containerd has them.
    ///
    /// # Errors
    /// As [`state::read`], and `File` where it is no TOML.
    pub(super) fn read(
        &mut self,
        file: &StatePath,
        table: &str,
        keys: &[&'static str],
    ) -> Result<Vec<StatePath>, EngineError> {
        let Some(bytes) = state::read(file)? else { return Ok(vec![]) };
        let text = String::from_utf8(bytes).map_err(|_| state::wrong(file, "is not text in UTF-8"))?;
        let parsed = DeTable::parse(&text).map_err(|error| state::wrong(file, error.message()))?;
        let top = parsed.get_ref();
        let within = table
            .split('.')
            .filter(|part| !part.is_empty())
            .try_fold(top, |table, part| table.get(part).and_then(|value| value.get_ref().as_table()));
        for key in keys {
            let value = within.and_then(|table| table.get(*key)).and_then(|value| value.get_ref().as_str());
            if let Some(path) = value.filter(|path| !path.is_empty()) {
                self.found.push((key, PathBuf::from(path)));
            }
        }
        let imports = match top.get("imports").map(|value| value.get_ref()) {
            Some(DeValue::Array(imports)) => {
                imports.iter().filter_map(|path| path.get_ref().as_str()).collect()
            }
            _ => vec![],
        };
        Ok(imports.into_iter().flat_map(|path| matching(file, path)).collect())
    }

    /// What the last file that has `key` sets it to.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.found.iter().rev().find(|(name, _)| *name == key).map(|(_, path)| path.clone())
    }

    /// The same, below the root of the host that a test has made.
    pub(super) fn place(&self, key: &str) -> Option<PathBuf> {
        self.path(key).map(rooted)
    }
}

/// The files that one of containerd's imports means: a path, whole or beside the file, whose last part may have one `*`.
fn matching(file: &StatePath, import: &str) -> Vec<StatePath> {
    let beside = file.as_path().parent().unwrap_or(file.as_path()).join(import);
    let path = if import.starts_with('/') { rooted(import) } else { beside };
    let (Some(directory), Some(pattern)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return vec![];
    };
    let Some((before, behind)) = pattern.split_once('*') else { return vec![file.at(path)] };
    let fits = |name: &str| {
        name.len() >= before.len() + behind.len() && name.starts_with(before) && name.ends_with(behind)
    };
    let names = state::names(&file.at(directory)).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| fits(name))
        .map(|name| file.at(directory.join(name)))
        .collect()
}

/// The files of a drop-in directory that end in `.conf`, in the order in which they are read.
///
/// # Errors
/// As [`state::names`].
pub(super) fn drop_ins(directory: &StatePath) -> Result<Vec<StatePath>, EngineError> {
    let names = state::names(directory)?;
    Ok(names
        .iter()
        .filter(|name| name.as_encoded_bytes().ends_with(b".conf"))
        .map(|name| directory.join(name))
        .collect())
}
