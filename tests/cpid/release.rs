//! What is shipped has no door for tests: the variable that puts engines' state below another root.

use std::fs;
use std::path::PathBuf;

use support::skip::{Missing, need};
use support::tools::tool;

const DOOR: &str = "NETNS_TOOLBOX_ROOT";

/// Release binaries of cpid that were built from what the tests were built from, or from something newer.
fn released() -> Result<Vec<PathBuf>, Missing> {
    let built = PathBuf::from(tool("cpid"));
    let target = built.ancestors().nth(2).unwrap();
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/common/src/engine/engine_dirs.rs");
    let written = |file: &PathBuf| fs::metadata(file).and_then(|meta| meta.modified()).ok();
    let since = written(&source.into());
    let mut binaries = vec![target.join("release/cpid"), target.join(triple).join("release/cpid")];
    binaries.retain(|binary| written(binary).is_some_and(|built| Some(built) > since));
    match binaries.is_empty() {
        true => Err(Missing::ForGood(
            "no release binary of this source is here: tests/setup/release builds them".into(),
        )),
        false => Ok(binaries),
    }
}

fn holds(binary: &PathBuf, word: &str) -> bool {
    fs::read(binary).unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

#[test]
fn the_variable_that_moves_roots_state_is_in_no_release_binary() {
    // Where it is, this finds it; and what the other ones do have is found in them.
    assert!(holds(&tool("cpid").into(), DOOR));
    for binary in need!(released()) {
        assert!(holds(&binary, "XDG_RUNTIME_DIR"), "{}", binary.display());
        assert!(!holds(&binary, DOOR), "{}", binary.display());
    }
}
