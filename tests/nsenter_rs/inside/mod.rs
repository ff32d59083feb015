//! The inside view for programs of the host: names, `/sys`, `/proc`.

mod dns;
mod docker;
mod hostile;
mod leaks;
mod proc;
mod sys;
mod users;

use std::fs;
use std::process::Command;

use support::container::{Container, Options};
use support::lab::Lab;
use support::name_server;
use support::run::{Ran, Run, RunningProgram};
use support::skip::Missing;

/// A lab with an `/etc` of its own, whose host looks names up in ways that a container has not: by a resolver that
/// answers over a socket and lets nothing else be asked, and with a resolv.conf that is a link into `/run`.
const HOST: &str = r#"
mkdir -p /run/etc /run/systemd/resolve
cp -a /etc/passwd /etc/group /etc/alternatives /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /run/etc 2>/dev/null || true
mount --bind /run/etc /etc
echo 'nameserver 127.0.0.53' >/run/systemd/resolve/stub-resolv.conf
touch /run/systemd/resolve/io.systemd.Resolve
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
printf '127.0.0.1 localhost\n198.18.1.1 only.host\n' >/etc/hosts
printf 'passwd: files\nhosts: resolve [!UNAVAIL=return] files\n' >/etc/nsswitch.conf
"#;

struct Scene {
    lab: Lab,
    web: Container,
    pid: String,
}

/// A host, and a container with a resolv.conf and hosts.
fn scene() -> Result<Scene, Missing> {
    furnished(Lab::new()?)
}

fn furnished(lab: Lab) -> Result<Scene, Missing> {
    lab.shell(HOST).run().ok();
    let web = lab.container("web", Options::default());
    fs::write(web.path("/etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    fs::write(web.path("/etc/hosts"), "127.0.0.1 localhost\n198.18.2.2 only.container\n").unwrap();
    let pid = web.pid.to_string();
    Ok(Scene { lab, web, pid })
}

impl Scene {
    /// As a lab is in a user namespace, the kernel may deny it a `/sys` of its own network.
    fn with_sysfs(self) -> Result<Scene, Missing> {
        let probe =
            self.lab.shell("mkdir /run/probe; mount -t sysfs probe /run/probe; umount /run/probe").run();
        let granted = probe.status.is_some_and(|status| status.success());
        granted.then_some(self).ok_or_else(|| Missing::Fixable(format!("no sysfs: {}", probe.stderr.trim())))
    }

    /// `nsenter-rs -t CONTAINER`, and these.
    fn enter(&self, words: &[&str]) -> Command {
        let mut enter = self.lab.tool("nsenter-rs");
        enter.args(["-t", &self.pid]).args(words);
        enter
    }

    /// A script in the view that is to be had with `options`.
    #[track_caller]
    fn shell(&self, options: &[&str], script: &str) -> Ran {
        self.enter(options).args(["sh", "-c", script]).run().ok()
    }

    /// A name server on 127.0.0.1 in the container's network.
    fn name_server(&self, answer: &str) -> RunningProgram {
        name_server::start(&self.lab, &["nsenter", "--target", &self.pid, "--net", "--"], answer)
    }
}
