//! Remarks on frames that were no answers.

use std::collections::BTreeMap;

use common::failure::say;
use common::packet::neighbour::InvalidFrame;

use crate::tool::TOOL;

/// What came and was no answer, on standard error.
pub fn remarks(invalid: &BTreeMap<InvalidFrame, u64>, strays: u64, dropped: u64) {
    for (why, count) in invalid {
        say(TOOL, format_args!("{count} frames {why} were ignored"));
    }
    if strays > 0 {
        say(TOOL, format_args!("{strays} answers for addresses that were not requested were ignored"));
    }
    if dropped > 0 {
        say(
            TOOL,
            format_args!("the kernel dropped {dropped} answers that came faster than they could be read"),
        );
    }
}
