//! The table of engines: what cpid and nsenter-rs make of each state of a container, while its engine answers, hangs and is
//! dead; on this machine's engines, on those of Debian 13, and on the newest.
//!
//! Observers: the engines' own words for their containers (`tests/setup/cells/`), and `/proc`.

#![cfg(test)]

mod cells;
mod proved;
mod table;

use support::ground::{Ground, Suite};
use support::skip::{Missing, skipped};
use support::tier;
use support::world::World;

use table::Table;

/// The list of `make test`, in groups that have one daemon.
const SHORT: &[&[&str]] = &[&["docker"], &["podman"], &["containerd"]];
/// The list of `make test-all` and `make engines`.
const LONG: &[&[&str]] = &[
    &["docker"],
    &["podman"],
    &["podman-rootless", "podman-own"],
    &["containerd", "cri"],
    &["incus"],
    // After incus, whose containers have such monitors too.
    &["lxc"],
    &["nspawn"],
];
/// The same where no systemd runs.
const HERE: &[&[&str]] = &[&["docker"], &["podman"], &["containerd", "cri"], &["lxc"]];

/// What is wrong today however the engine is, and why: ENGINE, STATEs. A cell that is right is not to be listed.
const KNOWN: &[(&str, &[&str], &str)] = &[];

/// `NETNS_TOOLBOX_SUITE=sid` is `make engines SUITE=sid`: that suite alone.
fn suites() -> Vec<Suite> {
    match std::env::var("NETNS_TOOLBOX_SUITE") {
        Ok(suite) if !suite.is_empty() => vec![Suite::named(&suite)],
        _ if tier::is_all() => vec![Suite::Here, Suite::named("trixie"), Suite::named("sid")],
        _ => vec![Suite::named("trixie")],
    }
}

#[test]
fn no_cell_of_the_table_is_wrong() {
    let is_long = tier::is_all() || std::env::var_os("NETNS_TOOLBOX_SUITE").is_some();
    let mut wrong = Vec::new();
    for suite in suites() {
        let groups = match suite {
            Suite::Here => HERE,
            Suite::Debian(_) if is_long => LONG,
            Suite::Debian(_) => SHORT,
        };
        match table_of(&suite, groups) {
            Ok(table) => {
                table.show();
                wrong.extend(table.wrong());
                if wrong.is_empty() && std::env::var_os("UPDATE_PROVED").is_some() {
                    proved::update(&suite, &table);
                }
            }
            Err(missing) => {
                skipped(&format!("engine_table::no_cell_of_the_table_is_wrong ({suite})"), &missing);
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn table_of(suite: &Suite, groups: &[&[&str]]) -> Result<Table, Missing> {
    // Where a world can be: `cargo test` alone starts none.
    World::get()?;
    let ground = Ground::start(suite, &groups.concat())?;
    let mut table = Table::of(suite);
    for group in groups {
        cells::fill(&mut table, &ground, group);
    }
    Ok(table)
}
