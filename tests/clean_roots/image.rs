//! The container image that the page makes, in a real Docker. Observer: `docker inspect`, and the world outside of the container.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use support::run::{Ran, Run};
use support::skip::need;
use support::world::{IMAGE, World};

use crate::pages::block;
use crate::shipped::Shipped;

const PRIVILEGED: &str = "--privileged";

/// What `--privileged` is for the tools, on a machine that lacks other capabilities itself: there Docker can give no container all.
const ALL_THEY_USE: &str = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN \
    --cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-add NET_RAW --cap-add DAC_READ_SEARCH --cap-add DAC_OVERRIDE";

#[test]
fn an_image_from_scratch_finds_a_container_of_its_host_and_names_its_network() {
    let world = need!(World::get().and_then(World::with_docker));
    let shipped = need!(Shipped::get());
    let unpacked = shipped.unpacked(ARCH);
    let container = world.docker_container("image", &[]);
    let name = &container.name;
    let paste = |lines: &str| -> Ran {
        let mut bash = world.command("bash");
        bash.current_dir(unpacked.as_ref()).args(["-ec", lines]).run()
    };
    let lines = block("docs/install.md", "## In a container");
    let (build, run) = lines.split_once('\n').unwrap();
    paste(build).ok();
    let probe = world.command("docker").args(["run", "--rm", PRIVILEGED, IMAGE, "true"]).run();
    let run = match probe.stderr.contains("unable to apply caps") {
        true => run.trim().replace(PRIVILEGED, ALL_THEY_USE),
        false => run.trim().to_owned(),
    };
    // On a terminal, as somebody types it.
    paste(&format!("script -qec '{run}' /dev/null")).ok().stdout_has("WHO ").stdout_has(name);
    let other = |command: &str| run.replace(" -it ", " ").replace(" netns-ls", &format!(" {command}"));
    assert_eq!(paste(&other(&format!("cpid {name}"))).ok().text(), container.pid().to_string());
    // A name that it makes is the host's, with what the page says.
    let shared = "-v /run:/run:rshared";
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md")).unwrap();
    assert!(page.contains(&format!("`{shared}`")), "{page}");
    let linking = |command: &str| other(command).replace("-v /run:/run", shared);
    // As systemd has it on a host.
    world.command("mount").args(["--make-shared", "/run"]).run().ok();
    paste(&linking(&format!("netns-link {name}"))).ok();
    world.command("ip").args(["-n", name, "link", "show", "eth0"]).run().ok();
    paste(&linking(&format!("netns-link --rm {name}"))).ok();
    world.command("mount").args(["--make-private", "/run"]).run().ok();
    world.command("docker").args(["image", "rm", "netns-toolbox"]).run().ok();
}
