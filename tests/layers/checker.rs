//! The checker itself, on a house that is made up: it finds what is wrong there, and nothing else.

use crate::imports::{circles, climbing};
use crate::sources::Sources;

const LAYERS: &[&[&str]] = &[&["model"], &["cli"], &["plan", "read"], &["main"]];

/// A house in which all is well, and one more file, or another text for one of them.
fn with(file: &str, text: &str) -> Sources {
    let mut files = vec![
        ("main.rs", "mod cli; mod model; mod plan; mod read; use plan::make; fn main() { read::all() }"),
        ("cli.rs", "pub struct Cli;"),
        ("model/mod.rs", "pub mod nic; mod port; pub use port::Port;"),
        ("model/nic.rs", "use super::Port; pub struct Nic(Port);"),
        ("model/port.rs", "pub struct Port;"),
        ("plan/mod.rs", "mod names; use crate::model::{Port, nic::Nic}; pub fn make() { names::free() }"),
        ("plan/names.rs", "pub fn free() {} #[cfg(test)] mod tests { use super::*; use super::free; }"),
        ("read/mod.rs", "pub fn all() -> crate::model::Port { todo!() }"),
    ];
    files.retain(|(other, _)| *other != file);
    files.push((file, text));
    Sources::of(files)
}

fn wrong(file: &str, text: &str) -> Vec<String> {
    climbing(&with(file, text).imports(), LAYERS, &[("cli", &["main"])])
}

fn in_circle(file: &str, text: &str) -> Vec<Vec<String>> {
    circles(&with(file, text).imports()).into_iter().map(|circle| circle.into_iter().collect()).collect()
}

#[test]
fn a_house_in_order_is_left_alone() {
    let (file, text) = ("cli.rs", "pub struct Cli;");
    assert_eq!(wrong(file, text), Vec::<String>::new());
    assert_eq!(in_circle(file, text), Vec::<Vec<String>>::new());
    let imports = with(file, text).imports();
    let of = |file: &str| imports[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("plan/mod.rs"), ["model/nic.rs", "model/port.rs", "plan/names.rs"]);
    assert_eq!(of("main.rs"), ["plan/mod.rs", "read/mod.rs"]);
    assert_eq!(of("model/nic.rs"), ["model/port.rs"]);
    assert_eq!(of("model/mod.rs"), [""; 0]);
}

#[test]
fn an_import_of_a_higher_layer_is_found_however_it_is_written() {
    let why = ["model/port.rs imports plan/names.rs, which is not below it"];
    for text in [
        "use crate::plan::names::free;",
        "use crate::{plan::{names::free}};",
        "pub(crate) use super::super::plan::names as other;",
        "fn port() { crate::plan::names::free() }",
        "fn port() { for name in crate::plan::names::free() {} }",
        "mod inner { fn port() { super::super::super::plan::names::free() } }",
        "const C: char = '\"'; use crate::plan::names::free;",
    ] {
        assert_eq!(wrong("model/port.rs", text), why, "{text}");
    }
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    for text in [
        "/// As [`crate::plan::names`].\npub struct Port;",
        "const TEXT: &str = \"use crate::plan::names;\";",
        "const RAW: &str = r#\"\"use crate::plan::names;\"#;",
        "/* use crate::plan::names; */",
        "use common::plan::names;",
        "pub(in crate::plan) struct Port;",
        "fn port<'a>(plan: &'a Plan) -> &'a str { plan.names }",
        "fn port(plan: &Plan) -> impl Iterator<Item = u8> + use<'_> { plan.names() }",
    ] {
        assert_eq!(wrong("model/port.rs", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn neighbours_and_strangers_are_found() {
    let neighbour = "use crate::plan::make; pub fn all() {}";
    assert_eq!(wrong("read/mod.rs", neighbour), ["read/mod.rs imports plan/mod.rs, which is not below it"]);
    assert_eq!(wrong("more.rs", ""), ["more.rs is in no layer"]);
    let options = "use crate::cli::Cli; pub fn all() {}";
    assert_eq!(wrong("read/mod.rs", options), ["read/mod.rs imports cli.rs, which is not for it"]);
}

#[test]
fn circles_of_two_and_of_more_files_are_found() {
    // A parent that takes from its child, which takes from it.
    let child = "use super::make; pub fn free() {}";
    assert_eq!(in_circle("plan/names.rs", child), [["plan/mod.rs", "plan/names.rs"]]);
    let port = "pub struct Port; fn port() { crate::read::all(); }";
    assert_eq!(in_circle("model/port.rs", port), [["model/port.rs", "read/mod.rs"]]);
    let port = "use crate::plan::make; pub struct Port;";
    assert_eq!(in_circle("model/port.rs", port), [["model/nic.rs", "model/port.rs", "plan/mod.rs"]]);
}
