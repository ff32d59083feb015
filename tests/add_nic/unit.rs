//! The systemd units in contrib/, as systemd reads them.

use std::fs;
use std::path::Path;

use support::run::Run;
use support::scratch::Scratch;
use support::skip::{need, program};
use support::tools;

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    need!(program("systemd-analyze", "systemd"));
    let scratch = Scratch::new();
    for (unit, tool) in [
        ("add-nic-watch.service", "add-nic"),
        ("netns-link-watch.service", "netns-link"),
        ("netns-ls-watch.service", "netns-ls"),
    ] {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(unit)).unwrap();
        // The program and the manual are looked for, and are not installed.
        let text = text.replace(&format!("/usr/local/bin/{tool}"), tools::tool(tool));
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("Documentation="))
            .map(|line| format!("{line}\n"))
            .collect();
        let file = scratch.path(unit);
        fs::write(&file, text).unwrap();
        let verify = std::process::Command::new("systemd-analyze").arg("verify").arg(&file).run().ok();
        assert!(verify.stderr.is_empty(), "{verify}");
    }
}
