//! Where our built binaries are, and the environment that every command under test starts with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::skip::Missing;

/// The checkout that the tests were built from.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The names of all tools: each is a `[[bin]]` of the root package. This is the one table of them, and what else has
/// to know a tool (manuals, layers, hints) is compared with it by a test.
pub fn names() -> Vec<&'static str> {
    let manifest = include_str!("../../Cargo.toml");
    // name = "…" is the first line of each.
    manifest.split("[[bin]]").skip(1).map(|entry| entry.split('"').nth(1).expect("a name")).collect()
}

/// The full path of the built tool called `name`.
#[track_caller]
pub fn tool(name: &str) -> &'static str {
    static TOOLS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
        let path = |name| directory().join(name).to_str().expect("a path in UTF-8").to_owned();
        names().into_iter().map(|name| (name, path(name))).collect()
    });
    let known = TOOLS.get(name);
    let path = known.unwrap_or_else(|| panic!("no tool called {name}: it is no [[bin]] of Cargo.toml"));
    assert!(Path::new(path).is_file(), "{path} is not there: cargo build makes it");
    path
}

/// Where the built tools are: in `NETNS_TOOLBOX_BIN`, or where cargo puts them, which builds them for every test of the
/// package: TARGET/PROFILE, of a test that is TARGET/PROFILE/deps/TEST.
fn directory() -> PathBuf {
    match std::env::var_os("NETNS_TOOLBOX_BIN").filter(|value| !value.is_empty()) {
        Some(directory) => std::path::absolute(directory).unwrap(),
        None => {
            std::env::current_exe().unwrap().ancestors().nth(2).expect("TARGET/PROFILE/deps/TEST").to_owned()
        }
    }
}

/// Time for an engine that answers, on a machine that is busy with other things too: the default of 300 ms is too short there.
pub const PATIENT: &str = "--engine-timeout=10s";

/// [`PATIENT`], if `arguments` do not say how long: a test that is about an engine which never answers does.
pub fn patience(arguments: &[&str]) -> Option<&'static str> {
    let is_given = arguments.iter().any(|argument| argument.starts_with("--engine-timeout"));
    (!is_given).then_some(PATIENT)
}

/// The full path of the tool called `name` as it is shipped: a static binary, which runs where there are no libraries.
/// Built when the first test asks for it.
pub fn static_tool(name: &str) -> Result<PathBuf, Missing> {
    static BUILT: Mutex<BTreeMap<String, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = built.entry(name.to_owned()).or_insert_with(|| build_static(name, &triple));
    match answer {
        Ok(tool) => Ok(tool.clone()),
        Err(why) if why.contains("target may not be installed") => {
            Err(Missing::Fixable(format!("no static binaries: rustup target add {triple}")))
        }
        Err(why) => panic!("no static {name}: {why}"),
    }
}

/// In the directory in which the tests themselves were built, for most of it is there already.
fn build_static(name: &str, triple: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = test.ancestors().nth(3).expect("TARGET/PROFILE/deps/TEST");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--bin", name, "--target", triple, "--target-dir"])
        .arg(target);
    cargo.current_dir(ROOT);
    let output = cargo.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(target.join(triple).join("debug").join(name)),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Takes from `command` what the caller's environment could change in its outcome: which engines it asks
/// (DOCKER_HOST, XDG_RUNTIME_DIR, SUDO_UID), its language, its colours.
pub fn in_clean_environment(mut command: Command) -> Command {
    command.env_clear().env("PATH", path()).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    for kept in ["RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// The caller's PATH with the directories of `ip` and `pivot_root`, which an ordinary user's often lacks.
pub fn path() -> String {
    format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", std::env::var("PATH").unwrap_or_default())
}
