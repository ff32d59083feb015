//! Who the program is: user and group IDs, capabilities.

use std::str::FromStr;

use clap::{ArgAction, Args, ValueHint};

/// Who the program is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who it is")]
pub struct Identity {
    /// User ID inside; 'follow' takes TARGET's
    #[arg(short = 'S', long, value_name = "UID", value_hint = ValueHint::Other)]
    pub setuid: Option<Id>,

    /// Group ID inside; 'follow' takes TARGET's
    ///
    /// Supplementary groups are dropped.
    #[arg(short = 'G', long, value_name = "GID", value_hint = ValueHint::Other)]
    pub setgid: Option<Id>,

    /// Keep our user and group IDs with --user
    #[arg(long, action = ArgAction::SetTrue)]
    pub preserve_credentials: bool,
}

/// A user or group ID, or the word that stands for the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// This number, in the user namespace that is entered.
    Number(u32),
    /// Whatever owns the target's process.
    Follow,
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "follow" => Ok(Id::Follow),
            number => number.parse().map(Id::Number),
        }
    }
}
