//! Podman: through its Docker-like API where somebody serves it, else through its state on disk, which is the
//! usual way: Podman needs no daemon.

mod disk;

use super::api::Api;
use super::either::ApiOrDisk;
use super::realm::EngineDirs;
use super::{AnswerTimeout, EngineName};
use disk::PodmanDisk;

const ENGINE: EngineName = EngineName::Podman;

/// The system's Podman and the user's own.
pub(super) fn all(realms: &[EngineDirs], limit: AnswerTimeout) -> Vec<ApiOrDisk<PodmanDisk>> {
    let of_realm = |realm: &EngineDirs| {
        let api = Api::new(ENGINE, realm.run.as_path().join("podman/podman.sock"), limit);
        ApiOrDisk::new(ENGINE, Ok(api), Some(PodmanDisk::of(realm)))
    };
    realms.iter().map(of_realm).collect()
}
