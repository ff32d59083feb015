//! Loggers of network namespaces that a trace has set and could not put back, for it was killed.

use super::{LookDepth, MappedNetns, read};
use crate::failure::say;
use crate::netns::{Home, LeftLogger};

/// Puts back what traces that were killed have set. Every tool does, before it does anything else.
pub fn put_back_loggers(tool: &str) {
    let left = LeftLogger::all();
    if left.is_empty() {
        return;
    }
    let (Ok(home), Ok(map)) = (Home::current(), read(LookDepth::Whole)) else { return };
    for one in left {
        let inode = one.netns();
        let namespace = match map.netns(inode).map(MappedNetns::open) {
            Some(Ok(namespace)) => namespace,
            Some(Err(_)) => continue,
            None => None,
        };
        let done = one.put_back(namespace.as_ref(), &home);
        let what = format!("net.netfilter.nf_log of net:[{inode}], which a trace that was killed had set");
        match done {
            Ok(true) => say(tool, format_args!("{what}: put back")),
            Ok(false) => {}
            Err(error) => say(tool, format_args!("{what}: cannot be put back: {error}")),
        }
    }
}
