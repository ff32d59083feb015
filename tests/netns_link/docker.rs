//! On a real Docker, in a world whose `/run/netns` other tests use too.

use support::run::Run;
use support::skip::{Missing, need};
use support::tools::PATIENT;
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

fn inside(container: &DockerContainer<'_>) -> String {
    container.command("readlink").arg("/proc/self/ns/net").run().ok().stdout
}

fn named(world: &World, name: &str) -> String {
    world.command("ip").args(["netns", "exec", name, "readlink", "/proc/self/ns/net"]).run().ok().stdout
}

#[test]
fn a_container_is_linked_by_its_name_and_shows_its_routes() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    world
        .tool("netns-link")
        .arg(PATIENT)
        .arg(&web.name)
        .run()
        .ok()
        .stdout_is(&format!("/run/netns/{}\n", web.name));
    let routes =
        world.command("ip").args(["-n", &web.name, "-j", "route", "show", "default"]).run().ok().json();
    assert_eq!(routes[0]["gateway"], web.inspect("{{.NetworkSettings.Gateway}}").as_str());
    assert_eq!(named(&world, &web.name), inside(&web));

    world.tool("netns-link").arg(PATIENT).args(["--rm", &web.name]).run().ok();
    let route = web.command("ip").args(["route", "get", "198.18.0.1"]).run().ok();
    route.stdout_has("dev eth0");
}

#[test]
fn an_id_and_a_prefix_are_linked_under_the_containers_name() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    for target in [&web.id, &web.id[..12]] {
        world
            .tool("netns-link")
            .arg(PATIENT)
            .arg(target)
            .run()
            .ok()
            .stdout_is(&format!("/run/netns/{}\n", web.name));
    }
    world.tool("netns-link").arg(PATIENT).args(["--rm", &web.name]).run().ok();
}

#[test]
fn every_network_mode_can_be_linked() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    for mode in ["none", "host", &format!("container:{}", web.name)] {
        let other = world.docker_container("other", &["--network", mode]);
        world.tool("netns-link").arg(PATIENT).args(["--host", &other.name]).run().ok();
        assert_eq!(named(&world, &other.name), inside(&other), "{mode}");
        world.tool("netns-link").arg(PATIENT).args(["--rm", &other.name]).run().ok();
    }
}

#[test]
fn a_link_does_not_keep_docker_from_removing_the_container() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let name = web.name.clone();
    world.tool("netns-link").arg(PATIENT).arg(&name).run().ok();
    drop(web);
    world.command("docker").args(["inspect", &name]).run().fails_with(1);
    world.command("ip").args(["-n", &name, "link"]).run().ok();
    world.tool("netns-link").arg(PATIENT).args(["--rm", &name]).run().ok();
    world.command("test").args(["-e", &format!("/run/netns/{name}")]).run().fails_with(1);
}

#[test]
fn a_container_that_is_not_running_is_an_honest_no() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    web.stop();
    let refused = world.tool("netns-link").arg(PATIENT).arg(&web.name).run().fails_with(1).stdout_is("");
    refused.stderr_has(&format!("netns-link: {} is not running (exited, ", web.name));
    world.command("test").args(["-e", &format!("/run/netns/{}", web.name)]).run().fails_with(1);
}
