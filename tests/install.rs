//! What `make install`, `make uninstall` and `make dist` put where, and that nothing is half done. Observers: the files, their
//! modes and bytes, and what the installed programs say.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::run::{Ran, Run};
use support::scratch::Scratch;
use support::skip::{Missing, need, program};
use support::{tier, tools};

/// Long enough for the copies of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A directory with a program for each tool: what is installed is whatever is there, and small ones are compressed at once.
fn stand_ins() -> Scratch {
    let binaries = Scratch::new();
    for tool in tools::names() {
        fs::copy("/bin/sleep", binaries.path(tool)).unwrap();
    }
    binaries
}

/// A script of `tests/setup`, on those binaries.
fn script(name: &str, binaries: &Scratch) -> Command {
    let mut command = tools::in_clean_environment(Command::new(root("tests/setup").join(name)));
    command.env("NETNS_TOOLBOX_BIN", binaries.as_ref()).env("PATH", tools::path());
    command
}

/// A package of them, made in `into`.
fn package(into: &Path) -> PathBuf {
    let binaries = stand_ins();
    let mut deb = script("deb", &binaries);
    deb.env("SOURCE_DATE_EPOCH", "1700000000").args(["1.2.3", "x86_64"]).arg(into);
    deb.start().finish_within(PATIENCE).ok();
    into.join("netns-toolbox_1.2.3_amd64.deb")
}

fn install(arguments: &[&str], to: &Path) -> Ran {
    let binaries = stand_ins();
    script("install", &binaries).args(arguments).arg(to).start().finish_within(PATIENCE)
}

/// Every file below a directory, by its path there, with its mode.
fn files(below: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut open = vec![below.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(below).unwrap().to_str().unwrap().to_owned();
                found.insert(name, metadata.permissions().mode() & 0o7777);
            }
        }
    }
    found
}

#[test]
fn everything_is_where_a_system_looks_for_it_and_uninstall_takes_only_that_away() {
    let destination = Scratch::new();
    let other = destination.path("opt/tools/bin/somebody-elses");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "").unwrap();
    install(&["/opt/tools"], destination.as_ref()).ok();
    let installed = files(&destination.path("opt/tools"));
    for tool in tools::names() {
        assert_eq!(installed.get(&format!("bin/{tool}")), Some(&0o755), "{tool}");
        let has = |directory: &str, name: &str| installed.contains_key(&format!("share/{directory}/{name}"));
        assert!(has("bash-completion/completions", tool), "{tool}: bash");
        assert!(has("zsh/site-functions", &format!("_{tool}")), "{tool}: zsh");
        assert!(has("fish/vendor_completions.d", &format!("{tool}.fish")), "{tool}: fish");
        let manual = |section: u8| has(&format!("man/man{section}"), &format!("{tool}.{section}"));
        assert!(manual(1) || manual(8), "{tool}: manual");
    }
    assert!(installed.contains_key("share/man/man7/netns-toolbox.7"));
    let units: Vec<&String> = installed.keys().filter(|name| name.ends_with(".service")).collect();
    assert_eq!(units.len(), fs::read_dir(root("contrib")).unwrap().count());
    for unit in units {
        let text = fs::read_to_string(destination.path("opt/tools").join(unit)).unwrap();
        let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let program = start.split(' ').next().unwrap();
        assert!(program.starts_with("/opt/tools/bin/"), "{unit}: {start}");
        assert!(destination.path(program.trim_start_matches('/')).is_file(), "{unit}: {start}");
        assert!(!text.contains("/usr/local/bin/"), "{unit}: {text}");
    }
    install(&["--remove", "/opt/tools"], destination.as_ref()).ok();
    let left = files(destination.as_ref());
    assert_eq!(left.keys().collect::<Vec<_>>(), ["opt/tools/bin/somebody-elses"]);
}

#[test]
fn an_install_over_an_older_one_replaces_it_also_while_it_runs() {
    let destination = Scratch::new();
    install(&["/usr/local"], destination.as_ref()).ok();
    let program = destination.path("usr/local/bin/cpid");
    let before = fs::read(&program).unwrap();
    let running = Command::new(&program).arg("60").start();
    // An older one that cannot be written, and a link that must not be followed.
    let manual = destination.path("usr/local/share/man/man1/cpid.1");
    let strange = destination.path("strange");
    fs::write(&strange, "kept").unwrap();
    fs::remove_file(&manual).unwrap();
    symlink(&strange, &manual).unwrap();
    install(&["/usr/local"], destination.as_ref()).ok();
    assert!(fs::read(&program).unwrap() == before);
    assert_eq!(fs::read_to_string(&strange).unwrap(), "kept");
    assert!(manual.symlink_metadata().unwrap().is_file());
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
}

#[test]
fn what_cannot_be_done_is_one_line_and_changes_nothing() {
    let destination = Scratch::new();
    let place = destination.as_ref();
    let one_line = |ran: Ran, text: &str| {
        let ran = ran.fails_with(1).stderr_has(text);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        assert!(files(place).is_empty(), "{:?}", files(place));
    };
    one_line(install(&["usr/local"], place), "PREFIX is an absolute path: usr/local");
    let empty = Scratch::new();
    let ran = script("install", &empty).arg("/usr/local").arg(place).run();
    one_line(ran, "nothing was changed");
    // A file where a directory has to be, which root cannot write into either.
    let in_the_way = Scratch::new();
    fs::create_dir_all(in_the_way.path("usr/local")).unwrap();
    fs::write(in_the_way.path("usr/local/share"), "").unwrap();
    let ran = install(&["/usr/local"], in_the_way.as_ref()).fails_with(1);
    let ran = ran.stderr_has("cannot be written to: nothing was changed");
    assert_eq!(files(in_the_way.as_ref()).len(), 1, "{ran}");
}

#[test]
fn a_path_may_have_spaces() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.path("built here"), scratch.path("goes there"));
    fs::create_dir(&from).unwrap();
    tools::names().iter().for_each(|tool| _ = fs::copy("/bin/sleep", from.join(tool)).unwrap());
    let mut install = script("install", &scratch);
    install.env("NETNS_TOOLBOX_BIN", &from).arg("/usr/local").arg(&to).run().ok();
    assert!(to.join("usr/local/bin/cpid").is_file());
    script("install", &scratch).args(["--remove", "/usr/local"]).arg(&to).run().ok();
    assert!(files(&to).is_empty());
}

#[test]
fn a_full_or_read_only_disk_leaves_the_older_installation_as_it_was() {
    let destination = need!(writable_mounts());
    let place = destination.as_ref();
    let old = stand_ins();
    script("install", &old).arg("/usr/local").arg(place).run().ok();
    let (before, size) = (files(place), |file: &str| fs::metadata(destination.path(file)).unwrap().len());
    let program = size("usr/local/bin/cpid");
    let new = stand_ins();
    fs::write(new.path("cpid"), "newer").unwrap();
    fs::set_permissions(new.path("cpid"), fs::Permissions::from_mode(0o755)).unwrap();
    let within = |mounts: &str| {
        let mut unshare = script("install", &new);
        let script = std::mem::replace(&mut unshare, Command::new("unshare"));
        unshare
            .args(["--mount", "sh", "-ec", &format!("{mounts}; exec \"$@\""), "sh"])
            .arg(script.get_program());
        unshare
            .env("NETNS_TOOLBOX_BIN", new.as_ref())
            .env("PATH", tools::path())
            .arg("/usr/local")
            .arg(place)
            .run()
    };
    let usr = destination.path("usr/local");
    let usr = usr.display();
    let read_only =
        within(&format!("mount --bind {usr} {usr}; mount -o remount,bind,ro {usr}")).fails_with(1);
    let read_only = read_only.stderr_has("cannot be written to: nothing was changed");
    assert_eq!(read_only.stderr.lines().count(), 1, "{read_only}");
    // Room for the first files only.
    let share = format!("{usr}/share/zsh");
    within(&format!("mount -t tmpfs -o size=8k full {share}"))
        .fails_with(1)
        .stderr_has("No space left on device")
        .stderr_has("\ninstall: nothing was changed\n");
    assert!(files(place) == before && size("usr/local/bin/cpid") == program);
    within("true").ok();
    assert!(files(place) == before && size("usr/local/bin/cpid") == 5);
}

/// A directory in which a test may mount what it needs, in a mount namespace of its own.
fn writable_mounts() -> Result<Scratch, Missing> {
    let made = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).run();
    match made.status.is_some_and(|status| status.success()) {
        true => Ok(Scratch::new()),
        false => Err(Missing::Fixable("mounts need root".to_owned())),
    }
}

#[test]
fn a_rust_that_is_too_old_or_not_there_is_named_before_anything_is_compiled() {
    let fake = Scratch::new();
    let cargo = fake.path("cargo");
    let said = |version: Option<&str>| {
        let _ = fs::remove_file(&cargo);
        if let Some(version) = version {
            fs::write(&cargo, format!("#!/bin/sh\necho 'cargo {version} (abc 2025-01-01)'\n")).unwrap();
            fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", fake.as_ref().display());
        script("rust", &fake).env("PATH", path).run()
    };
    let manifest = fs::read_to_string(root("Cargo.toml")).unwrap();
    let needed = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    for enough in [format!("{needed}.0"), "1.200.1".to_owned(), "2.0.0-nightly".to_owned()] {
        said(Some(&enough)).ok().stderr_is("");
    }
    let old = said(Some("1.63.0")).fails_with(1);
    let old =
        old.stderr_has(&format!("Rust {needed} or later")).stderr_has("is 1.63.0").stderr_has("\nhint: ");
    assert_eq!(old.stderr.lines().count(), 2, "{old}");
    if !Path::new("/usr/bin/cargo").exists() {
        said(None).fails_with(1).stderr_has("no cargo on the PATH").stderr_has("\nhint: ");
    }
}

#[test]
fn the_demo_takes_ready_binaries_and_builds_where_a_source_is_newer() {
    let checkout = Scratch::new();
    let place = checkout.path("tests/setup");
    fs::create_dir_all(&place).unwrap();
    fs::copy(root("tests/setup/demo"), place.join("demo")).unwrap();
    // In the place of the build, and of what comes after the binaries were chosen.
    for (name, says) in [("release", "echo built"), ("need", "echo takes ${PATH%%:*}; exit 7")] {
        fs::write(place.join(name), format!("#!/bin/sh\n{says}\n")).unwrap();
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let age = |path: &Path, seconds: u64| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    for source in
        ["Cargo.toml", "Cargo.lock", "build.rs", "common/lib.rs", "bins/cpid/main.rs", "bins/add-nic/main.rs"]
    {
        let source = checkout.path(source);
        fs::create_dir_all(source.parent().unwrap()).unwrap();
        fs::write(&source, "").unwrap();
        age(&source, 100);
    }
    let run = |own: Option<&str>| {
        let mut demo = tools::in_clean_environment(Command::new(place.join("demo")));
        own.iter().for_each(|own| _ = demo.env("NETNS_TOOLBOX_BIN", own));
        demo.run().fails_with(7)
    };
    run(None).stdout_is("takes built\n");
    run(Some("/somewhere")).stdout_is("takes /somewhere\n");
    let ready = checkout.path("target/release");
    fs::create_dir_all(&ready).unwrap();
    fs::copy("/bin/true", ready.join("cpid")).unwrap();
    // One is missing.
    run(None).stdout_is("takes built\n");
    fs::copy("/bin/true", ready.join("add-nic")).unwrap();
    run(None).stdout_is(&format!("takes {}\n", ready.display()));
    age(&ready.join("add-nic"), 200);
    run(None).stdout_is("takes built\n");
}

#[test]
fn only_a_commit_is_shipped() {
    let git = need!(program("git", "git"));
    let checkout = Scratch::new();
    let place = checkout.path("tests/setup");
    fs::create_dir_all(&place).unwrap();
    fs::copy(root("tests/setup/dist"), place.join("dist")).unwrap();
    let in_checkout = |arguments: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        Command::new(&git).current_dir(checkout.as_ref()).args(who).args(arguments).run().ok()
    };
    in_checkout(&["init", "--quiet"]);
    in_checkout(&["add", "."]);
    in_checkout(&["commit", "--quiet", "--message=all"]);
    fs::write(checkout.path("new"), "").unwrap();
    let ran = Command::new(place.join("dist")).run().fails_with(1);
    let ran = ran.stderr_has("dist: the tree is not as it was committed (new)").stdout_is("");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    assert!(!checkout.path("target").exists());
    fs::remove_file(checkout.path("new")).unwrap();
    let ran = Command::new(place.join("dist")).arg("mips").run().fails_with(1);
    ran.stderr_is("dist: mips: x86_64 or aarch64\n");
}

#[test]
fn a_debian_package_has_what_is_installed_and_the_same_bytes_again() {
    need!(program("dpkg-deb", "dpkg"));
    let (once, again) = (Scratch::new(), Scratch::new());
    let package = self::package(once.as_ref());
    let second = self::package(again.as_ref());
    assert!(fs::read(&package).unwrap() == fs::read(second).unwrap(), "not the same bytes");
    let listed = Command::new("dpkg-deb").arg("--contents").arg(&package).run().ok();
    let lists = |path: &str| listed.stdout.lines().any(|line| line.ends_with(path));
    for tool in tools::names() {
        assert!(lists(&format!(" ./usr/bin/{tool}")), "{tool}: {listed}");
        assert!(lists(&format!(" ./usr/share/bash-completion/completions/{tool}")), "{tool}: {listed}");
        assert!(lists(&format!(" ./usr/share/zsh/vendor-completions/_{tool}")), "{tool}: {listed}");
    }
    assert!(lists(" ./usr/share/man/man7/netns-toolbox.7.gz") && lists("/copyright"), "{listed}");
    let owners = listed.stdout.lines().all(|line| line.split_whitespace().nth(1) == Some("root/root"));
    assert!(owners, "{listed}");
    let unpacked = Scratch::new();
    Command::new("dpkg-deb").arg("--extract").args([&package, unpacked.as_ref()]).run().ok();
    for unit in fs::read_dir(unpacked.path("usr/lib/systemd/system")).unwrap() {
        let text = fs::read_to_string(unit.unwrap().path()).unwrap();
        assert!(text.contains("\nExecStart=/usr/bin/"), "{text}");
    }
}

/// Lintian's errors, of which there are none: its warnings are opinions.
#[test]
fn lintian_finds_no_error_in_the_package() {
    let lintian = need!(lintian());
    let place = Scratch::new();
    let mut check = Command::new(lintian);
    check.args(["--fail-on", "error", "--no-tag-display-limit", "--allow-root"]);
    // The stand-ins are not static.
    check.args(["--suppress-tags", "undeclared-elf-prerequisites"]).arg(package(place.as_ref()));
    let ran = check.start().finish_within(PATIENCE);
    let errors: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("E: ")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    ran.ok();
}

fn lintian() -> Result<PathBuf, Missing> {
    match program("lintian", "lintian") {
        // Too many packages to fetch for every run.
        Err(_) if !tier::is_all() => Err(Missing::ForGood("lintian is not installed".to_owned())),
        other => other,
    }
}
