//! Packs the relocations of a static program: two kilobytes in place of sixty.

use std::env;
use std::process::Command;

/// The first release whose musl starts such a program: musl 1.2.4 has DT_RELR, and Rust has musl 1.2.5 since then.
const SINCE: (u32, u32) = (1, 93);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_musl = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "musl");
    if is_musl && compiler().is_some_and(|version| version >= SINCE) {
        // A linker by itself takes what a compiler that links passes on with -Wl.
        let links_itself = env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"));
        let options: &[&str] = match links_itself {
            true => &["-z", "pack-relative-relocs"],
            false => &["-Wl,-z,pack-relative-relocs"],
        };
        options.iter().for_each(|option| println!("cargo::rustc-link-arg-bins={option}"));
    }
}

/// The major and the minor number of the compiler's version.
fn compiler() -> Option<(u32, u32)> {
    let said = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let mut numbers = said.split_whitespace().nth(1)?.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
