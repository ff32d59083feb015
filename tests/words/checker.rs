//! The checker itself, on sources that are made up: it finds what is wrong there, and nothing else.

use std::collections::BTreeSet;

use crate::declared::Declared;
use crate::{is_vague, wrong};

/// What is wrong about two files of which one declares `Address` and the other has this text.
fn wrong_with(text: &str) -> Vec<String> {
    let first = "//! A file.\n\n/// An address.\npub struct Address(u32);\n";
    let names = Declared::of([("bins/tool/a.rs", first), ("common/src/b.rs", text)]).names();
    wrong(&names, &BTreeSet::from(["Plan"]))
}

#[test]
fn a_second_type_of_a_name_is_found_however_it_is_declared() {
    for text in [
        "struct Address;",
        "pub struct Address<'a>(&'a str);",
        "pub(crate) struct Address<T>",
        "pub(super) enum Address {",
        "pub(in crate::a::b) union Address {",
        "pub unsafe trait Address: Sized {",
        "pub type Address = u32;",
        "type Address<T> = Result<T, Error>;",
        "mod tests {\n    struct Address;\n}",
        "fn a() {\n    enum Address { A }\n}",
    ] {
        assert_eq!(
            wrong_with(text),
            ["Address is the name of several types: bins/tool/a.rs common/src/b.rs"],
            "{text}"
        );
    }
    let twice = "struct Other;\nmod a {\n    struct Other;\n}";
    assert_eq!(wrong_with(twice), ["Other is the name of several types: common/src/b.rs common/src/b.rs"]);
}

#[test]
fn what_declares_no_type_is_left_alone() {
    for text in [
        "// struct Address;",
        "/// struct Address",
        "use crate::a::Address;",
        "impl Address {",
        "impl Deref for A {\n    type Address = str;\n}",
        "pub trait A {\n    type Address;\n}",
        "fn address(type_: Address) -> Address {",
        "pub struct Addresses(Vec<Address>);",
        "struct Plan;\nmod a {\n    struct Plan;\n}",
    ] {
        assert_eq!(wrong_with(text), [""; 0], "{text}");
    }
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let files = Declared::of([("a.rs", "1\n2\n3\n"), ("b.rs", "1\n2\n3\n4"), ("c.rs", "")]);
    assert_eq!(files.longer_than(3), [("b.rs".to_owned(), 4)]);
}

#[test]
fn a_name_that_could_be_of_anything_is_found() {
    for name in ["Held", "Waiting", "Listed", "Them", "Way"] {
        assert!(is_vague(name), "{name}");
    }
    for name in ["HeldProcess", "Mapping", "RouteSpec", "Plan", "Cidr"] {
        assert!(!is_vague(name), "{name}");
    }
}

#[test]
fn a_function_that_is_too_long_is_found() {
    let text = "impl A {\n    pub(super) fn long<T>(a: T) {\n        a;\n    }\n\n    fn short(&self);\n}\nfn b() {}\n\nfn c() {\n}\n";
    let files = Declared::of([("a.rs", text)]);
    assert_eq!(files.functions_longer_than(2), [("a.rs".to_owned(), "long".to_owned(), 3)]);
}
