//! Exit statuses that are our own.

/// Statuses other than this one belong to the program that we run, as in util-linux.
pub const OWN_FAILURE: u8 = 1;
