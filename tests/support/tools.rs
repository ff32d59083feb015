//! Where our built binaries are, and the environment that every command under test starts with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::skip::Missing;

/// Every tool of the box. Cargo tells a test crate the path of each binary at compile time and no other way,
/// so a new tool is a new line here.
const TOOLS: &[(&str, &str)] = &[
    ("cpid", env!("CARGO_BIN_EXE_cpid")),
    ("nsenter-rs", env!("CARGO_BIN_EXE_nsenter-rs")),
    ("netns-link", env!("CARGO_BIN_EXE_netns-link")),
    ("add-nic", env!("CARGO_BIN_EXE_add-nic")),
    ("netns-ping", env!("CARGO_BIN_EXE_netns-ping")),
];

/// The full path of the built tool called `name`.
#[track_caller]
pub(crate) fn tool(name: &str) -> &'static str {
    let known = TOOLS.iter().find(|(tool, _)| *tool == name);
    known.unwrap_or_else(|| panic!("no tool called {name}: is it in tests/support/tools.rs?")).1
}

/// The full path of the tool called `name` as it is shipped: a static binary, which runs where there are no libraries.
/// Built when the first test asks for it.
pub(crate) fn static_tool(name: &str) -> Result<PathBuf, Missing> {
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
    let target = Path::new(tool(name)).ancestors().nth(2).expect("TARGET/debug/TOOL");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--bin", name, "--target", triple, "--target-dir"])
        .arg(target);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(target.join(triple).join("debug").join(name)),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Takes from `command` what the caller's environment could change in its outcome: which engines it asks
/// (DOCKER_HOST, XDG_RUNTIME_DIR, SUDO_UID), its language, its colours.
pub(crate) fn in_clean_environment(mut command: Command) -> Command {
    command.env_clear().env("PATH", path()).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    for kept in ["RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// The caller's PATH with the directories of `ip` and `pivot_root`, which an ordinary user's often lacks.
pub(crate) fn path() -> String {
    format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", std::env::var("PATH").unwrap_or_default())
}
