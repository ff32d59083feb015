//! Where the library containers/storage keeps the containers of Podman and CRI-O: containers-storage.conf(5). `/etc`'s file
//! takes the place of `/usr/share`'s; both have a directory of additions since Podman 6. A user has a file of their own, and
//! without one the system's says where users' storage is.

use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::EngineError;
use super::engine_dirs::{EngineDirs, rooted};
use super::settings::{Settings, drop_ins};
use super::state::StatePath;

const TABLE: &str = "storage";
const KEYS: [&str; 3] = ["graphroot", "runroot", "rootless_storage_path"];

/// The two directories of one user's storage.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// The graph root, which stays.
    pub graph: StatePath,
    /// The run root, which is gone at boot.
    pub run: StatePath,
}

impl Storage {
    /// Where it is without any configuration.
    pub(super) fn usual(dirs: &EngineDirs) -> Storage {
        // As containers-storage.conf(5) has the run roots: a rootless one lacks the last part.
        let run = dirs.run.join(if dirs.is_system() { "containers/storage" } else { "containers" });
        Storage { graph: dirs.data.join("containers/storage"), run }
    }

    /// As the configuration of `dirs` has it.
    ///
    /// # Errors
    /// A configuration that cannot be read, or makes no sense.
    pub(super) fn of(dirs: &EngineDirs) -> Result<Storage, EngineError> {
        let usual = Storage::usual(dirs);
        if dirs.is_system() {
            return Ok(usual.set_by(&system_settings(&dirs.config)?, dirs));
        }
        let own = dirs.config.join("containers/storage.conf");
        let mut settings = Settings::default();
        settings.read(&own, TABLE, &KEYS)?;
        for file in drop_ins(&dirs.config.join("containers/storage.conf.d"))? {
            settings.read(&file, TABLE, &KEYS)?;
        }
        if settings.path("graphroot").is_some() {
            return Ok(usual.set_by(&settings, dirs));
        }
        let users = system_settings(&EngineDirs::system().config)?.path("rootless_storage_path");
        let graph = users.map(|path| dirs.data.at(rooted(expanded(&path, dirs))));
        Ok(Storage { graph: graph.unwrap_or_else(|| usual.graph.clone()), ..usual.set_by(&settings, dirs) })
    }

    /// With the places that `settings` set: CRI-O calls them `root` and `runroot`.
    #[must_use]
    pub(super) fn set_by(self, settings: &Settings, dirs: &EngineDirs) -> Storage {
        let place = |keys: &[&str]| {
            let path = keys.iter().find_map(|key| settings.path(key))?;
            Some(dirs.data.at(rooted(expanded(&path, dirs))))
        };
        Storage {
            graph: place(&["root", "graphroot"]).unwrap_or(self.graph),
            run: place(&["runroot"]).unwrap_or(self.run),
        }
    }
}

fn system_settings(config: &StatePath) -> Result<Settings, EngineError> {
    let mut settings = Settings::default();
    let shared = config.at(rooted("/usr/share/containers/storage.conf"));
    let own = config.join("containers/storage.conf");
    settings.read(if own.exists() { &own } else { &shared }, TABLE, &KEYS)?;
    for directory in [rooted("/usr/share/containers/storage.conf.d"), own.as_path().with_extension("conf.d")]
    {
        for file in drop_ins(&config.at(directory))? {
            settings.read(&file, TABLE, &KEYS)?;
        }
    }
    Ok(settings)
}

/// With `$HOME`, `$UID` and `$USER` of the user whose storage it is.
fn expanded(path: &Path, dirs: &EngineDirs) -> PathBuf {
    let Some(text) = path.to_str().filter(|text| text.contains('$')) else { return path.to_owned() };
    let user = User::from_uid(dirs.owner).ok().flatten();
    let home = user.as_ref().map_or(String::new(), |user| user.dir.display().to_string());
    let name = user.map_or(String::new(), |user| user.name);
    let with = |text: String, variable: &str, value: &str| {
        text.replace(&format!("${{{variable}}}"), value).replace(&format!("${variable}"), value)
    };
    let text = with(text.to_owned(), "HOME", &home);
    let text = with(text, "USER", &name);
    PathBuf::from(with(text, "UID", &dirs.owner.to_string()))
}
