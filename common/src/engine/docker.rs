//! Docker: through its API or, where that does not answer, its state on disk.

mod context;
mod disk;
mod places;
mod traces;

use std::fs;
use std::path::Path;

use super::api::Api;
use super::api_or_disk::ApiOrDisk;
use super::engine_dirs::EngineDirs;
use super::{AnswerTimeout, EngineName, budget};
use disk::DockerDisk;
use places::socket_of;

const ENGINE: EngineName = EngineName::Docker;

/// The system's daemon, and a user's own rootless one. Where `$DOCKER_HOST` or the docker client's context names
/// another, that one is asked in the place of `ours`, and no other one's is.
pub(super) fn all(all_dirs: &[EngineDirs], ours: bool, limit: &AnswerTimeout) -> Vec<ApiOrDisk<DockerDisk>> {
    let in_dirs = |dirs: &EngineDirs| of(dirs, limit);
    let chosen = match budget::within(context::chosen) {
        Ok(None) => return all_dirs.iter().map(in_dirs).collect(),
        _ if !ours => return vec![],
        Ok(Some(address)) => context::local(address),
        Err(error) => Err(error),
    };
    vec![match chosen {
        // A daemon on a socket of its own has a data root of its own, and we do not know which.
        Ok(socket) => match EngineDirs::all().iter().find(|dirs| same_place(&socket_of(dirs), &socket)) {
            Some(dirs) => in_dirs(dirs),
            None => ApiOrDisk::new(ENGINE, Ok(Api::new(ENGINE, socket, limit.clone())), None),
        },
        Err(error) => ApiOrDisk::new(ENGINE, Err(error), None),
    }]
}

/// The daemon in these directories, whatever is chosen.
pub(super) fn of(dirs: &EngineDirs, limit: &AnswerTimeout) -> ApiOrDisk<DockerDisk> {
    let api = Ok(Api::new(ENGINE, socket_of(dirs), limit.clone()));
    ApiOrDisk::new(ENGINE, api, Some(DockerDisk::of(dirs, limit)))
}

/// Whether both paths name the same file, there or not: `/var/run` is a link to `/run`.
fn same_place(a: &Path, b: &Path) -> bool {
    let directory = |path: &Path| path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    a == b || (a.file_name() == b.file_name() && directory(a).is_some() && directory(a) == directory(b))
}
