//! The journal's format: a record that another version wrote is read, and written again as it was.

use serde_json::{Value, json};

use crate::model::record::NicRecord;

/// A record with every kind of step, rule and undoing in it.
const RECORD: &str = include_str!("record.json");

/// The same as add-nic wrote it before its records had a number.
const OF_FORMAT_0: &str = include_str!("record_0.json");

/// What `other_end` of `wanted` and of `plan.nic` can be besides a bridge.
fn other_ends() -> Vec<(Value, Value)> {
    let port = json!({"name": "nginx-eth1", "mac": "fe:08:09:0a:0b:0c", "addresses": []});
    let mut ends = vec![
        (json!("host"), json!({"host": port})),
        (json!({"peer": "db"}), json!({"peer": port})),
        (json!({"phys": "ens3"}), json!({"phys": "ens3"})),
    ];
    let kinds = ["private", "vepa", "bridge", "passthru"].map(|mode| json!({"macvlan": mode}));
    let kinds = kinds.into_iter().chain(["l2", "l3", "l3s"].map(|mode| json!({"ipvlan": mode})));
    for kind in kinds.chain([json!({"vlan": 7})]) {
        let parent = json!({"on": {"name": "eth0", "on": kind, "vlan": null}});
        ends.push((parent.clone(), parent));
    }
    ends
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what a file of state has in it")]
fn a_record_is_read_and_written_as_it_was() {
    let record: NicRecord = serde_json::from_str(RECORD).unwrap();
    assert_eq!(serde_json::to_string_pretty(&record).unwrap() + "\n", RECORD);
    // The journal has it in one line.
    let compact = serde_json::to_vec(&record).unwrap();
    assert_eq!(serde_json::from_slice::<NicRecord>(&compact).unwrap(), record);
}

#[test]
fn each_place_of_the_other_end_is_read_and_written_as_it_was() {
    for (wanted, planned) in other_ends() {
        for other_addresses in [json!("fitting"), json!("none"), json!({"these": ["10.1.0.1"]})] {
            let mut text: Value = serde_json::from_str(RECORD).unwrap();
            text["wanted"]["other_end"] = wanted.clone();
            text["wanted"]["other_addresses"] = other_addresses;
            text["plan"]["nic"]["other_end"] = planned.clone();
            let record: NicRecord = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(&record).unwrap(), text);
        }
    }
}

#[test]
fn the_record_has_every_kind_of_step_in_it() {
    let steps = [
        "add-bridge",
        "del-bridge",
        "pin-mac",
        "add-veth",
        "del-veth",
        "add-upper",
        "del-upper",
        "set-access-port",
        "take-nic",
        "give-nic-back",
        "del-link",
        "set-alias",
        "set-hairpin",
        "allow-ipv6",
        "add-address",
        "del-address",
        "set-up",
        "add-route",
        "del-route",
        "add-rule",
        "del-rule",
        "set-sysctl",
        "reset-sysctl",
        "add-anchor",
        "add-table",
        "del-table",
        "add-rules",
        "del-rules",
        "add-accept",
        "del-accept",
    ];
    for step in steps {
        assert!(RECORD.contains(&format!("\"{step}\"")), "{step}");
    }
}

#[test]
fn a_record_from_before_there_were_watches_is_read() {
    let mut text: Value = serde_json::from_str(RECORD).unwrap();
    text.as_object_mut().unwrap().remove("watched");
    assert_eq!(serde_json::from_value::<NicRecord>(text).unwrap().watched, None);
}

#[test]
fn a_record_of_format_0_is_read() {
    let record: NicRecord = serde_json::from_str(OF_FORMAT_0).unwrap();
    assert_eq!(record.format, 0);
    let today: NicRecord = serde_json::from_str(RECORD).unwrap();
    assert_eq!((record.wanted, record.inside), (today.wanted, today.inside));
}
