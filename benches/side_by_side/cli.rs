//! What one may say to the bench.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand};

use crate::{
    contest::{ROWS, Row},
    error::BenchError,
};

/// Measures our tools and those people use today, alternately and on the same work.
///
/// Exit status: 0 all targets met, 1 a target missed, 2 a row could not be measured.
#[derive(Parser)]
#[command(name = "side_by_side", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) inner: Option<Inner>,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
}

/// What the bench says to copies of itself.
#[derive(Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Inner {
    /// Runs the rows on a fixture (JSON) that another process holds.
    #[command(hide = true, name = "inner-race")]
    Race {
        fixture: String,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Runs one command and prints the peak RSS of its processes in KiB.
    #[command(hide = true, name = "inner-weigh")]
    Weigh {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Args)]
pub(crate) struct Wanted {
    /// How often each contestant runs.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Run only this row; may be repeated.
    #[arg(long, value_name = "ROW")]
    pub(crate) only: Vec<String>,
    /// Where our binaries are [default: $NETNS_TOOLBOX_BIN, or where this program is].
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// The image of the container that is asked about.
    #[arg(long, value_name = "IMAGE", default_value = "netns-toolbox/busybox")]
    pub(crate) image: String,
    /// Write the results to a file as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Print Markdown, ready to paste.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// The variable that says where our binaries are.
pub(crate) const BIN_DIR: &str = "NETNS_TOOLBOX_BIN";

impl Wanted {
    pub(crate) fn rows(&self) -> Result<Vec<&'static Row>, BenchError> {
        let names = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        if let Some(unknown) = self.only.iter().find(|only| ROWS.iter().all(|row| row.name != **only)) {
            return Err(BenchError::NoSuchRow(unknown.clone(), names()));
        }
        let wanted = |row: &&Row| self.only.is_empty() || self.only.iter().any(|only| only == row.name);
        Ok(ROWS.iter().filter(wanted).collect())
    }

    /// Where our tools are: beside this program, if nothing else is said.
    pub(crate) fn bin_dir(&self) -> PathBuf {
        let named = self.bin_dir.clone().or_else(|| env::var_os(BIN_DIR).map(PathBuf::from));
        let beside = || env::current_exe().ok()?.parent().map(Path::to_path_buf);
        named.or_else(beside).unwrap_or_default()
    }
}
