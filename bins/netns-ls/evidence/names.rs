//! Names under `/run/netns` that lead to no namespace.

use common::diagnose::host::StaleName;
use common::failure::Failure;
use common::map::{HostMap, NetnsHolder};
use common::netns::{self, LinkEntry, SymlinkEnd};
use common::target::LinkName;

/// Those that lead nowhere.
pub fn stale(map: &HostMap) -> Result<Vec<StaleName>, Failure> {
    let names = netns::names()?;
    Ok(names.iter().filter(|name| !is_elsewhere(map, name)).filter_map(stale_name).collect())
}

fn stale_name(name: &LinkName) -> Option<StaleName> {
    let is_symlink = match netns::entry(name).ok()? {
        LinkEntry::Empty => false,
        LinkEntry::Symlink(SymlinkEnd::Nowhere) => true,
        _ => return None,
    };
    Some(StaleName { name: name.to_string(), is_symlink })
}

/// Whether a namespace is mounted there in another mount namespace.
fn is_elsewhere(map: &HostMap, name: &LinkName) -> bool {
    let file = netns::path(name);
    let holders = map.namespaces.iter().flat_map(|netns| &netns.held_by);
    let mut mounts = holders.filter_map(|holder| match holder {
        NetnsHolder::ForeignMount { path, .. } => Some(path),
        _ => None,
    });
    mounts.any(|path| *path == file)
}
