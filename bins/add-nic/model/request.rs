//! What a call asks for: which job it is, and all that its options say about it. Of this nothing is written down.

use std::path::PathBuf;

use common::cli::FindConfig;
use common::target::Target;

use crate::model::wanted::{NicSelector, Wanted};

/// What to do, one thing of many.
#[derive(Debug)]
pub enum Job {
    /// Plug a NIC in.
    Add(Box<AddRequest>),
    /// Take one out, or all of ours.
    Remove(RemoveRequest),
    /// Show all of ours, or those of one container.
    List(ListRequest),
    /// Show what is not as we made it.
    Check(ListRequest),
    /// Keep those plugged in that a file describes.
    Watch(WatchRequest),
}

/// A NIC to be plugged in.
#[derive(Debug)]
pub struct AddRequest {
    pub target: Target,
    pub wanted: Wanted,
    pub options: AddOptions,
    pub mode: AddMode,
    pub form: OutputForm,
}

/// Whether it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddMode {
    /// It is.
    Add,
    /// The commands are shown that would do it.
    DryRun,
    /// What would not work is shown; these are the words that were typed, with which it is asked for.
    Preflight { typed: Vec<String> },
}

/// How a NIC is plugged in, whatever it is to be.
#[derive(Debug, Clone, Copy)]
pub struct AddOptions {
    pub search: SearchOptions,
    /// How duplicates are looked for; `None` for not at all.
    pub dad: Option<DuplicateCheck>,
    /// How often it is said whose the addresses are.
    pub announcements: u8,
}

/// How duplicates of an address are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateCheck {
    Quick,
    Full,
}

/// How a container's network is looked for, and which it may be.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions {
    pub find: FindConfig,
    /// Whether it may be that of the host itself.
    pub host: bool,
}

/// A NIC to be taken out, or all of a container's.
#[derive(Debug)]
pub struct RemoveRequest {
    pub target: Target,
    pub which: Option<NicSelector>,
    pub search: SearchOptions,
    pub dry_run: bool,
    /// Also one that we did not make.
    pub force: bool,
    pub form: OutputForm,
}

/// NICs to be looked at.
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
    pub dry_run: bool,
    pub form: OutputForm,
}

/// How it is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputForm {
    Text,
    Json,
    /// Of many, one a line.
    JsonLine,
}

impl OutputForm {
    /// Whether it is for programs.
    pub fn is_json(self) -> bool {
        self != OutputForm::Text
    }
}
