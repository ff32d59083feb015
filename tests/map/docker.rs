//! On a real Docker.

use support::run::Run;
use support::skip::need;
use support::tools::PATIENT;
use support::world::World;

#[test]
fn the_address_and_mac_that_docker_inspect_shows_lead_to_the_pid_that_it_shows() {
    let world = need!(World::get().and_then(World::with_docker));
    let containers = [(); 3].map(|()| world.docker_container("net", &[]));
    for container in &containers {
        let pid = format!("{}\n", container.pid());
        let address = container.inspect("{{.NetworkSettings.IPAddress}}");
        let mac = container.inspect("{{.NetworkSettings.MacAddress}}");
        for target in [format!("ip:{address}"), format!("mac:{mac}")] {
            world.tool("cpid").arg(PATIENT).arg(&target).run().ok().stdout_is(&pid).stderr_is("");
        }
    }
}

#[test]
fn the_host_end_of_a_containers_veth_leads_to_that_container() {
    let world = need!(World::get().and_then(World::with_docker));
    let containers = [(); 2].map(|()| world.docker_container("veth", &[]));
    // The kernel's own word, from inside: the index of the other end.
    let other_end = |container: &support::world::DockerContainer<'_>| {
        let mut cat = world.command("docker");
        let ran = cat.args(["exec", &container.id, "cat", "/sys/class/net/eth0/iflink"]).run().ok();
        ran.text().parse::<u32>().unwrap()
    };
    let links = world.command("ip").args(["-j", "link"]).run().ok().json();
    for container in &containers {
        let index = other_end(container);
        let near = links.as_array().unwrap().iter().find(|link| link["ifindex"] == index).unwrap();
        let target = format!("veth:{}", near["ifname"].as_str().unwrap());
        let pid = format!("{}\n", container.pid());
        world.tool("cpid").arg(PATIENT).arg(&target).run().ok().stdout_is(&pid).stderr_is("");
    }
}

#[test]
fn who_joins_a_containers_network_is_found_by_its_owner() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("owner", &[]);
    let _side = world.docker_container("side", &["--network", &format!("container:{}", web.name)]);
    let address = web.inspect("{{.NetworkSettings.IPAddress}}");
    world
        .tool("cpid")
        .arg(PATIENT)
        .arg(format!("ip:{address}"))
        .run()
        .ok()
        .stdout_is(&format!("{}\n", web.pid()));
}
