//! The request: which job it is, and all that its options say about it. None of this is recorded.

use std::path::PathBuf;

use common::cli::FindConfig;
use common::target::Target;

use crate::model::wanted::{NicSelector, Wanted};

/// One of the tool's jobs.
#[derive(Debug)]
pub enum Job {
    /// Add a NIC.
    Add(Box<AddRequest>),
    /// Remove a NIC, or all of a container.
    Remove(RemoveRequest),
    /// Make a NIC, or all of a container, as they were added.
    Repair(RemoveRequest),
    /// List all NICs, or those of one container.
    List(ListRequest),
    /// List differences from the state in which they were added.
    Check(ListRequest),
    /// Keep the NICs in place that a file describes.
    Watch(WatchRequest),
}

/// A NIC to be added.
#[derive(Debug)]
pub struct AddRequest {
    pub target: Target,
    pub wanted: Wanted,
    pub options: AddOptions,
    pub mode: AddMode,
    pub form: OutputForm,
}

/// Whether it is done, or only shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddMode {
    /// It is done.
    Add,
    /// The commands are printed.
    DryRun,
    /// Problems are printed; `typed` is the command line, for the fixes.
    Preflight { typed: Vec<String> },
}

/// How a NIC is added, whatever kind it is.
#[derive(Debug, Clone, Copy)]
pub struct AddOptions {
    pub search: SearchOptions,
    /// `None` to skip it.
    pub dad: Option<DuplicateCheck>,
    /// How often its addresses are announced.
    pub announcements: u8,
    /// How many NICs of the same container come before it in a watch's file, have no name there, and are not there yet.
    pub names_before: usize,
    /// Whether warnings before a change are left out.
    pub quiet: bool,
    /// Whether a NIC of ours with other options is changed.
    pub replace: bool,
}

/// Duplicate address detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateCheck {
    Quick,
    Full,
}

/// How a container is found, and whether it may use the host's network.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions {
    pub find: FindConfig,
    /// Whether it may use the host's own network.
    pub host: bool,
}

/// A NIC to be removed or repaired, or all of a container.
#[derive(Debug)]
pub struct RemoveRequest {
    pub target: Target,
    pub which: Option<NicSelector>,
    pub search: SearchOptions,
    pub dry_run: bool,
    /// Also one that add-nic did not create.
    pub force: bool,
    pub form: OutputForm,
}

/// NICs to be listed.
#[derive(Debug)]
pub struct ListRequest {
    /// Those of this container; all if `None`.
    pub target: Option<Target>,
    pub search: SearchOptions,
    pub form: OutputForm,
}

/// A file to be watched.
#[derive(Debug)]
pub struct WatchRequest {
    pub file: PathBuf,
    pub find: FindConfig,
    pub once: bool,
    pub mode: WatchMode,
    pub form: OutputForm,
}

/// What is done with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// Its NICs are kept in place.
    Keep,
    /// The commands are printed.
    DryRun,
    /// Problems are printed.
    Preflight,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputForm {
    Text,
    Json,
    /// One object per line.
    JsonLine,
}

impl OutputForm {
    /// Whether it is for programs.
    pub fn is_json(self) -> bool {
        self != OutputForm::Text
    }
}
