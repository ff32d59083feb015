//! Ports that a real Docker publishes. Observers: `docker port`, `docker top`, `ss` in the container's network, and
//! `iptables -t nat -S`.

use support::run::{Ran, Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools;
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// Runs `program` in the network of the container, from the world.
fn in_network(world: &World, container: &DockerContainer<'_>, program: &[&str]) -> Ran {
    let mut nsenter = world.command("nsenter");
    nsenter.args(["--target", &container.pid().to_string(), "--net", "--"]).args(program).run()
}

/// A server in the container, at that address.
#[track_caller]
fn serve(world: &World, container: &DockerContainer<'_>, at: &str) -> RunningProgram {
    let mut exec = world.command("docker");
    let running = exec.args(["exec", &container.id, "httpd", "-f", "-p", at]).start();
    let port = at.rsplit(':').next().unwrap().to_owned();
    support::until::until("a listening server", || {
        in_network(world, container, &["ss", "-lntH"]).stdout.lines().any(|line| {
            line.split_whitespace().nth(3).is_some_and(|place| place.ends_with(&format!(":{port}")))
        })
    });
    running
}

/// The PID that `ss` shows for the port in the container's network.
#[track_caller]
fn pid_by_ss(world: &World, container: &DockerContainer<'_>, port: u16) -> String {
    let filter = format!("sport = :{port}");
    let ss = in_network(world, container, &["ss", "-lntpH", &filter]).ok();
    let pid = ss.stdout.split("pid=").nth(1).and_then(|rest| rest.split(',').next());
    pid.unwrap_or_else(|| panic!("no PID: {ss}")).to_owned()
}

/// The port of the host that Docker chose.
#[track_caller]
fn published(world: &World, container: &DockerContainer<'_>, port: &str) -> String {
    let ran = world.command("docker").args(["port", &container.id, port]).run().ok();
    ran.stdout.lines().next().and_then(|line| line.rsplit(':').next()).expect("a port").to_owned()
}

/// The lines of `netns-ls --ports` that hold `part`, with single spaces.
#[track_caller]
fn lines(world: &World, part: &str) -> Vec<String> {
    let words = ["--ports"];
    let ran = world.tool("netns-ls").args(tools::patience(&words)).args(words).run();
    let in_words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ran.stdout.lines().map(in_words).filter(|line| line.contains(part)).collect()
}

#[track_caller]
fn line(world: &World, part: &str) -> String {
    let found = lines(world, part);
    assert_eq!(found.len(), 1, "{part}: {found:#?}");
    found[0].clone()
}

#[test]
fn a_published_port_leads_to_the_process_in_the_container() {
    let world = need!(docker());
    let web = world.docker_container("web", &["-p", "0.0.0.0::80"]);
    let port = published(&world, &web, "80");
    let (place, cpid) = (format!("0.0.0.0:{port}/tcp"), format!(":{port}"));
    let rules = world.command("iptables").args(["-w", "-t", "nat", "-S"]).run();
    let has_rule = rules.stdout.contains(&format!("--dport {port} "));
    // Nobody listens yet.
    let nobody = line(&world, &place);
    assert!(nobody.contains(&format!("→ {}:80", web.name)) && nobody.ends_with("nobody listens"), "{nobody}");
    world.tool("cpid").arg(&cpid).run().fails_with(1).stderr_has("although it is forwarded");
    let _server = serve(&world, &web, "80");
    let pid = pid_by_ss(&world, &web, 80);
    for word in [cpid.as_str(), &format!("127.0.0.1:{port}"), &format!("198.18.0.1:{port}")] {
        world.tool("cpid").arg(word).run().ok().stdout_is(&format!("{pid}\n"));
    }
    let address = web.inspect("{{.NetworkSettings.IPAddress}}");
    world.tool("cpid").arg(format!("{address}:80")).run().ok().stdout_is(&format!("{pid}\n"));
    let listens = line(&world, &place);
    assert_eq!(listens.contains(" DNAT, docker-proxy "), has_rule, "{listens}\n{rules}");
    assert!(listens.contains("docker-proxy ") && listens.contains("listening on "), "{listens}");
    // The network of that process is the container's. With an address, for Docker gives others' containers the same port of others.
    let (nsenter_rs, tool) = (tools::tool("nsenter-rs"), tools::tool("cpid"));
    let nsenter = format!("{nsenter_rs} -t $({tool} 127.0.0.1:{port}) -n ip -br address");
    world.command("sh").args(["-ec", &nsenter]).run().ok().stdout_has(&address);
}

#[test]
fn a_server_on_loopback_only_is_told_so() {
    let world = need!(docker());
    let web = world.docker_container("web", &["-p", "0.0.0.0::80"]);
    let _server = serve(&world, &web, "127.0.0.1:80");
    let port = published(&world, &web, "80");
    let line = line(&world, &format!("0.0.0.0:{port}/tcp"));
    assert!(line.ends_with(&format!("{} listens on 127.0.0.1 only", web.name)), "{line}");
    world.tool("cpid").arg(format!(":{port}")).run().fails_with(1).stderr_has("listens on 127.0.0.1 only");
}

#[test]
fn a_port_on_loopback_of_the_host_is_reached_by_the_proxy_alone() {
    let world = need!(docker());
    let web = world.docker_container("web", &["-p", "127.0.0.1::80"]);
    let _server = serve(&world, &web, "80");
    let port = published(&world, &web, "80");
    let pid = pid_by_ss(&world, &web, 80);
    let line = line(&world, &format!("127.0.0.1:{port}/tcp"));
    assert!(line.contains(&format!("→ {}:80 docker-proxy ", web.name)), "{line}");
    world.tool("cpid").arg(format!("127.0.0.1:{port}")).run().ok().stdout_is(&format!("{pid}\n"));
    world.tool("cpid").arg(format!("198.18.0.1:{port}")).run().fails_with(1);
}

#[test]
fn udp_and_ipv6_are_published_too() {
    let world = need!(docker());
    let web = world.docker_container("web", &["-p", "0.0.0.0::53/udp", "-p", "[::1]::80"]);
    let udp = published(&world, &web, "53/udp");
    let nobody = line(&world, &format!("0.0.0.0:{udp}/udp"));
    assert!(nobody.contains(&format!("→ {}:53", web.name)) && nobody.ends_with("nobody listens"), "{nobody}");
    let _server = serve(&world, &web, "80");
    let six = published(&world, &web, "80/tcp");
    let proxied = line(&world, &format!("[::1]:{six}/tcp"));
    assert!(proxied.contains(&format!("→ {}:80", web.name)) && proxied.contains("listening on"), "{proxied}");
    world
        .tool("cpid")
        .arg(format!("[::1]:{six}"))
        .run()
        .ok()
        .stdout_is(&format!("{}\n", pid_by_ss(&world, &web, 80)));
}

#[test]
fn of_two_containers_in_one_network_the_one_that_listens_is_named() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let side = world.docker_container("side", &["--network", &format!("container:{}", web.name)]);
    let _server = serve(&world, &side, "8081");
    let all = lines(&world, ":8081/tcp");
    assert!(
        !all.is_empty() && all.iter().all(|line| line.contains(&format!(" of {}", side.name))),
        "{all:#?}"
    );
    let found = world
        .tool("cpid")
        .args(["--json", &format!("{}:8081", web.inspect("{{.NetworkSettings.IPAddress}}"))])
        .run()
        .ok();
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found[0]["container"]["name"], side.name.as_str(), "{found}");
}

/// Docker's name server: a socket in the container's network, of a process of the host.
#[test]
fn the_name_server_of_docker_is_of_another_network_than_its_socket() {
    let world = need!(docker());
    let network = unique("net-");
    world.command("docker").args(["network", "create", &network]).run().ok();
    let web = world.docker_container("web", &["--network", &network]);
    let all: Vec<String> =
        lines(&world, "127.0.0.11:").into_iter().filter(|line| line.contains(&web.name)).collect();
    let dns: Vec<&String> = all.iter().filter(|line| line.contains("127.0.0.11:53/")).collect();
    let real: Vec<&String> = all.iter().filter(|line| line.contains(" of another network ")).collect();
    drop(web);
    world.command("docker").args(["network", "rm", &network]).run().ok();
    assert!(!real.is_empty() && real.iter().all(|line| line.contains("dockerd ")), "{all:#?}");
    assert_eq!(dns.len(), 2, "of TCP and UDP: {all:#?}");
    assert!(dns.iter().all(|line| line.contains("DNAT (from itself only)") && line.ends_with("listening on 127.0.0.11")), "{dns:#?}");
}

/// Listens, whatever its words say.
const LISTEN: &str = r#"use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 3) or die $!; $| = 1; print "ready\n"; sleep 60"#;

/// A program of that name with docker-proxy's words, run by `by`.
#[track_caller]
fn called_docker_proxy(world: &World, by: &[&str], port: &str, container: &str) -> RunningProgram {
    let words =
        format!("-proto tcp -host-ip 0.0.0.0 -host-port {port} -container-ip {container} -container-port 80");
    let script = r#"dir=$(mktemp -d /run/proxy.XXXXXX); ln -s "$(command -v perl)" $dir/docker-proxy; listen=$1; words=$2; shift 2
        exec "$@" $dir/docker-proxy -e "$listen" -- $words"#;
    let mut sh = world.command("sh");
    let running = sh.args(["-ec", script, "sh", LISTEN, &words]).args(by).env("PORT", port).start();
    running.wait_for("ready");
    running
}

/// A program in a container with the host's network can listen there and call itself what it likes. Of the host itself it is
/// believed: root's programs are.
#[test]
fn what_only_calls_itself_docker_proxy_in_a_container_leads_nowhere() {
    let world = need!(docker());
    let liar = world.docker_container("liar", &["--network", "host"]);
    let victim = world.docker_container("victim", &[]);
    let address = victim.inspect("{{.NetworkSettings.IPAddress}}");
    let pid = liar.pid().to_string();
    let _believed = called_docker_proxy(&world, &["env"], "9124", &address);
    let believed = line(&world, ":9124/tcp");
    assert!(believed.contains(&format!("→ {}:80 docker-proxy ", victim.name)), "{believed}");
    let _lying =
        called_docker_proxy(&world, &["nsenter", "--target", &pid, "--pid", "--net", "--"], "9123", &address);
    let lying = line(&world, ":9123/tcp");
    assert!(!lying.contains('→') && !lying.contains(&victim.name), "{lying}");
}
