//! Who may use a socket that has refused us, as the modes of its file and of the directories above it have it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group};

/// What a directory asks for to let a path go through it.
const SEARCH: u32 = 0o1;
/// What a socket asks for to be connected to (unix(7)).
const WRITE: u32 = 0o2;

/// Who may use it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SocketUsers {
    /// It is root's, and closed to every group and to all others.
    RootAlone,
    /// This group may, which people are meant to join.
    Group(String),
    /// The modes do not tell: they would let us in, or it is another user's.
    Untold,
}

impl SocketUsers {
    /// Of the first file on the way to `socket` that refuses: a directory whose entries we may not see, or else the socket.
    pub(super) fn of(socket: &Path) -> Self {
        let mut on_the_way: Vec<&Path> = socket.ancestors().collect();
        let mut refuses = None;
        while let Some(path) = on_the_way.pop() {
            match fs::metadata(path) {
                Ok(meta) => refuses = Some((meta, if path == socket { WRITE } else { SEARCH })),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
                Err(_) => return SocketUsers::Untold,
            }
        }
        let Some((meta, bit)) = refuses else { return SocketUsers::Untold };
        let group = Group::from_gid(Gid::from_raw(meta.gid())).ok().flatten();
        SocketUsers::by_mode((meta.uid(), meta.gid()), meta.mode(), bit, group.map(|group| group.name))
    }

    /// `bit` is what others need, and three to its left is the group's.
    fn by_mode((uid, gid): (u32, u32), mode: u32, bit: u32, group: Option<String>) -> Self {
        let (is_for_all, is_for_group) = (mode & bit != 0, mode & (bit << 3) != 0);
        match (uid, gid) {
            // Something else refuses us, such as a security module.
            _ if is_for_all => SocketUsers::Untold,
            (_, 1..) if is_for_group => group.map_or(SocketUsers::Untold, SocketUsers::Group),
            (0, _) => SocketUsers::RootAlone,
            _ => SocketUsers::Untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_closed_to_all_but_root_is_roots_alone() {
        let of = |uid, gid, mode| SocketUsers::by_mode((uid, gid), mode, WRITE, Some("docker".to_owned()));
        let docker = || SocketUsers::Group("docker".to_owned());
        assert_eq!(of(0, 0, 0o660), SocketUsers::RootAlone);
        assert_eq!(of(0, 0, 0o600), SocketUsers::RootAlone);
        assert_eq!(of(0, 999, 0o600), SocketUsers::RootAlone, "the group has no right to it");
        assert_eq!(of(0, 999, 0o660), docker());
        assert_eq!(of(1000, 999, 0o660), docker());
        assert_eq!(of(0, 0, 0o666), SocketUsers::Untold, "a security module, or an ACL");
        assert_eq!(of(0, 999, 0o666), SocketUsers::Untold);
        assert_eq!(of(1000, 1000, 0o600), SocketUsers::Untold);
        assert_eq!(
            of(65534, 65534, 0o600),
            SocketUsers::Untold,
            "root of the host, seen from a user namespace"
        );
        assert_eq!(SocketUsers::by_mode((0, 999), 0o660, WRITE, None), SocketUsers::Untold);
        // A directory asks for another bit.
        assert_eq!(SocketUsers::by_mode((0, 0), 0o700, SEARCH, None), SocketUsers::RootAlone);
        assert_eq!(SocketUsers::by_mode((0, 0), 0o702, SEARCH, None), SocketUsers::RootAlone);
        assert_eq!(SocketUsers::by_mode((0, 0), 0o711, SEARCH, None), SocketUsers::Untold);
    }
}
