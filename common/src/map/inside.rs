//! A walk through all network namespaces with this thread in each of them, for what is asked of another part of the kernel than
//! its routing.

use std::fmt::Display;
use std::io;

use nix::errno::Errno;

use super::walk::{Walk, is_strangers};
use super::{LookDepth, MapEntry, MapError, entries};
use crate::netns::{Home, NetnsTour};

/// Calls `look` once in every network namespace, found as `depth` says, with whether it is our own; sockets that it opens are of that namespace. A
/// namespace that vanishes meanwhile is no error; what `look` says against one that can be entered is in [`Walk::unseen`].
///
/// # Errors
/// [`MapError`], when not even `/proc` and our own network can be looked at.
pub fn walk_inside<T, E: Display>(
    depth: LookDepth,
    mut look: impl FnMut(&MapEntry, bool) -> Result<Option<T>, E>,
) -> Result<Walk<T>, MapError> {
    let home = Home::current()?;
    let (entries, mut unseen) = entries::all(depth)?;
    let mut seen = Vec::new();
    let mut tour = NetnsTour::new(&home);
    for entry in &entries {
        let Some(namespace) = unseen.opened(entry) else { continue };
        let is_own = entry.identity == home.identity();
        match tour.inside(&namespace, || look(entry, is_own)) {
            Ok(Ok(found)) => seen.extend(found),
            // As in `walk`: an ordinary user's network makes nothing uncertain about root's.
            Ok(Err(_)) if is_strangers(entry) => {}
            Ok(Err(error)) => unseen.not_read(entry, error),
            Err(Errno::EPERM) => unseen.not_entered += 1,
            Err(errno) => unseen.not_read(entry, io::Error::from(errno)),
        }
    }
    Ok(Walk { seen, unseen })
}
