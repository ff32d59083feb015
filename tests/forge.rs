//! What a forge reads of the checkout: its YAML parses, a form for an issue has what forms need, and CI runs targets of the
//! Makefile that there are.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::skip::{Missing, need, program};

/// All files of YAML below `.github`, parsed by another program, by their path there.
fn parsed() -> Result<Vec<(String, Value)>, Missing> {
    let python = program("python3", "python3")?;
    let script = "import json, pathlib, sys, yaml\n\
                  files = sorted(pathlib.Path('.github').rglob('*.yml'))\n\
                  print(json.dumps([[str(file), yaml.safe_load(file.read_text())] for file in files]))";
    let has_yaml = Command::new(&python).args(["-c", "import yaml"]).output().unwrap().status.success();
    if !has_yaml {
        return Err(Missing::ForGood("python3 has no module yaml (package python3-yaml)".to_owned()));
    }
    let ran = Command::new(python).args(["-c", script]).current_dir(root()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Ok(serde_json::from_slice(&ran.stdout).unwrap())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_form_for_an_issue_asks_for_what_an_answer_needs() {
    let forms: Vec<(String, Value)> =
        need!(parsed()).into_iter().filter(|(path, _)| path.contains("ISSUE_TEMPLATE")).collect();
    assert_eq!(forms.len(), 3, "{forms:#?}");
    for (path, form) in &forms {
        for key in ["name", "description"] {
            assert!(form[key].is_string(), "{path}: {key}");
        }
        let fields = form["body"].as_array().unwrap();
        let kinds = ["markdown", "input", "textarea", "dropdown", "checkboxes"];
        assert!(fields.iter().all(|field| kinds.contains(&field["type"].as_str().unwrap())), "{path}");
        let asked = fields.iter().filter(|field| field["type"] != "markdown");
        assert!(asked.clone().all(|field| field["attributes"]["label"].is_string()), "{path}: a label");
        let ids: Vec<&str> = asked.map(|field| field["id"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
        if !path.ends_with("feature.yml") {
            let text = form.to_string();
            for word in ["`uname -r`", "docker version", "-V`", "with -v", "--explain", "../security/policy"]
            {
                assert!(text.contains(word), "{path} does not ask for {word}");
            }
        }
    }
}

#[test]
fn ci_runs_what_a_contributor_types() {
    let files = need!(parsed());
    let (_, workflow) = files.iter().find(|(path, _)| path.ends_with("workflows/ci.yml")).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
    let commands: Vec<&str> = steps.filter_map(|step| step["run"].as_str()).collect();
    let made: BTreeSet<&str> = commands
        .iter()
        .filter_map(|command| Some(command.rsplit_once("make ")?.1))
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(made, BTreeSet::from(["lint", "test", "msrv"]), "{commands:#?}");
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    assert!(made.iter().all(|target| makefile.contains(&format!("\n{target}: rust\n"))), "{made:?}");
}
