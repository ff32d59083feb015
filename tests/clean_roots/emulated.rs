//! The other architecture's binaries, under an emulator of programs. Observer: this machine's binaries of the same commit. What an
//! emulator makes of netlink and namespaces proves nothing of a kernel there, so it is not asked.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::run::Run;
use support::skip::{Missing, need, program};
use support::tools;

use crate::shipped::Shipped;

const OTHER: &str = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };

/// For packages to be fetched.
const FETCHING: Duration = Duration::from_secs(300);

/// Debian's qemu, unpacked and not installed.
fn emulator() -> Result<PathBuf, Missing> {
    let name = format!("qemu-{OTHER}-static");
    if let Ok(installed) = program(&name, "qemu-user-static") {
        return Ok(installed);
    }
    program("apt-get", "apt")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/packages");
    let ran = Command::new(script).arg(format!("{name}:qemu-user-static")).start().finish_within(FETCHING);
    match ran.status.is_some_and(|status| status.success()) {
        true => Ok(Path::new(ran.text()).join("usr/bin").join(name)),
        false => Err(Missing::Fixable(format!("no emulator: {}", ran.stderr.trim()))),
    }
}

#[test]
fn the_other_architectures_tools_say_what_ours_say() {
    let shipped = need!(Shipped::get());
    let emulator = need!(emulator());
    let (ours, others) = (shipped.unpacked(ARCH), shipped.unpacked(OTHER));
    let binaries =
        |unpacked: &Path| fs::read_dir(unpacked).unwrap().next().unwrap().unwrap().path().join("bin");
    let (ours, others) = (binaries(ours.as_ref()), binaries(others.as_ref()));
    let pid = std::process::id().to_string();
    for tool in tools::names() {
        let mut asked = vec![vec!["--version"], vec!["--help"], vec!["-h"]];
        match tool {
            // A process of this machine, held by a pidfd and verified.
            "cpid" => asked.push(vec![&pid]),
            // Parsed and refused.
            "add-nic" => asked.push(vec!["--dry-run", "no-such-container", "10.1.0.2/33"]),
            _ => {}
        }
        for words in asked {
            let native = tools::in_clean_environment(Command::new(ours.join(tool))).args(&words).run();
            let mut emulated = tools::in_clean_environment(Command::new(&emulator));
            let emulated = emulated.arg(others.join(tool)).args(&words).run();
            assert_eq!(emulated.stdout, native.stdout, "{tool} {words:?}: {emulated}");
            assert_eq!(emulated.stderr, native.stderr, "{tool} {words:?}: {emulated}");
            assert_eq!(emulated.status.and_then(|one| one.code()), native.status.and_then(|one| one.code()));
        }
    }
}
