//! The files of a tool form layers: each imports only what stands before it, and no two files import each other, not
//! even by way of others. Read from the sources themselves.

#![cfg(test)]

mod checker;
mod imports;
mod sources;

use std::collections::BTreeSet;
use std::path::Path;

use imports::{Imports, circles, climbing};
use sources::Sources;

/// A tool, or the library, and how far it has come.
struct House {
    /// Its directory.
    root: &'static str,
    /// Folders, and files beside `main.rs`, from the lowest to the highest. Those in one line know nothing of each other.
    /// None of a tool that is not in layers yet.
    layers: &'static [&'static [&'static str]],
    /// Layers that only these may import.
    private: &'static [(&'static str, &'static [&'static str])],
    /// Files that are in circles. One that is not any more goes from the list, and none comes.
    in_circles: &'static [&'static str],
}

const HOUSES: [House; 8] = [
    House {
        root: "bins/add-nic",
        layers: &[
            &["model"],
            &["tool", "cli"],
            &["parse"],
            &["plan"],
            &["journal", "read"],
            &["check", "preflight"],
            &["apply"],
            &["report"],
            &["jobs"],
            &["watch"],
            &["main"],
        ],
        // Options stop at the door.
        private: &[("cli", &["parse", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/cpid",
        layers: &[
            &["tool", "cli"],
            &["complete"],
            &["request"],
            &["wait", "report"],
            &["listening"],
            &["main"],
        ],
        private: &[("cli", &["request", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/netns-link",
        layers: &[
            &["tool", "cli", "state"],
            &["request", "links"],
            &["plan"],
            &["changes", "apply", "report"],
            &["jobs", "watch"],
            &["main"],
        ],
        private: &[("cli", &["request", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/netns-ls",
        layers: &[
            &["tool", "cli"],
            &["request", "kinds", "stack"],
            &["stack_entry"],
            &["named_map"],
            &["sample"],
            &["view", "look", "meaning", "evidence"],
            &["document", "picture"],
            &["saved"],
            &["changes"],
            &["watch"],
            &["jobs", "ports", "why"],
            &["draw"],
            &["main"],
        ],
        private: &[("cli", &["request", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/netns-ping",
        layers: &[
            &["tool", "cli", "request"],
            &["parse"],
            &["network"],
            &["resolve"],
            &["report", "evidence"],
            &["echo", "scan", "arp", "port", "matrix"],
            &["main"],
        ],
        private: &[("cli", &["parse", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/netns-trace",
        layers: &[
            &["tool", "cli", "model"],
            &["request"],
            &["state", "probe", "evidence"],
            &["walk", "follow"],
            &["verdict"],
            &["report"],
            &["jobs"],
            &["main"],
        ],
        private: &[("cli", &["request", "main"])],
        in_circles: &[],
    },
    House {
        root: "bins/nsenter-rs",
        layers: &[
            &["tool", "memory"],
            &["status"],
            &["cli"],
            &["wanted"],
            &["identity"],
            &["plan"],
            &["habits", "judge", "unreadable"],
            &["host_tools"],
            &["enter"],
            &["run"],
            &["notes", "steps"],
            &["each"],
            &["explain"],
            &["main"],
        ],
        private: &[("cli", &["wanted", "main"])],
        in_circles: &[],
    },
    House {
        root: "common/src",
        // The same list, with a line for each, is on the front page of its documentation: lib.rs.
        layers: &[
            &["mountinfo", "output", "sign", "sys"],
            &["cidr", "hint", "json"],
            &["target", "typed"],
            &["failure"],
            &["namespace"],
            &["process"],
            &["netlink", "program"],
            &["packet", "view", "firewall"],
            &["dns"],
            &["probe"],
            &["engine"],
            &["events", "netns"],
            &["map"],
            &["diagnose"],
            &["find"],
            &["ports"],
            &["manual"],
            &["cli"],
            &["each"],
            &["lib"],
        ],
        private: &[],
        in_circles: &[],
    },
];

#[test]
fn every_tool_has_its_layers() {
    let roots: BTreeSet<String> = HOUSES.iter().map(|house| house.root.to_owned()).collect();
    let tools = support::tools::names().into_iter().map(|tool| format!("bins/{tool}"));
    let expected: BTreeSet<String> = tools.chain(["common/src".to_owned()]).collect();
    assert_eq!(roots, expected, "the houses here are not the [[bin]]s of Cargo.toml and the library");
}

#[test]
fn no_layer_imports_a_higher_one() {
    for house in HOUSES.iter().filter(|house| !house.layers.is_empty()) {
        let climbing = climbing(&house.imports(), house.layers, house.private);
        assert!(climbing.is_empty(), "{}:\n{}", house.root, climbing.join("\n"));
    }
}

#[test]
fn no_two_files_import_each_other() {
    for house in &HOUSES {
        let circles = circles(&house.imports());
        let found: BTreeSet<&str> = circles.iter().flatten().map(String::as_str).collect();
        let known: BTreeSet<&str> = house.in_circles.iter().copied().collect();
        let new: Vec<_> = found.difference(&known).collect();
        assert!(new.is_empty(), "{}: in a circle: {new:?}\nall circles: {circles:#?}", house.root);
        let gone: Vec<_> = known.difference(&found).collect();
        assert!(gone.is_empty(), "{}: no longer in a circle, and so not in the list: {gone:?}", house.root);
    }
}

/// The front page of the library's documentation says that each module imports only those above it in its table.
#[test]
fn the_front_page_of_the_library_has_its_modules_in_order() {
    let house = HOUSES.iter().find(|house| house.root == "common/src").unwrap();
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("common/src/lib.rs")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next());
    let rows: Vec<&str> = rows.collect();
    let modules: BTreeSet<&str> =
        house.layers.iter().copied().flatten().copied().filter(|name| *name != "lib").collect();
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), modules, "not the modules that there are");
    let lines: Vec<&[&str]> = rows.iter().map(std::slice::from_ref).chain([["lib"].as_slice()]).collect();
    let climbing = climbing(&house.imports(), &lines, &[]);
    assert!(climbing.is_empty(), "{}", climbing.join("\n"));
}

impl House {
    fn imports(&self) -> Imports {
        Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(self.root)).imports()
    }
}
