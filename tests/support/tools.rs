//! Where our built binaries are, and the environment that every command under test starts with.

use std::process::Command;

/// Every tool of the box. Cargo tells a test crate the path of each binary at compile time and no other way,
/// so a new tool is a new line here.
const TOOLS: &[(&str, &str)] = &[
    ("cpid", env!("CARGO_BIN_EXE_cpid")),
    ("nsenter-rs", env!("CARGO_BIN_EXE_nsenter-rs")),
    ("netns-link", env!("CARGO_BIN_EXE_netns-link")),
    ("add-nic", env!("CARGO_BIN_EXE_add-nic")),
];

/// The full path of the built tool called `name`.
#[track_caller]
pub(crate) fn tool(name: &str) -> &'static str {
    let known = TOOLS.iter().find(|(tool, _)| *tool == name);
    known.unwrap_or_else(|| panic!("no tool called {name}: is it in tests/support/tools.rs?")).1
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
