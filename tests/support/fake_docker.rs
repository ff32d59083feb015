//! What a healthy Docker would say about fake containers, as far as finding one goes.
//!
//! The shapes are those of the Engine API, `GET /containers/json` and `GET /containers/{id}/json`
//! (<https://docs.docker.com/reference/api/engine/>). Real Docker's answers are tested in the world.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::container::Container;
use super::fake_engine::{Answer, Script};

/// A script that knows these containers by name, by ID, and by the 12 first digits of it:
/// `fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"))`. It tells what is so now, not what will be.
pub fn knows(containers: &[&Container]) -> Script {
    let list: Vec<Value> = containers.iter().map(|container| listed(container)).collect();
    let mut script = Script::new().on("/containers/json", Answer::json(200, &Value::from(list).to_string()));
    for container in containers {
        let id = id_of(&container.name);
        for asked in [container.name.as_str(), &id, &id[..12]] {
            let answer = Answer::json(200, &inspected(container).to_string());
            script = script.on(&format!("/containers/{asked}/json"), answer);
        }
    }
    script.otherwise(Answer::json(404, r#"{"message":"No such container"}"#))
}

/// The same, and of each on which networks it is, as the API's `NetworkSettings.Networks` has it, and in which state. A network
/// called `internal` is one.
pub fn knows_networks(containers: &[(&Container, Value, &str)]) -> Script {
    let list = containers.iter().map(|(container, networks, state)| {
        let mut listed = listed(container);
        listed["State"] = Value::from(*state);
        listed["NetworkSettings"] = json!({"Networks": networks});
        listed
    });
    let list = Value::from(list.collect::<Vec<_>>()).to_string();
    let known: Vec<&Container> = containers.iter().map(|(container, ..)| *container).collect();
    let mut script = knows(&known).on("/containers/json", Answer::json(200, &list));
    for (container, _, state) in containers {
        let mut answer = inspected(container);
        answer["State"]["Status"] = Value::from(*state);
        let path = format!("/containers/{}/json", id_of(&container.name));
        script = script.on(&path, Answer::json(200, &answer.to_string()));
    }
    for (network, internal) in [("lab", false), ("internal", true)] {
        let answer = json!({"Name": network, "Id": network, "Internal": internal});
        script = script.on(&format!("/networks/{network}"), Answer::json(200, &answer.to_string()));
    }
    script
}

/// The 64 hexadecimal digits under which the container of that name is known.
pub fn id_of(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).repeat(4)
}

/// The time as the API writes it, for `StartedAt`: without control groups called after the container, nothing else ties a
/// process to it than that it started then.
pub fn just_now() -> String {
    jiff::Timestamp::now().to_string()
}

fn listed(container: &Container) -> Value {
    let (state, status) =
        if container.is_running() { ("running", "Up 2 minutes") } else { ("exited", "Exited (0)") };
    json!({
        "Id": id_of(&container.name),
        "Names": [format!("/{}", container.name)],
        "Image": "netns-toolbox/busybox",
        "State": state,
        "Status": status,
    })
}

fn inspected(container: &Container) -> Value {
    let running = container.is_running();
    json!({
        "Id": id_of(&container.name),
        "Name": format!("/{}", container.name),
        "State": {
            "Status": if running { "running" } else { "exited" },
            "Running": running,
            "Paused": false,
            "Restarting": false,
            "Dead": false,
            "Pid": if running { container.pid } else { 0 },
            "ExitCode": 0,
            "StartedAt": just_now(),
            "FinishedAt": if running { "0001-01-01T00:00:00Z" } else { "2024-01-01T01:00:00.123456789Z" },
        },
    })
}
