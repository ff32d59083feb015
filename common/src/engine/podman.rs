//! Podman: through its Docker-like API where somebody serves it, else through its state on disk, which is the
//! usual way: Podman needs no daemon.

mod disk;

use std::time::Duration;

use super::EngineName;
use super::api::Api;
use super::either::Either;
use super::realm::Realm;
use disk::PodmanDisk;

const ENGINE: EngineName = EngineName::Podman;

/// The system's Podman and the user's own.
pub(super) fn all(realms: &[Realm], timeout: Duration) -> Vec<Either<PodmanDisk>> {
    let of_realm = |realm: &Realm| {
        let api = Api::new(ENGINE, realm.run.join("podman/podman.sock"), timeout);
        Either { engine: ENGINE, api: Ok(api), disk: Some(PodmanDisk::of(realm)) }
    };
    realms.iter().map(of_realm).collect()
}
