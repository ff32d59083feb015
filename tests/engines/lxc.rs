//! The real LXC, with lxc-info as observer.

use std::time::Duration;

use serde_json::json;

use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools;
use support::until::as_busy;
use support::world::World;

/// A container of the world's real LXC, removed when this is dropped.
struct RealContainer<'world> {
    world: &'world World,
    path: String,
    name: String,
}

impl<'world> RealContainer<'world> {
    fn defined(world: &'world World, name: String) -> Self {
        let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/lxc-container");
        world.command(recipe).arg(&name).run().ok();
        RealContainer { world, path: "/var/lib/lxc".to_owned(), name }
    }

    /// One that is defined below `path`, as after `lxc-create -P`.
    fn elsewhere(world: &'world World, path: &str, name: String) -> Self {
        let mut web = RealContainer::defined(world, name);
        let script = format!("mkdir -p {path} && mv /var/lib/lxc/{} {path}/", web.name);
        world.command("sh").args(["-c", &script]).run().ok();
        path.clone_into(&mut web.path);
        web
    }

    fn lxc(&self, program: &str, arguments: &[&str]) -> Ran {
        self.world.engine(program).args(["-P", &self.path, "-n", &self.name]).args(arguments).run()
    }

    /// Its monitor, which is the parent of its first process.
    #[track_caller]
    fn monitor(&self) -> String {
        self.world.command("ps").args(["-o", "ppid=", "-p", &self.pid()]).run().ok().text().trim().to_owned()
    }

    #[track_caller]
    fn start(&self) {
        self.lxc("lxc-start", &["--", "sleep", "infinity"]).ok();
    }

    #[track_caller]
    fn pid(&self) -> String {
        self.lxc("lxc-info", &["-pH"]).ok().text().to_owned()
    }
}

impl Drop for RealContainer<'_> {
    fn drop(&mut self) {
        let _ = self.lxc("lxc-stop", &["-k"]);
        let _ = self.world.command("rm").args(["-rf", &format!("{}/{}", self.path, self.name)]).run();
    }
}

fn with_lxc() -> Result<World, Missing> {
    let world = World::get()?;
    let there =
        world.command("lxc-start").arg("--version").run().status.is_some_and(|status| status.success());
    there.then_some(world).ok_or_else(|| Missing::Fixable("no LXC in this world".into()))
}

#[test]
fn a_real_containers_pid_is_what_lxc_info_says() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    let pid = web.pid();
    for target in [web.name.clone(), format!("lxc:{}", web.name)] {
        world.tool("cpid").arg(target).run().ok().stdout_is(&format!("{pid}\n"));
    }
    let inode = world.tool("cpid").args(["--inode", &web.name]).run().ok();
    assert!(inode.text().starts_with(&format!("{pid}:")), "{inode}");
}

#[test]
fn a_real_container_that_was_stopped_has_no_process_and_a_hint() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    let stopped = world.tool("cpid").arg(format!("lxc:{}", web.name)).run().fails_with(1);
    stopped.stderr_has("is not running").stderr_has(&format!("hint: lxc-start {}", web.name));
    web.start();
    web.lxc("lxc-stop", &["-k"]).ok();
    world.tool("cpid").arg(format!("lxc:{}", web.name)).run().fails_with(1).stderr_has("is not running");
}

#[test]
fn the_beginning_of_a_name_is_no_name() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    let beginning = &web.name[..web.name.len() - 1];
    world.tool("cpid").arg(format!("lxc:{beginning}")).run().fails_with(1).stderr_has("no such container");
}

#[test]
fn a_frozen_container_is_listed_as_paused() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    web.lxc("lxc-freeze", &[]).ok();
    let listed = world.tool("cpid").args(["--list", "--json", "--engine", "lxc"]).run().ok().json();
    let listed = listed.as_array().unwrap().iter().find(|one| one["name"] == *web.name).unwrap().clone();
    web.lxc("lxc-unfreeze", &[]).ok();
    assert_eq!(listed["state"], "paused");
    assert_eq!(listed["pid"].to_string(), web.pid());
}

#[test]
fn a_name_that_lxc_hashes_is_found() {
    let world = need!(with_lxc());
    let long = RealContainer::defined(&world, unique(&"long-".repeat(24)));
    // Its name is too long for the host name it would have.
    let config = format!("/var/lib/lxc/{}/config", long.name);
    world.command("sed").args(["-i", "s/^lxc.uts.name.*/lxc.uts.name = long/", &config]).run().ok();
    long.start();
    world.tool("cpid").arg(format!("lxc:{}", long.name)).run().ok().stdout_is(&format!("{}\n", long.pid()));
}

#[test]
fn a_real_container_is_waited_for() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    let script = format!(
        "{} --wait 20s lxc:{} & while ! grep -qs poll /proc/$!/wchan; do sleep 0.01; done; \
         lxc-start {} sleep infinity; wait $!",
        tools::tool("cpid"),
        web.name,
        web.name
    );
    let ran = world.engine("sh").args(["-c", &script]).run().ok();
    assert_eq!(ran.text(), web.pid(), "{ran}");
    assert!(ran.took < as_busy(Duration::from_secs(15)), "{ran}");
}

#[test]
fn a_real_container_of_another_path_is_found_listed_and_owned() {
    let world = need!(with_lxc());
    let path = format!("/srv/{}", unique("lxc-"));
    let web = RealContainer::elsewhere(&world, &path, unique("web-"));
    world.tool("cpid").arg(format!("lxc:{}", web.name)).run().fails_with(1).stderr_has("no such container");
    web.start();
    let pid = web.pid();
    for target in [web.name.clone(), format!("lxc:{}", web.name)] {
        world.tool("cpid").arg(target).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    }
    let of = world.tool("cpid").args(["--of", &pid]).run().ok();
    of.stdout_is(&format!("lxc:{}\n", web.name));
    let listed = world.tool("cpid").args(["--list", "--json", "--engine", "lxc"]).run().ok().json();
    let listed = listed.as_array().unwrap().iter().find(|one| one["name"] == *web.name).unwrap().clone();
    assert_eq!((&listed["pid"].to_string(), &listed["id"]), (&pid, &json!(format!("{path}/{}", web.name))));
    // A link of another name leads to it, although its ID is a path.
    let link = unique("link-");
    world.tool("netns-link").args([&format!("lxc:{}", web.name), "--as", &link]).run().ok();
    world.tool("cpid").arg(&link).run().ok().stdout_is(&format!("{pid}\n"));
    // Another one of that name is another container.
    let other = RealContainer::defined(&world, web.name.clone());
    other.start();
    assert_ne!(other.pid(), pid);
    world.tool("cpid").arg(&web.name).run().fails_with(2).stdout_is("").stderr_has("means 2 containers");
    world.tool("cpid").arg(&link).run().ok().stdout_is(&format!("{pid}\n"));
    web.lxc("lxc-stop", &["-k"]).ok();
    world.tool("cpid").arg(&link).run().fails_with(1).stderr_has("is not a container, but a stale link");
    world.tool("netns-link").args(["--rm", &link]).run().ok();
}

#[test]
fn a_real_monitor_that_hangs_costs_its_container_no_more_than_the_time() {
    let world = need!(with_lxc());
    let (hung, other) =
        (RealContainer::defined(&world, unique("hung-")), RealContainer::defined(&world, unique("other-")));
    hung.start();
    other.start();
    let (pid, others, monitor) = (hung.pid(), other.pid(), hung.monitor());
    world.command("kill").args(["-STOP", &monitor]).run().ok();
    let found = world.tool("cpid").args(["-v", &hung.name]).run();
    let listed = world.tool("cpid").args(["--list", "--json", "--engine", "lxc"]).run();
    let of = world.tool("cpid").args(["--of", &pid]).run();
    world.command("kill").args(["-CONT", &monitor]).run().ok();
    found.ok().stdout_is(&format!("{pid}\n")).stderr_has("according to its state on disk");
    of.ok().stdout_is(&format!("lxc:{}\n", hung.name));
    let listed = listed.ok().json();
    for (name, pid, source) in [(&hung.name, &pid, "state"), (&other.name, &others, "api")] {
        let row = listed.as_array().unwrap().iter().find(|row| row["name"] == **name).unwrap();
        assert_eq!((&row["pid"].to_string(), &row["source"]), (pid, &json!(source)), "{listed}");
    }
}

#[test]
fn from_another_network_than_the_hosts_a_real_container_is_found_by_its_control_group() {
    let world = need!(with_lxc());
    need!(program("unshare", "util-linux"));
    let path = format!("/srv/{}", unique("lxc-"));
    let web = RealContainer::defined(&world, unique("web-"));
    let elsewhere = RealContainer::elsewhere(&world, &path, unique("else-"));
    for container in [&web, &elsewhere] {
        let cpid = || {
            let mut unshare = world.command("unshare");
            unshare.args(["--net", tools::tool("cpid"), &format!("lxc:{}", container.name)]);
            unshare.run()
        };
        cpid().fails_with(1);
        container.start();
        cpid().ok().stdout_is(&format!("{}\n", container.pid()));
        // The monitor's name for its socket, and not the name of the control group, says which container it is.
        let other = RealContainer::defined(&world, format!("{}-1", container.name));
        let mut unshare = world.command("unshare");
        unshare.args(["--net", tools::tool("cpid"), &format!("lxc:{}", other.name)]);
        unshare.run().fails_with(1).stderr_has("is not running");
    }
}
