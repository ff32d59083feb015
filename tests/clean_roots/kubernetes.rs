//! The recipes for Kubernetes, compared with the API's schema. Observer: the Kubernetes project's own client, as Debian has it, whose
//! classes are generated from the API's OpenAPI description. No cluster is started.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::run::{Ran, Run};
use support::skip::{Missing, need, program};
use support::tools;

use crate::pages::block_with;

const PAGE: &str = "docs/install.md";
const HEADING: &str = "## In Kubernetes";

/// For packages to be fetched.
const FETCHING: Duration = Duration::from_secs(300);

struct Api(String);

impl Api {
    fn get() -> Result<Api, Missing> {
        program("python3", "python3-minimal")?;
        program("apt-get", "apt")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/packages");
        // No program is called so: it is unpacked.
        let mut packages = Command::new(script);
        packages.args(["no-program:python3-kubernetes", "no-program:python3-yaml"]);
        let ran = packages.start().finish_within(FETCHING);
        match ran.status.is_some_and(|status| status.success()) {
            true => Ok(Api(format!("{}/usr/lib/python3/dist-packages", ran.stdout.trim()))),
            false => Err(Missing::Fixable(format!("no client of Kubernetes: {}", ran.stderr.trim()))),
        }
    }

    /// Whether the YAML is an object of that class.
    fn fits(&self, class: &str, yaml: &str) -> Ran {
        let mut python = tools::in_clean_environment(Command::new("/usr/bin/python3"));
        python.env("PYTHONPATH", &self.0).env("PYTHONDONTWRITEBYTECODE", "1");
        python.args(["-c", include_str!("schema.py"), class]).run_with_input(yaml)
    }
}

/// What `cat` writes into a file.
fn written(block: &str, file: &str) -> String {
    let begin = format!("cat >{file} <<END\n");
    let text = block.split(&begin).nth(1).unwrap_or_else(|| panic!("no {begin} in {block}"));
    text.split("\nEND\n").next().unwrap().to_owned() + "\n"
}

#[test]
fn the_daemon_set_of_the_page_is_one_of_the_api() {
    let api = need!(Api::get());
    let yaml = written(&block_with(PAGE, HEADING, "DaemonSet"), "daemonset.yaml");
    api.fits("V1DaemonSet", &yaml).ok();
    // What the tools need of the host is asked for.
    for needed in ["hostPID: true", "hostNetwork: true", "privileged: true", "mountPath: /run", "path: /run"]
    {
        assert!(yaml.contains(needed), "{needed}: {yaml}");
    }
    // The comparison would see a mistake.
    api.fits("V1DaemonSet", &yaml.replace("hostPID:", "hostPid:"))
        .fails_with(1)
        .stderr_has("no field hostPid");
    api.fits("V1DaemonSet", &yaml.replace("mountPath: /run", "readOnly: true"))
        .fails_with(1)
        .stderr_has("mount_path");
    api.fits("V1DaemonSet", &yaml.replace("privileged: true", "privileged: yep"))
        .fails_with(1)
        .stderr_has("no bool");
}

/// kubectl takes a part of a container, but for its name, image, command, lifecycle and volumeDevices (its `pkg/cmd/debug/debug.go`),
/// and calls the volume that is the node's root directory `host-root` (`profiles.go` there).
#[test]
fn what_kubectl_debug_adds_is_a_part_of_a_container() {
    let api = need!(Api::get());
    let block = block_with(PAGE, HEADING, "kubectl debug");
    let custom: serde_json::Value = serde_json::from_str(&written(&block, "run.json")).unwrap();
    let keys: Vec<&String> = custom.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["volumeMounts"]);
    assert_eq!(custom["volumeMounts"][0]["name"], "host-root");
    let mut container = custom;
    container["name"] = "debugger".into();
    api.fits("V1Container", &container.to_string()).ok();
    assert!(block.contains("--custom=run.json") && block.contains("--profile=sysadmin"), "{block}");
}
