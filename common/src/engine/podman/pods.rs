//! Podman's pods: their names are in Podman's own database only. It is not opened as one: a pod's configuration is in there
//! as JSON that begins with the ID and the name (`PodConfig` in `libpod/pod.go`), in SQLite's file as in that of BoltDB. A
//! pod keeps its name for ever, and no other has its ID, so that an entry which the database has deleted does no harm:
//! nothing of such a pod runs.

use std::collections::HashSet;

use memchr::memmem;

use super::super::EngineError;
use super::super::bolt;
use super::super::state::{self, StatePath};
use crate::target::Name;

/// SQLite's since Podman 4.8, BoltDB's before; below the graph root.
const DATABASES: [&str; 2] = ["db.sql", "libpod/bolt_state.db"];

const ID_BYTES: usize = 64;

/// The IDs of the pods of `storage` that are, or were, called `name`; `None` when there is no database.
///
/// # Errors
/// As [`state::read`].
pub(super) fn ids(storage: &StatePath, name: &Name) -> Result<Option<Vec<String>>, EngineError> {
    let mut found = None;
    for database in DATABASES {
        let Some(bytes) = state::read(&storage.join(database))? else { continue };
        found.get_or_insert_with(Vec::new).extend(ids_in(&bytes, name));
    }
    Ok(found)
}

/// Every `{"id":"ID","name":"NAME"`. In a text that somebody chose, such as a label, JSON escapes the quotes.
fn ids_in(bytes: &[u8], name: &Name) -> Vec<String> {
    const BEFORE: &[u8] = br#"{"id":""#;
    let after = format!(r#"","name":"{name}""#);
    let mut ids = Vec::new();
    for at in memmem::find_iter(bytes, after.as_bytes()) {
        let Some(start) = at.checked_sub(ID_BYTES) else { continue };
        let id = std::str::from_utf8(&bytes[start..at]).unwrap_or_default();
        if bytes[..start].ends_with(BEFORE) && state::is_id(id) && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// Whether the database of `storage` has the container in the pod: SQLite's row of a container begins with its ID, its name
/// and its pod's ID (`libpod/sqlite_state_internal.go`), and BoltDB's bucket of a pod has one of its containers.
///
/// # Errors
/// As [`state::read`]; of a damaged file.
pub(super) fn members(
    storage: &StatePath,
    pod: &str,
) -> Result<impl Fn(&str, &str) -> bool + use<>, EngineError> {
    let [sqlite, boltdb] = DATABASES.map(|database| storage.join(database));
    let rows = state::read(&sqlite)?.unwrap_or_default();
    let in_bolt = bolt::read(&boltdb, |snapshot| {
        let mut bucket = snapshot.root();
        for key in ["pod", pod, "containers"] {
            match snapshot.bucket(&bucket, key.as_bytes())? {
                Some(inner) => bucket = inner,
                None => return Ok(HashSet::new()),
            }
        }
        Ok(snapshot.entries(&bucket, b"")?.into_iter().map(|(key, _)| key).collect())
    })?;
    let (in_bolt, pod) = (in_bolt.unwrap_or_default(), pod.to_owned());
    Ok(move |id: &str, name: &str| {
        let row = format!("{id}{name}{pod}");
        in_bolt.contains(id.as_bytes()) || memmem::find(&rows, row.as_bytes()).is_some()
    })
}

/// What Podman calls the container that holds a pod's namespaces, unless `--infra-name` says otherwise.
pub(super) fn infra_name(pod: &str) -> String {
    format!("{}-infra", pod.get(..12).unwrap_or(pod))
}

/// Whether that is the container with these files, by the OCI configuration that is written for its first run: its control
/// group is one of the pod's, and it shares no other container's namespaces, as the other containers of the pod do.
pub(super) fn is_infra(userdata: &StatePath, pod: &str) -> bool {
    let config = state::read(&userdata.join("config.json")).ok().flatten().unwrap_or_default();
    state::mentions(&config, pod) && !state::mentions(&config, "io.kubernetes.cri-o.SandboxID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_configuration_is_found_among_other_bytes() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let pods = format!(
            "\0\x07{a}pp{{\"id\":\"{a}\",\"name\":\"pp\",\"labels\":{{}}}}\0{{\"id\":\"{b}\",\"name\":\"ppp\"}}\
             {{\"id\":\"{a}\",\"name\":\"pp\"}}"
        );
        let of = |name: &str| ids_in(pods.as_bytes(), &name.parse().unwrap());
        assert_eq!(of("pp"), [a.as_str()]);
        assert_eq!(of("ppp"), [b.as_str()]);
        assert!(of("p").is_empty());
        let chosen = format!(r#"{{"label":"{{\"id\":\"{a}\",\"name\":\"x\"}}","id":"{a}","name":"y"}}"#);
        for name in ["x", "y"] {
            assert!(ids_in(chosen.as_bytes(), &name.parse().unwrap()).is_empty(), "{name}");
        }
        assert!(ids_in(br#"","name":"pp""#, &"pp".parse().unwrap()).is_empty());
    }
}
