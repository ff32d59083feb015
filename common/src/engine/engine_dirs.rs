//! The users that have engines on this host, and the directories of each user's engines.

use std::env;
use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use super::state::StatePath;

/// More users than have containers on one host. What is read of each is bounded too.
const MOST_USERS: usize = 64;

/// One user's part of the host: root's is the system's, an ordinary user's is the rootless engines'.
#[derive(Debug, Clone)]
pub(super) struct EngineDirs {
    /// The user that makes the claims that are read there.
    pub owner: Uid,
    /// What is gone at boot: `/run`, or `$XDG_RUNTIME_DIR`.
    pub run: StatePath,
    /// What stays: `/var/lib`, or `~/.local/share`.
    pub data: StatePath,
    /// `/etc`, or `~/.config`.
    pub config: StatePath,
}

impl EngineDirs {
    /// The system's directories, and ours too if we are an ordinary user.
    pub(super) fn ours() -> Vec<EngineDirs> {
        let own = Some(geteuid()).filter(|uid| !uid.is_root());
        std::iter::once(EngineDirs::system()).chain(own.and_then(EngineDirs::of_user)).collect()
    }

    /// Those of all other users, if we are root: of the user that called sudo, and of those that are logged in or whose
    /// services run, which have a runtime directory (`pam_systemd`(8)).
    pub(super) fn of_others() -> Vec<EngineDirs> {
        if !geteuid().is_root() {
            return vec![];
        }
        let caller = caller_of_sudo();
        let users = users_at_runtime().into_iter().filter(|user| Some(*user) != caller);
        caller.into_iter().chain(users).filter_map(EngineDirs::of_user).collect()
    }

    /// Those of one user.
    pub(super) fn of(owner: Uid) -> Option<EngineDirs> {
        if owner.is_root() { Some(EngineDirs::system()) } else { EngineDirs::of_user(owner) }
    }

    /// All of them.
    pub(super) fn all() -> Vec<EngineDirs> {
        [EngineDirs::ours(), EngineDirs::of_others()].concat()
    }

    /// Whether it is the system's own.
    pub(super) fn is_system(&self) -> bool {
        self.owner.is_root()
    }

    pub(super) fn system() -> EngineDirs {
        let owner = Uid::from_raw(0);
        let there = |path: &str| StatePath::new(rooted(path), owner_of_system_files());
        EngineDirs { owner, run: there("/run"), data: there("/var/lib"), config: there("/etc") }
    }

    /// `None` for a user who has no home.
    fn of_user(owner: Uid) -> Option<EngineDirs> {
        // Under sudo, HOME and the XDG variables are root's or those of any user.
        let own = |name| env::var_os(name).filter(|_| owner == geteuid()).map(PathBuf::from);
        let home = own("HOME").or_else(|| Some(User::from_uid(owner).ok()??.dir))?;
        let below_home = |name, path| own(name).unwrap_or_else(|| rooted(home.join(path)));
        let run = own("XDG_RUNTIME_DIR").unwrap_or_else(|| rooted(format!("/run/user/{owner}")));
        Some(EngineDirs {
            owner,
            run: StatePath::new(run, owner),
            data: StatePath::new(below_home("XDG_DATA_HOME", ".local/share"), owner),
            config: StatePath::new(below_home("XDG_CONFIG_HOME", ".config"), owner),
        })
    }
}

/// The ordinary users whose runtime directory is there and their own, by their numbers: as many as are looked at.
fn users_at_runtime() -> Vec<Uid> {
    let directory = rooted("/run/user");
    let number = |entry: DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut users: Vec<u32> =
        fs::read_dir(&directory).into_iter().flatten().flatten().filter_map(number).collect();
    users.sort_unstable();
    let is_own = |uid: &u32| {
        let meta = fs::symlink_metadata(directory.join(uid.to_string()));
        *uid != 0 && meta.is_ok_and(|meta| meta.is_dir() && meta.uid() == *uid)
    };
    users.into_iter().filter(is_own).take(MOST_USERS).map(Uid::from_raw).collect()
}

/// The user that called sudo, if we are root and that user is not.
pub(crate) fn caller_of_sudo() -> Option<Uid> {
    let caller = env::var("SUDO_UID").ok()?.parse().ok().map(Uid::from_raw);
    caller.filter(|uid| !uid.is_root() && geteuid().is_root())
}

/// Tests put a host of their own below `$NETNS_TOOLBOX_ROOT`. Release builds do not read that variable: a user that can
/// set it for root, as through `sudo -E`, would choose which files count as root's claims.
pub(super) fn rooted(path: impl AsRef<Path>) -> PathBuf {
    match test_root() {
        Some(root) => root.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref())),
        None => path.as_ref().to_owned(),
    }
}

/// Root; on a host that a test has made, the user that runs the test.
fn owner_of_system_files() -> Uid {
    if test_root().is_some() { geteuid() } else { Uid::from_raw(0) }
}

#[cfg(debug_assertions)]
fn test_root() -> Option<PathBuf> {
    env::var_os("NETNS_TOOLBOX_ROOT").map(PathBuf::from)
}

#[cfg(not(debug_assertions))]
fn test_root() -> Option<PathBuf> {
    None
}
