//! On a real Docker. Observers: `docker inspect`, and the kernel's own index of the other end.

use support::run::Run;
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::tools::PATIENT;
use support::world::World;

use crate::json;

#[test]
fn each_container_is_on_the_map_with_the_address_that_docker_inspect_shows() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let side = world.docker_container("side", &["--network", &format!("container:{}", web.name)]);
    let alone = world.docker_container("alone", &["--network", "none"]);
    let hostnet = world.docker_container("hostnet", &["--network", "host"]);
    let map = world.tool("netns-ls").args([PATIENT, "-q", "--json"]).run().ok().json();
    json::is_valid(&map);
    let all = map["namespaces"].as_array().unwrap();
    let of = |name: &str| {
        let has = |netns: &&serde_json::Value| {
            netns["containers"].as_array().unwrap().iter().any(|container| container["name"] == name)
        };
        all.iter().find(has).unwrap_or_else(|| panic!("no {name}: {map:#}"))
    };
    assert_eq!(of(&web.name)["inode"], of(&side.name)["inode"]);
    assert_eq!(of(&hostnet.name)["is_own"], true);
    assert_eq!(of(&alone.name)["links"].as_array().unwrap().len(), 1);
    let address = web.inspect("{{.NetworkSettings.IPAddress}}");
    let mac = web.inspect("{{.NetworkSettings.MacAddress}}");
    let eth0 =
        of(&web.name)["links"].as_array().unwrap().iter().find(|link| link["ifname"] == "eth0").unwrap();
    assert_eq!(eth0["mac"], mac);
    assert!(eth0["addresses"][0].as_str().unwrap().starts_with(&format!("{address}/")));
    // The kernel's own word, from inside.
    let mut cat = world.command("docker");
    let iflink = cat.args(["exec", &web.id, "cat", "/sys/class/net/eth0/iflink"]).run().ok();
    assert_eq!(eth0["peer"]["ifindex"].to_string(), iflink.text());
    assert_eq!(eth0["peer"]["netns_inode"], map["namespaces"][0]["inode"]);
    let veth = eth0["peer"]["ifname"].as_str().unwrap();
    for word in [veth, &address, &mac] {
        let ran = world.tool("netns-ls").args([PATIENT, "-q", word]).run().ok();
        let words: Vec<&str> = ran.stdout.split_whitespace().collect();
        // Those that share a network are listed in the order of their names.
        assert_eq!(words[0], format!("{},{}", side.name, web.name), "{ran}");
        assert_eq!(words[1..2], ["eth0"], "{ran}");
        assert_eq!(words[3..6], ["→", veth, "docker0"], "{ran}");
    }
    let ran = world.tool("netns-ls").args([PATIENT, "-q", "--bridges"]).run().ok();
    assert!(ran.stdout.lines().any(|line| line.starts_with("docker0 ") && line.contains(veth)), "{ran}");
    let ran = world.tool("netns-ls").args([PATIENT, &web.name]).run().ok();
    for part in [&web.name, &side.name, veth, &mac, "default"] {
        assert!(ran.stdout.contains(part), "no {part}: {ran}");
    }
}

/// What a view has at 80 and at 40 columns of a real Docker's containers is there at 400, word by word; columns are omitted, and
/// none changes its place. The others' containers come and go meanwhile.
#[test]
fn no_view_of_a_real_docker_breaks_a_word_on_a_narrow_terminal() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("my-compose-project-web-frontend", &["--publish", "80"]);
    let db = world.docker_container("my-compose-project-db-primary", &[]);
    let address = web.inspect("{{.NetworkSettings.IPAddress}}");
    let path = format!("--path {} {}", web.name, db.name);
    let views = [
        "",
        "--all",
        "--bridges",
        "--namespaces",
        "--ports",
        "--routes",
        "--rules",
        "--neigh",
        "--fdb",
        "--sockets",
        "--programs",
        "--fw",
        "--tree",
        "--why",
        &web.name,
        &address,
        &path,
    ];
    let tool = support::tools::tool("netns-ls");
    let mut compared = [0, 0];
    for options in views {
        let shown = |columns| {
            let line = format!("{tool} {PATIENT} -q {options} 2>/dev/null");
            support::terminal::show(|program| world.command(program), columns, &line)
        };
        let wide = need!(shown(400));
        let words = wide.words();
        for (nth, columns) in [80, 40].into_iter().enumerate() {
            let narrow = need!(shown(columns));
            let of_ours = |line: &&String| line.contains(&web.name) || line.contains(&db.name);
            for line in narrow.written.iter().filter(of_ours) {
                // A sentence that goes on in the next line is whole up to a blank.
                let broken = line.split_whitespace().find(|word| !words.contains(word));
                assert_eq!(broken, None, "{options:?} at {columns}: {line}\n{wide:#?}");
                compared[nth] += 1;
            }
            let in_order = |screen: &support::terminal::Screen| -> Vec<String> {
                let first = screen.written.first().cloned().unwrap_or_default();
                first.split_whitespace().map(str::to_owned).collect()
            };
            let (all, left) = (in_order(&wide), in_order(&narrow));
            if all.iter().all(|word| word.chars().all(|sign| sign.is_ascii_uppercase() || sign == '-')) {
                let mut rest = all.iter();
                assert!(left.iter().all(|column| rest.any(|other| other == column)), "{options:?}: {left:?}");
            }
        }
    }
    // A line of each container in most of the views.
    assert!(compared.iter().all(|lines| *lines >= views.len()), "{compared:?}");
}

#[test]
fn a_container_that_starts_and_stops_is_in_the_lines_of_a_watch() {
    let world = need!(World::get().and_then(World::with_docker));
    let watch = world.tool("netns-ls").args([PATIENT, "--watch"]).start();
    watch.wait_for_stderr("netns-ls: watching ");
    let web = world.docker_container("watched", &[]);
    let address = web.inspect("{{.NetworkSettings.IPAddress}}");
    watch.wait_for(&format!(" {address}/"));
    watch.wait_for(&web.name);
    drop(web);
    watch.wait_for(": network namespace ");
    support::until::until("the end of the container's network is said", || {
        watch
            .so_far()
            .stdout
            .lines()
            .any(|line| line.contains(": network namespace ") && line.ends_with(" removed"))
    });
    drop(watch);
}

#[test]
fn of_a_docker_that_is_stopped_the_containers_come_from_disk_after_one_time_limit() {
    let spare = need!(SpareDocker::start());
    for name in ["web", "db", "cache"] {
        spare.run(name);
    }
    let pids = ["web", "db", "cache"].map(|name| spare.pid(name));
    spare.signal("STOP");
    let strace = need!(support::skip::program("strace", "strace"));
    for words in [
        &["--json"][..],
        &["--why"],
        &["--ports"],
        &["--tree"],
        &["--html"],
        &["web"],
        &["--path", "web", "db"],
    ] {
        // As many connections as there are waits: the one that hangs is not asked again.
        let mut traced = spare.shell("exec \"${@:2}\"");
        let log = support::scratch::unique("/run/connects-");
        traced.arg(&strace).args(["-f", "-qq", "-e", "trace=connect", "-o", &log]);
        traced.args([support::tools::tool("netns-ls"), "-q", "--engine-timeout=1s"]).args(words);
        let ran = traced.run();
        let connects = spare.shell(&format!("grep -c 'run/docker.sock' {log}; rm {log}")).run().stdout;
        assert_eq!(connects.trim(), "1", "{words:?}: {ran}");
        match words[0] {
            "--json" => {
                let map = ran.ok().json();
                json::is_valid(&map);
                let all = map["namespaces"].as_array().unwrap().iter();
                let mut found: Vec<String> = all
                    .flat_map(|netns| netns["containers"].as_array().unwrap())
                    .filter(|one| one["source"] == "state" && one["engine"] == "docker")
                    .map(|one| one["pid"].to_string())
                    .collect();
                found.sort();
                let mut expected = pids.clone();
                expected.sort();
                assert_eq!(found, expected);
            }
            "web" => drop(ran.ok().stdout_has(&format!("running, PID {}", pids[0]))),
            "--tree" | "--html" => drop(ran.ok().stdout_has("cache")),
            "--path" => drop(ran.fails_with(1).stderr_has("web: has no interface but loopback")),
            _ => {}
        }
    }
    spare.signal("CONT");
}

#[test]
fn a_container_whose_name_server_ended_with_dockerd_is_told_until_dockerd_is_back() {
    let mut spare = need!(SpareDocker::start());
    spare.docker(&["network", "create", "own"]).ok();
    let run =
        ["run", "--detach", "--network", "own", "--name", "web", support::world::IMAGE, "sleep", "infinity"];
    spare.docker(&run).ok();
    let found = |spare: &SpareDocker| {
        let ran = spare.tool("netns-ls").args([PATIENT, "-q", "--why", "--json"]).run();
        let map = ran.json();
        json::is_valid(&map);
        let found = map["findings"].as_array().unwrap().clone();
        // The world beside it is another test's.
        found.into_iter().filter(|one| one["what"] == "dns-missing").collect::<Vec<_>>()
    };
    assert_eq!(found(&spare), Vec::<serde_json::Value>::new());
    spare.kill_daemon();
    let missing = found(&spare);
    assert_eq!(missing.len(), 1, "{missing:#?}");
    assert!(
        missing[0]["text"].as_str().unwrap().starts_with("web: /etc/resolv.conf names 127.0.0.11"),
        "{missing:#?}"
    );
    assert_eq!(missing[0]["advice"], "dockerd does not answer: start it");
    spare.start_daemon();
    let gone = support::until::until_some(std::time::Duration::from_secs(10), || {
        found(&spare).is_empty().then_some(())
    });
    assert!(gone.is_some(), "{:#?}", found(&spare));
}
