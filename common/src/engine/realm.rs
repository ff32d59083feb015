//! Whose engines there are on this host, and where each user's keep their things.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

/// One user's part of the host: root's is the system's, an ordinary user's is the rootless engines'.
#[derive(Debug, Clone)]
pub(super) struct Realm {
    /// Whose word it is that we read there.
    pub owner: Uid,
    /// What is gone at boot: `/run`, or `$XDG_RUNTIME_DIR`.
    pub run: PathBuf,
    /// What stays: `/var/lib`, or `~/.local/share`.
    pub data: PathBuf,
    /// `/etc`, or `~/.config`.
    pub config: PathBuf,
}

impl Realm {
    /// The system's realm, then ours if we are an ordinary user, or that of whoever called sudo.
    pub(super) fn all() -> Vec<Realm> {
        let own = Some(geteuid()).filter(|uid| !uid.is_root());
        let sudo = || env::var("SUDO_UID").ok()?.parse().ok().map(Uid::from_raw).filter(|uid| !uid.is_root());
        let user = own.or_else(sudo);
        std::iter::once(Realm::system()).chain(user.and_then(Realm::of_user)).collect()
    }

    /// Whether it is the system's own.
    pub(super) fn is_system(&self) -> bool {
        self.owner.is_root()
    }

    fn system() -> Realm {
        Realm {
            owner: Uid::from_raw(0),
            run: rooted("/run"),
            data: rooted("/var/lib"),
            config: rooted("/etc"),
        }
    }

    /// `None` for a user who has no home.
    fn of_user(owner: Uid) -> Option<Realm> {
        // Under sudo, HOME and the XDG variables are root's or anybody's.
        let own = |name| env::var_os(name).filter(|_| owner == geteuid()).map(PathBuf::from);
        let home = own("HOME").or_else(|| Some(User::from_uid(owner).ok()??.dir))?;
        let below_home = |name, path| own(name).unwrap_or_else(|| rooted(home.join(path)));
        Some(Realm {
            owner,
            run: own("XDG_RUNTIME_DIR").unwrap_or_else(|| rooted(format!("/run/user/{owner}"))),
            data: below_home("XDG_DATA_HOME", ".local/share"),
            config: below_home("XDG_CONFIG_HOME", ".config"),
        })
    }
}

/// Tests put a host of their own below `$NETNS_TOOLBOX_ROOT`.
pub(super) fn rooted(path: impl AsRef<Path>) -> PathBuf {
    match env::var_os("NETNS_TOOLBOX_ROOT") {
        Some(root) => Path::new(&root).join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref())),
        None => path.as_ref().to_owned(),
    }
}
