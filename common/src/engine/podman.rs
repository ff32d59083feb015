//! Podman: through its Docker-like API if a process serves it, else through its state on disk, which is the
//! usual way: Podman needs no daemon.

mod disk;
mod pods;

use super::api::Api;
use super::api_or_disk::ApiOrDisk;
use super::engine_dirs::EngineDirs;
use super::{AnswerTimeout, EngineName};
use disk::PodmanDisk;

const ENGINE: EngineName = EngineName::Podman;

/// The system's Podman and the user's own.
pub(super) fn all(all_dirs: &[EngineDirs], limit: &AnswerTimeout) -> Vec<ApiOrDisk<PodmanDisk>> {
    let in_dirs = |dirs: &EngineDirs| {
        let api = Api::new(ENGINE, dirs.run.as_path().join("podman/podman.sock"), limit.clone());
        ApiOrDisk::new(ENGINE, Ok(api), Some(PodmanDisk::of(dirs)))
    };
    all_dirs.iter().map(in_dirs).collect()
}
