//! Tarball, package, `make install` and `cargo install`, each from nothing. Observers: the Debian's own dpkg, man, bash, systemd,
//! sudo, and its files before and after.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::run::Run;
use support::scratch::Scratch;
use support::skip::{Missing, need, program};
use support::{tier, tools};

use crate::pages::{block, block_with};
use crate::shipped::{Shipped, debian_arch};
use crate::visit::CleanRoot;

/// For a compiler.
const BUILDING: Duration = Duration::from_secs(3000);

/// What shows that an installation is whole: each tool and manual is found by name, TAB is bound to each, and systemd has nothing
/// to say of the units, whose programs and manuals it looks for.
fn whole(units: &str) -> String {
    let mut lines = String::new();
    for tool in tools::names() {
        lines += &format!("{tool} --version\nsudo {tool} --version\nman -w {tool}\n");
        lines += &format!("bash -ic '_comp_load {tool}; complete -p {tool}' 2>/dev/null\n");
    }
    lines += "man -w netns-toolbox\n";
    lines += &format!("sudo systemd-analyze verify {units}/*-watch.service\n");
    lines += "sudo netns-ls\n";
    lines
}

/// Every file, for a comparison. What apt and dpkg note of themselves is no part of a package.
const FILES: &str = "sudo find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /home -o -path /var/backups \\) -prune -o -print | sort";

#[test]
fn two_lines_of_the_readme_lead_from_a_tarball_to_the_map() {
    let (shipped, root) = (need!(Shipped::get()), need!(CleanRoot::get()));
    let files = shipped.downloaded(&[&format!("-{ARCH}.tar.gz")]);
    let lines = block("README.md", "## Install");
    assert_eq!(lines.trim().lines().count(), 2, "{lines}");
    let timed = format!("began=$(date +%s%3N)\n{lines}\necho took $(( $(date +%s%3N) - began )) ms\n");
    let ran = root.paste(files.as_ref(), &timed).ok().stdout_has("WHO ").stdout_has(" lo ");
    // For people to see: how long it took is a matter of the machine.
    let took = ran.stdout.lines().find(|line| line.starts_with("took ")).unwrap();
    eprintln!("from nothing to the first output: {took}");
}

#[test]
fn a_tarball_is_checked_and_installed_as_the_page_says() {
    let (shipped, root) = (need!(Shipped::get()), need!(CleanRoot::get()));
    let files = shipped.downloaded(&[&format!("-{ARCH}.tar.gz"), "SHA256SUMS"]);
    let lines = block_with("docs/install.md", "## A tarball", "tar xzf");
    let more = block_with("docs/install.md", "## A tarball", "cp -r");
    let lines = format!("{lines}{more}{}", whole("/usr/local/lib/systemd/system"));
    let ran = root.paste(files.as_ref(), &lines).ok();
    assert!(ran.stdout.contains(": OK\n"), "the checksum was compared: {ran}");
}

#[test]
fn a_package_installs_works_and_leaves_nothing_when_it_is_removed() {
    let (shipped, root) = (need!(Shipped::get()), need!(CleanRoot::get()));
    let files = shipped.downloaded(&[&format!("_{}.deb", debian_arch())]);
    let install = block("docs/install.md", "## A Debian or Ubuntu package");
    let lines = format!(
        "{FILES} >before\n{install}\ndpkg --verify netns-toolbox\n{}\n\
         for unit in /usr/lib/systemd/system/*-watch.service; do\n\
             test \"$(systemctl is-enabled ${{unit##*/}})\" = disabled\n\
         done\n\
         sudo apt-get -qq -y purge netns-toolbox\n{FILES} >after\ncmp before after || {{ diff before after; false; }}\n",
        whole("/usr/lib/systemd/system")
    );
    root.paste(files.as_ref(), &lines).ok();
}

/// As somebody does who makes a package: into a directory, which then becomes the root.
#[test]
fn make_install_makes_what_fits_its_prefix_and_make_uninstall_takes_it_away() {
    let (shipped, root) = (need!(Shipped::get()), need!(CleanRoot::get()));
    let make = need!(program("make", "make"));
    let unpacked = shipped.unpacked(ARCH);
    let inside = fs::read_dir(unpacked.as_ref()).unwrap().next().unwrap().unwrap().path();
    let files = Scratch::new();
    let destination = files.path("staged");
    let run = |target: &str| {
        let mut make = tools::in_clean_environment(Command::new(&make));
        make.current_dir(env!("CARGO_MANIFEST_DIR")).env("NETNS_TOOLBOX_BIN", inside.join("bin"));
        make.args([target, "PREFIX=/opt/toolbox"])
            .arg(format!("DESTDIR={}", destination.display()))
            .run()
            .ok()
    };
    run("install");
    let lines = format!(
        "sudo cp -r staged/opt/. /opt/\nexport PATH=$PATH:/opt/toolbox/bin MANPATH=:/opt/toolbox/share/man\n\
         {}sudo env MANPATH=$MANPATH systemd-analyze verify /opt/toolbox/lib/systemd/system/*-watch.service\n\
         grep -h ^ExecStart= /opt/toolbox/lib/systemd/system/*.service\n",
        tools::names().iter().map(|tool| format!("{tool} --version\nman -w {tool}\n")).collect::<String>()
    );
    let ran = root.paste(files.as_ref(), &lines).ok();
    let starts: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("ExecStart=")).collect();
    assert!(!starts.is_empty() && starts.iter().all(|line| line.contains("=/opt/toolbox/bin/")), "{ran}");
    run("uninstall");
    let left = Command::new("find").arg(&destination).args(["-type", "f"]).run().ok();
    assert_eq!(left.stdout, "", "uninstall has left files");
}

/// What cargo leaves out, and where sudo does not look, is as the page says.
#[test]
fn cargo_install_makes_the_programs_alone_and_sudo_finds_them_as_the_page_says() {
    if !tier::is_all() {
        need!(Err::<(), _>(Missing::ForGood("make test-all compiles for cargo install".to_owned())));
    }
    let root = need!(CleanRoot::get());
    let home = Scratch::new();
    let mut cargo = Command::new(env!("CARGO"));
    // As the page has it, but for what it costs: not optimized, and from the crates that are here.
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "install",
        "--path",
        ".",
        "--locked",
        "--offline",
        "--debug",
        "--root",
    ]);
    cargo.arg(home.path(".cargo")).start().finish_within(BUILDING).ok();
    let made: Vec<_> =
        fs::read_dir(home.path(".cargo")).unwrap().map(|file| file.unwrap().file_name()).collect();
    let visible: Vec<_> = made.iter().filter(|name| !name.to_str().unwrap().starts_with('.')).collect();
    assert_eq!(visible, ["bin"], "no manuals, no completions");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md")).unwrap();
    let line = r#"sudo "$(which cpid)""#;
    assert!(page.contains(line) && page.contains("installs no manuals"), "{page}");
    let lines = format!(
        "export PATH=~/.cargo/bin:$PATH\ncpid --version\n! sudo cpid --version\n{line} --version\n! man -w cpid\n"
    );
    let ran = root.paste(home.as_ref(), &lines).ok();
    assert_eq!(ran.stdout.matches("cpid ").count(), 2, "{ran}");
}
