//! Which containers run elsewhere than in a known LXCPATH, as after `lxc-start -P PATH`: each monitor listens under
//! `PATH/NAME/command`. Anybody may listen under any name, so that whose socket it is, and that there is such a container of
//! the same user, is known before it is asked anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::super::engine_dirs::rooted;
use super::super::state::{self, StatePath};
use super::cgroup;
use super::running::{LxcPlace, is_in_network_of_host};
use crate::netlink;

/// As `/proc/net/unix` of a host without CONFIG_UNIX_DIAG is read: each of its lines is one of any user's sockets.
const MOST_BYTES: u64 = 64 << 20;

/// The containers of `owner`, of that name or of all names, that run and are defined elsewhere than `here`, and than in the
/// LXCPATHs that are `taken` by other engines.
pub(super) fn elsewhere(
    owner: Uid,
    called: Option<&OsStr>,
    here: &StatePath,
    taken: &[PathBuf],
) -> Vec<LxcPlace> {
    let wanted = |name: &[u8]| {
        let place = place(name)?;
        let is_new = place.path != here.as_path() && !taken.contains(&place.path);
        (is_new && called.is_none_or(|called| called == place.name) && place.path.starts_with(rooted("/")))
            .then_some(place)
    };
    // Any user may listen under any number of names: whose it is costs nothing to compare.
    let is_theirs = |name: &[u8], made_by: Uid| made_by == owner && wanted(name).is_some();
    let mut names = match netlink::abstract_listeners(is_theirs) {
        Ok(listeners) => listeners.into_iter().map(|listener| listener.name).collect(),
        // Whose each is shows when it is asked.
        Err(_) => all_listeners(),
    };
    if owner.is_root() && !is_in_network_of_host() {
        names.extend(cgroup::commands());
    }
    let mut places: Vec<_> = names.iter().filter_map(|name| wanted(name)).collect();
    places.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    places.dedup();
    // A container that is in the host's network, but not in its files, can make a socket and no directory.
    places.retain(|place| is_defined(&here.at(place.path.join(&place.name))));
    places
}

/// Whether the directory is a container's: has a `config` of the right user's.
fn is_defined(directory: &StatePath) -> bool {
    state::has_file(&directory.join("config")).unwrap_or(false)
}

fn all_listeners() -> Vec<Vec<u8>> {
    let Ok(sockets) = File::open("/proc/self/net/unix") else { return vec![] };
    let lines = BufReader::new(sockets.take(MOST_BYTES)).split(b'\n').map_while(Result::ok);
    lines.filter_map(|line| cgroup::listener(&line)).map(|(_, name)| name).collect()
}

/// From `PATH/NAME/command`.
fn place(command: &[u8]) -> Option<LxcPlace> {
    let directory = Path::new(OsStr::from_bytes(command.strip_suffix(b"/command")?));
    let (path, name) = (directory.parent()?, directory.file_name()?);
    // As it would be put together again: no doubled slash, no dots.
    let is_plain = path.join(name).as_os_str() == directory.as_os_str();
    (is_plain && path.is_absolute()).then(|| LxcPlace { path: path.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_socket_tells_where_the_container_is() {
        let of = |name: &str| place(name.as_bytes()).map(|place| (place.path, place.name));
        assert_eq!(of("/srv/lxc/web/command"), Some(("/srv/lxc".into(), "web".into())));
        for other in [
            "/web",
            "web/command",
            "lxc/0123456789abcdef/command",
            "/command",
            "/srv//command",
            "/srv/../command",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
