//! Podman: through its Docker-like API where somebody serves it, else through its state on disk, which is the
//! usual way: Podman needs no daemon.

mod disk;

use super::api::Api;
use super::either::Either;
use super::realm::Realm;
use super::{EngineName, Limit};
use disk::PodmanDisk;

const ENGINE: EngineName = EngineName::Podman;

/// The system's Podman and the user's own.
pub(super) fn all(realms: &[Realm], limit: Limit) -> Vec<Either<PodmanDisk>> {
    let of_realm = |realm: &Realm| {
        let api = Api::new(ENGINE, realm.run.as_path().join("podman/podman.sock"), limit);
        Either::new(ENGINE, Ok(api), Some(PodmanDisk::of(realm)))
    };
    realms.iter().map(of_realm).collect()
}
