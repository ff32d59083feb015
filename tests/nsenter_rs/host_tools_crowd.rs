//! `--host-tools` by many at once, who all make, use and tidy up what is kept below `/run`.

use std::fs;

use crate::PATH;
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools::static_tool;

/// `$1 WORDS…` fifty times at once; a line for each that did not succeed.
const FIFTY: &str = r#"
for i in $(seq 50); do
    (umask 077; "$@" >/run/out.$i 2>&1 || echo "$i: status $?: $(cat /run/out.$i)") &
done
wait"#;

/// Looks for its children's programs for as long as the others tidy up.
const CHILDREN: &str = "for i in 1 2 3 4 5; do ls / >/dev/null || exit 9; done";

#[test]
fn fifty_who_begin_at_once_all_find_their_programs() {
    let lab = need!(Lab::with_users());
    let ours = need!(static_tool("nsenter-rs"));
    let web = lab.container("web", Options::default());
    let all = lab.path("/run/netns-toolbox/host-tools");
    for _ in 0..3 {
        let mut crowd = lab.command("sh");
        crowd.env("PATH", PATH).args(["-c", FIFTY, "sh"]).arg(&ours);
        crowd.args(["-t", &web.pid.to_string(), "-a", "-H", "sh", "-c", CHILDREN]);
        crowd.run().ok().stdout_is("");
        let kept: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        fs::remove_dir_all(&all).unwrap();
    }
}

#[test]
fn what_a_killed_one_left_unfinished_is_no_kit_and_is_removed_in_the_end() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    let all = lab.path("/run/netns-toolbox/host-tools");
    let run = |path: &str| {
        let mut enter = lab.tool("nsenter-rs");
        enter.env("PATH", path).args(["-t", &web.pid.to_string(), "-a", "-H", "true"]).run().ok();
    };
    run(PATH);
    lab.shell(
        "cd /run/netns-toolbox/host-tools; for kit in *; do mkdir $kit.1/bin $kit.2/bin -p; done; \
         touch -d '1 hour ago' *.1; rm */stamp",
    )
    .run()
    .ok();
    run(PATH);
    run(&format!("/run:{PATH}"));
    let mut kept: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.retain(|name| name.to_string_lossy().contains('.'));
    assert!(matches!(&kept[..], [one] if one.to_string_lossy().ends_with(".2")), "{kept:?}");
}
