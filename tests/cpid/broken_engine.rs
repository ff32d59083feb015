//! Engines that are slow, lie, or say what no engine should: nothing they say is believed, and nothing hangs.

use std::time::Duration;

use serde_json::{Value, json};

use support::container::Options;
use support::fake_docker::{self, id_of, just_now};
use support::fake_engine::{Answer, Script};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::scratch::Scratch;
use support::skip::need;
use support::until::as_busy;
use support::world::World;

/// What Docker says of a running container, for a test to spoil.
fn running(pid: i32) -> Value {
    json!({
        "Id": id_of("web"),
        "Name": "/web",
        "State": { "Status": "running", "Running": true, "Pid": pid, "ExitCode": 0,
            "StartedAt": just_now(), "FinishedAt": "0001-01-01T00:00:00Z" },
        "Config": { "Image": "busybox" },
    })
}

/// `cpid web` where Docker answers with this.
#[track_caller]
fn cpid(lab: &Lab, answer: Answer) -> Ran {
    let dir = Scratch::new();
    let engine = Script::new().otherwise(answer).listen_by(lab.command("perl"), dir.path("sock"));
    let ran = lab.tool("cpid").arg("web").env("DOCKER_HOST", engine.url()).run();
    assert!(!ran.stderr.contains('\x1b'), "an escape sequence in {ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
    ran
}

#[test]
fn no_request_carries_a_version() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let said = format!("{}\n", web.pid);
    lab.tool("cpid").args(["web", &id_of("web")[..12]]).run().ok().stdout_is(&said.repeat(2));
    lab.tool("cpid").arg("nope").run().fails_with(1);
    let requests = engine.requests();
    assert_eq!(requests[0], "GET /containers/web/json HTTP/1.1");
    assert!(requests.iter().all(|request| request.starts_with("GET /containers/")), "{requests:?}");
}

#[test]
fn an_engine_that_never_answers_is_given_up_in_time() {
    let lab = need!(Lab::new());
    let slow = [Answer::never(), Answer::json(200, "{}").a_byte_every(Duration::from_millis(50))];
    for answer in slow {
        let give_up = || {
            let ran = cpid(&lab, answer.clone());
            ran.fails_with(2).stdout_is("").stderr_has("within 300ms").stderr_has("hint: ").took
        };
        // The best of three: the machine may be busy with other things.
        let took = (0..3).map(|_| give_up()).min();
        assert!(took < Some(as_busy(Duration::from_millis(500))), "{took:?}");
    }
}

#[test]
fn the_time_limit_is_the_users() {
    let lab = need!(Lab::new());
    let engine = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
    let mut cpid = lab.tool("cpid");
    cpid.args(["--engine-timeout", "20ms", "web"]).run().fails_with(2).stderr_has("within 20ms");
    // On a busy machine the time can be over before it has asked at all.
    assert!(engine.requests().len() <= 1);
    for nonsense in ["soon", "-1s", "5"] {
        let ran = lab.tool("cpid").args([&format!("--engine-timeout={nonsense}"), "web"]).run();
        ran.fails_with(2).stderr_has("--engine-timeout");
    }
    assert!(engine.requests().len() <= 1);
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error() {
    let lab = need!(Lab::new());
    let web = running(1).to_string();
    let spoilt = |pointer: &str, value: Value| {
        let mut answer = running(1);
        *answer.pointer_mut(pointer).unwrap() = value;
        Answer::json(200, &answer.to_string())
    };
    let answers = [
        Answer::hang_up(),
        Answer::bytes("\0\x01\x02"),
        Answer::bytes("HTTP/1.1 200 OK\r\n"),
        Answer::json(200, ""),
        Answer::json(200, "{}"),
        Answer::json(200, "[]"),
        Answer::json(200, "null"),
        Answer::json(200, &web).truncated_to(web.len() / 2),
        Answer::json(200, &web[..web.len() / 2]),
        Answer::new(200, "text/html", "<html>"),
        Answer::new(500, "text/plain", "\x1b[2Jboom"),
        Answer::json(302, "{}"),
        spoilt("/Id", json!("")),
        spoilt("/Id", json!(null)),
        spoilt("/Name", json!(7)),
        spoilt("/State", json!("running")),
        spoilt("/State/Status", json!("on fire")),
        spoilt("/State/Pid", json!("1")),
    ];
    for answer in answers {
        cpid(&lab, answer).fails_with(2).stdout_is("").stderr_has("cpid: ");
    }
}

#[test]
fn one_that_runs_without_a_process_is_an_answer_that_makes_no_sense() {
    let lab = need!(Lab::new());
    for pid in [0, -1, i32::MIN] {
        let ran = cpid(&lab, Answer::json(200, &running(pid).to_string()));
        let said = "gave an invalid answer: a container that is running and has no process\n";
        ran.fails_with(2).stdout_is("").stderr_has(said);
    }
    let gone = cpid(&lab, Answer::json(200, &running(4_194_303).to_string()));
    gone.fails_with(1).stdout_is("").stderr_is("cpid: web exited while it was being looked up\n");
}

/// What a later engine may say in fields that nobody here needs: words, types and whole fields that are new to us.
fn as_of_the_future(mut answer: Value) -> Value {
    answer["State"]["Health"] = json!({ "Status": "feverish", "FailingStreak": "many", "Log": null });
    answer["State"]["ExitCode"] = json!("none");
    answer["State"]["FinishedAt"] = json!(7);
    answer["HostConfig"] = json!({
        "RestartPolicy": { "Name": "on-tuesdays" }, "CgroupnsMode": "shared", "Isolation": "moderate",
        "NetworkMode": 7, "Mounts": null, "Binds": null, "CapAdd": null, "PortBindings": { "80/quic": null },
    });
    answer["Mounts"] = json!([{ "Type": "quantum", "RW": "perhaps" }]);
    answer["Config"] = json!([]);
    answer["NetworkSettings"] = json!([{ "Networks": null }]);
    answer["Entanglement"] = json!({ "With": ["everything"] });
    answer
}

#[test]
fn words_that_are_new_in_fields_that_nobody_needs_lose_nothing() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let (id, answer) = (id_of("web"), as_of_the_future(running(web.pid)));
    let mut listed = json!([{ "Id": id, "State": "running", "Names": null, "Mounts": [{ "Type": "quantum" }],
        "NetworkSettings": [], "Health": { "Status": "feverish" }, "Ports": [{ "Type": "quic" }] }]);
    let script = |listed: &Value| {
        let script = Script::new().on("/containers/json", Answer::json(200, &listed.to_string()));
        ["web", &id].iter().fold(script, |script, word| {
            script.on(&format!("/containers/{word}/json"), Answer::json(200, &answer.to_string()))
        })
    };
    let pid = format!("{}\n", web.pid);
    let engine = script(&listed).listen(lab.path("/run/docker.sock"));
    lab.tool("cpid").arg("web").run().ok().stdout_is(&pid).stderr_is("");
    let row = lab.tool("cpid").args(["--list", "--json"]).run().ok().stderr_is("").json();
    assert_eq!(
        (&row[0]["name"], &row[0]["pid"], &row[0]["source"]),
        (&json!("web"), &json!(web.pid), &json!("api")),
        "{row}"
    );
    drop(engine);
    // A state that is new in the list is asked for.
    listed[0]["State"] = json!("on fire");
    let _engine = script(&listed).listen(lab.path("/run/docker.sock"));
    assert_eq!(lab.tool("cpid").args(["--list", "--json"]).run().ok().json()[0]["pid"], web.pid);
}

#[test]
fn the_states_of_podman_are_understood() {
    let lab = need!(Lab::new());
    for (word, said) in
        [("initialized", "created"), ("configured", "created"), ("stopped", "exited"), ("removing", "dead")]
    {
        let mut answer = running(0);
        answer["State"]["Status"] = json!(word);
        let ran = cpid(&lab, Answer::json(200, &answer.to_string())).fails_with(1).stdout_is("");
        ran.stderr_has(&format!("cpid: web is not running ({said}"));
    }
}

#[test]
fn a_state_that_is_new_is_no_state_and_hides_no_other_container() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let (web_id, odd_id) = (id_of("web"), id_of("odd"));
    let mut odd = running(0);
    (odd["Id"], odd["Name"], odd["State"]["Status"]) = (json!(odd_id), json!("/odd"), json!("hibernating"));
    let mut lazy = running(0);
    (lazy["Id"], lazy["Name"]) = (json!(id_of("lazy")), json!("/lazy"));
    let list = json!([
        { "Id": odd_id, "State": "hibernating" },
        { "Id": id_of("lazy"), "State": "running" },
        { "Id": web_id, "State": "running" },
    ]);
    let answers =
        [("web", running(web.pid)), ("odd", odd.clone()), (&web_id, running(web.pid)), (&odd_id, odd)];
    let list = Script::new().on("/containers/json", Answer::json(200, &list.to_string()));
    let script = answers.iter().fold(list, |script, (word, answer)| {
        script.on(&format!("/containers/{word}/json"), Answer::json(200, &answer.to_string()))
    });
    let script =
        script.on(&format!("/containers/{}/json", id_of("lazy")), Answer::json(200, &lazy.to_string()));
    let _engine = script.listen(lab.path("/run/docker.sock"));
    let said = "gave an invalid answer: a container whose state is 'hibernating'\n";
    lab.tool("cpid").arg("odd").run().fails_with(2).stdout_is("").stderr_has(said);
    let listed = lab.tool("cpid").args(["--list", "--json"]).run().fails_with(2);
    listed.clone().stderr_has(said).stderr_has("a container that is running and has no process\n");
    let rows = listed.json();
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["pid"]), (Some(1), &json!(web.pid)), "{rows}");
}

#[test]
fn a_pid_that_only_the_engine_vouches_for_is_asked_for_again_once_it_is_held() {
    let lab = need!(Lab::new());
    let (first, then) =
        (lab.container("first", Options::default()), lab.container("then", Options::default()));
    let said = |pid: i32| Answer::json(200, &running(pid).to_string());
    let id = id_of("web");
    let cpid = |again| {
        let script = Script::new().on("/containers/web/json", said(first.pid));
        let engine = script.on(&format!("/containers/{id}/json"), again).listen(lab.path("/run/docker.sock"));
        let ran = lab.tool("cpid").arg("docker:web").run();
        assert_eq!(engine.requests().len(), 2);
        ran
    };
    cpid(said(first.pid)).ok().stdout_is(&format!("{}\n", first.pid));
    let exited = "cpid: web exited while it was being looked up\n";
    cpid(said(then.pid)).fails_with(1).stdout_is("").stderr_is(exited);
    let mut stopped = running(0);
    stopped["State"]["Status"] = json!("exited");
    cpid(Answer::json(200, &stopped.to_string())).fails_with(1).stdout_is("").stderr_is(exited);
}

#[test]
fn a_container_that_is_renamed_at_the_moment_of_the_call_is_what_has_the_name_now() {
    let lab = need!(Lab::new());
    let (old, new) = (lab.container("old", Options::default()), lab.container("new", Options::default()));
    let called = |name: &str, of: &str, pid: i32| {
        let mut answer = running(pid);
        (answer["Name"], answer["Id"]) = (json!(format!("/{name}")), json!(id_of(of)));
        Answer::json(200, &answer.to_string())
    };
    // Docker has looked web up, and it is web-old when it is described; then another has the name, or none.
    let renamed = || Script::new().first("/containers/web/json", called("web-old", "old", old.pid));
    let swapped = renamed().on("/containers/web/json", called("web", "new", new.pid));
    let swapped = swapped.on(&format!("/containers/{}/json", id_of("new")), called("web", "new", new.pid));
    let engine = swapped.listen(lab.path("/run/docker.sock"));
    lab.tool("cpid").arg("web").run().ok().stdout_is(&format!("{}\n", new.pid)).stderr_is("");
    drop(engine);
    let none = renamed().otherwise(Answer::json(404, r#"{"message":"No such container: web"}"#));
    let _engine = none.listen(lab.path("/run/docker.sock"));
    lab.tool("cpid").arg("web").run().fails_with(1).stdout_is("").stderr_has("web: no such container");
}

#[test]
fn the_pid_of_another_container_is_not_believed() {
    let world = need!(World::get().and_then(World::with_docker));
    let (web, db) = (world.docker_container("web", &[]), world.docker_container("db", &[]));
    let mut answer = running(db.pid());
    answer["Id"] = json!(web.id);
    let dir = Scratch::new();
    let engine = Script::new()
        .otherwise(Answer::json(200, &answer.to_string()))
        .listen_by(world.command("perl"), dir.path("sock"));
    let ask = || world.tool("cpid").arg("web").env("DOCKER_HOST", engine.url()).run();
    ask().fails_with(1).stdout_is("").stderr_is("cpid: web exited while it was being looked up\n");
}

#[test]
fn what_an_engine_says_drives_no_terminal_and_starts_no_line() {
    let lab = need!(Lab::new());
    let id = id_of("web");
    let by_id = |answer: &Value| {
        let script = Script::new().on("/containers/json", Answer::json(200, &json!([answer]).to_string()));
        let _engine = script
            .otherwise(Answer::json(200, &answer.to_string()))
            .listen_by(lab.command("perl"), lab.path("/run/docker.sock"));
        let patient = |args: &[&str]| lab.tool("cpid").arg("--engine-timeout=10s").args(args).run();
        let list = patient(&["--list", "--all"]).ok();
        (patient(&[&id[..12]]), list)
    };
    let long = format!("/{}", "x".repeat(64 << 10));
    // Escapes and lines, a word that nobody could type, an option, other TARGETs, columns, other directions, and none.
    let names = [
        "/evil\x1b[2J\r\ncpid: all is well",
        &long,
        "/--rm",
        "/docker:web",
        "/pid:1",
        "/web  docker  0123456789ab  1  running",
        "/web; reboot",
        "/w\u{202e}eb\u{2066}",
        "/",
        "",
    ];
    for name in names {
        let mut stopped = running(0);
        (stopped["Name"], stopped["Config"]["Image"]) = (json!(name), json!(name));
        stopped["State"]["Status"] = json!("exited");
        stopped["State"]["FinishedAt"] = json!("2024-01-01T00:00:00Z");
        let (ran, list) = by_id(&stopped);
        // What is no name of a container is not shown as one: it is called by its ID.
        let ran = ran.fails_with(1).stdout_is("").stderr_has(&format!("cpid: {id} is not running (exited"));
        // A hint is there to be pasted: no part of it is the container's to choose.
        let ran = ran.stderr_has(&format!("hint: docker start {id}\n"));
        assert_eq!(ran.stderr.lines().count(), 2, "one message and one hint in {ran}");
        let row = list.stdout.lines().nth(1).unwrap_or_default().to_owned();
        let list = list.stdout_has(&format!("{id}  docker  {}    -  exited", &id[..12]));
        assert_eq!((list.stdout.lines().count(), row.len() < 2048), (2, true), "{list}");
        let driven = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}".contains(c);
        assert!(!list.stdout.contains(driven), "{list}");
    }
    // Nor is one that answers for another.
    let mut other = running(1);
    (other["Name"], other["Id"]) = (json!("/db"), json!(id_of("db")));
    cpid(&lab, Answer::json(200, &other.to_string()))
        .fails_with(2)
        .stdout_is("")
        .stderr_has("gave an invalid answer: a container that was not asked for");

    let refusal = json!({ "message": "no\x1b[2J\ncpid: all is well" }).to_string();
    let ran = cpid(&lab, Answer::json(403, &refusal)).fails_with(2);
    ran.clone().stderr_has(r"no\u{1b}[2J\ncpid: all is well");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    for status in [200, 500] {
        let message = json!({ "message": &long, "Id": &long, "Name": "/web", "State": { "Status": &long } });
        let ran = cpid(&lab, Answer::json(status, &message.to_string())).fails_with(2).stdout_is("");
        assert!(ran.stderr.len() < 1000, "{} bytes", ran.stderr.len());
    }
}

#[test]
fn a_container_that_vanishes_while_several_are_looked_at_is_left_out() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let gone = format!("{}0", &id_of("web")[..63]);
    let list = json!([{ "Id": id_of("web") }, { "Id": gone }]).to_string();
    let prefix = &id_of("web")[..8];
    let script = Script::new()
        .on(&format!("/containers/{prefix}/json"), Answer::json(400, r#"{"message":"multiple IDs found"}"#))
        .on("/containers/json", Answer::json(200, &list))
        .on(&format!("/containers/{}/json", id_of("web")), Answer::json(200, &running(web.pid).to_string()));
    let _engine = script.listen(lab.path("/run/docker.sock"));
    lab.tool("cpid").arg(format!("docker:{prefix}")).run().ok().stdout_is(&format!("{}\n", web.pid));
}

#[test]
fn a_body_without_end_is_given_up_like_an_engine_that_is_slow() {
    let lab = need!(Lab::new());
    let dir = Scratch::new();
    let answer = Answer::endless("application/json", " ");
    let engine = Script::new().otherwise(answer).listen_by(lab.command("perl"), dir.path("sock"));
    let ran = lab.tool("cpid").arg("web").env("DOCKER_HOST", engine.url()).run();
    ran.fails_with(2).stdout_is("");
}

#[test]
fn many_names_cost_one_connection_to_an_engine_that_is_silent_in_every_tool() {
    let lab = need!(Lab::new());
    let names: Vec<String> = (0..20).map(|number| format!("web-{number}")).collect();
    for tool in ["cpid", "netns-link"] {
        let engine = Script::new().otherwise(Answer::never()).listen(lab.path("/run/docker.sock"));
        let ran = lab.tool(tool).args(&names).run().fails_with(2);
        assert_eq!(ran.stderr.matches("docker did not answer").count(), names.len(), "{ran}");
        assert_eq!((engine.requests().len(), engine.connections()), (1, 1), "{tool}");
    }
}
