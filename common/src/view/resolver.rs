//! How names become addresses for the target: its resolv.conf and hosts, and nothing else that the host has for that.

use std::os::fd::OwnedFd;

use nix::sys::stat::fstat;

use super::ViewError;
use super::c_library::root;
use super::file::{ConfinedDir, LinkPolicy};
use super::shown::{ETC, ResolverFiles, show, there};
use crate::namespace::NamespaceKind;
use crate::process::Process;
use crate::target::LinkName;

const RESOLV_CONF: &str = "resolv.conf";
const HOSTS: &str = "hosts";
const NSSWITCH: &str = "nsswitch.conf";
const OTHERS_WRITE: u32 = 0o022;

/// Every way to a name but those two is the host's, and goes over sockets that no network namespace stops.
const HOSTS_LINE: &[u8] = b"hosts: files dns\n";

/// The files that a resolver reads, as they were when this was made.
#[derive(Debug)]
pub struct Resolver {
    files: ResolverFiles,
    notes: Vec<String>,
    laid_out: Option<OwnedFd>,
}

impl Resolver {
    /// Reads the files of `process` in its own root, whatever they are. What it does not have is empty, as it
    /// is for every program there.
    ///
    /// # Errors
    /// `Process` when it has ended, `OutOfReach`, `NoFile` when what is there is nothing to read.
    pub fn of_process(process: &Process) -> Result<Self, ViewError> {
        let root = root(process)?;
        let mut notes = Vec::new();
        let mut read = |file: &str| {
            let found = root.read(&format!("etc/{file}"))?;
            notes.push(match found {
                Some(_) => format!("/etc/{file} is that of {process}"),
                None => format!("/etc/{file} is empty: {process} has none"),
            });
            Ok::<_, ViewError>(found.unwrap_or_default())
        };
        let (resolv_conf, hosts) = (read(RESOLV_CONF)?, read(HOSTS)?);
        let files = ResolverFiles { resolv_conf, hosts, nsswitch: hosts_nsswitch()? };
        Ok(Resolver { files, notes, laid_out: None })
    }

    /// Reads `/etc/netns/NAME`, where ip-netns(8) has the files of a namespace without processes. What is not
    /// there is the host's.
    ///
    /// # Errors
    /// `NoConfiguration` when there is neither resolv.conf nor hosts; `NoFile`.
    pub fn of_netns(name: &LinkName) -> Result<Self, ViewError> {
        let place = format!("/etc/netns/{name}");
        let Some(own) = of_name(&place)? else { return Err(ViewError::NoConfiguration(name.clone())) };
        let (resolv_conf, hosts) = (own.read(RESOLV_CONF)?, own.read(HOSTS)?);
        if resolv_conf.is_none() && hosts.is_none() {
            return Err(ViewError::NoConfiguration(name.clone()));
        }
        let mut notes = Vec::new();
        let mut or_the_hosts = |found: Option<Vec<u8>>, file: &str| match found {
            Some(bytes) => {
                notes.push(format!("/etc/{file} is {place}/{file}"));
                Ok::<_, ViewError>(bytes)
            }
            None => {
                notes.push(format!("/etc/{file} stays the host's: {place} has none"));
                Ok(host()?.read(file)?.unwrap_or_default())
            }
        };
        let files = ResolverFiles {
            resolv_conf: or_the_hosts(resolv_conf, RESOLV_CONF)?,
            hosts: or_the_hosts(hosts, HOSTS)?,
            nsswitch: own.read(NSSWITCH)?.map_or_else(hosts_nsswitch, |own| Ok(Some(own)))?,
        };
        Ok(Resolver { files, notes, laid_out: None })
    }

    /// Reads the host's own, for a network namespace without a resolver of its own.
    ///
    /// # Errors
    /// `NoFile` when what is there is nothing to read.
    pub fn of_host() -> Result<Self, ViewError> {
        let host = host()?;
        let (resolv_conf, hosts) = (host.read(RESOLV_CONF)?, host.read(HOSTS)?);
        let files = ResolverFiles {
            resolv_conf: resolv_conf.unwrap_or_default(),
            hosts: hosts.unwrap_or_default(),
            nsswitch: hosts_nsswitch()?,
        };
        let notes = vec!["/etc/resolv.conf and /etc/hosts are the host's".to_owned()];
        Ok(Resolver { files, notes, laid_out: None })
    }

    /// What nsswitch.conf(5) says to programs of `process`, in its own root; empty if there is none.
    ///
    /// # Errors
    /// As [`of_process`](Resolver::of_process).
    pub fn nsswitch_of(process: &Process) -> Result<Vec<u8>, ViewError> {
        Ok(root(process)?.read("etc/nsswitch.conf")?.unwrap_or_default())
    }

    /// What resolv.conf(5) says.
    pub fn resolv_conf(&self) -> &[u8] {
        &self.files.resolv_conf
    }

    /// What hosts(5) says.
    pub fn hosts(&self) -> &[u8] {
        &self.files.hosts
    }

    /// Where each file came from, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Puts the files on a file system of their own, if we may mount already; who gains that right only with the
    /// user namespace that is entered does it later. Done before, it does not matter whether we have a user ID
    /// in there: without one we could create no file.
    ///
    /// # Errors
    /// What the kernel says, other than that we may not.
    pub fn prepare(&mut self) -> Result<(), ViewError> {
        self.laid_out = match self.files.lay_out() {
            Err(rustix::io::Errno::PERM) => None,
            laid_out => Some(laid_out.map_err(ViewError::io("tmpfs"))?),
        };
        Ok(())
    }

    /// Mounts the files over the host's.
    pub(super) fn show(&self) -> Result<(), ViewError> {
        let has_nsswitch = self.files.nsswitch.is_some();
        match &self.laid_out {
            Some(tree) => show(tree, has_nsswitch),
            None => {
                let tree =
                    self.files.lay_out().map_err(ViewError::denied_or_io("tmpfs", NamespaceKind::Mnt))?;
                show(&tree, has_nsswitch)
            }
        }
    }
}

fn directory(path: &str) -> Result<Option<ConfinedDir>, ViewError> {
    Ok(there(path)?.map(|fd| ConfinedDir::new(fd, path.into(), LinkPolicy::Followed)))
}

/// Below `/etc/netns`. Where others can write, their links would have us read and show what they may not.
fn of_name(place: &str) -> Result<Option<ConfinedDir>, ViewError> {
    let Some(fd) = there(place)? else { return Ok(None) };
    let etc = there(ETC)?.and_then(|etc| fstat(&etc).ok());
    let is_as_etc = fstat(&fd)
        .is_ok_and(|own| own.st_mode & OTHERS_WRITE == 0 && etc.is_some_and(|etc| etc.st_uid == own.st_uid));
    let links = if is_as_etc { LinkPolicy::Followed } else { LinkPolicy::StayInside };
    Ok(Some(ConfinedDir::new(fd, place.into(), links)))
}

fn host() -> Result<ConfinedDir, ViewError> {
    directory(ETC)?.ok_or(ViewError::NoPlace(ETC))
}

/// The host's nsswitch.conf, for the program's users and services are the host's, but with the target's two ways
/// to a name.
fn hosts_nsswitch() -> Result<Option<Vec<u8>>, ViewError> {
    Ok(host()?.read(NSSWITCH)?.map(|host| with_files_and_dns(&host)))
}

fn with_files_and_dns(nsswitch: &[u8]) -> Vec<u8> {
    let others = nsswitch.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_of_hosts(line));
    let mut bytes: Vec<u8> = others.flatten().copied().collect();
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(HOSTS_LINE);
    bytes
}

/// glibc, nss/nss_database.c: a line begins with blanks or none, and the name ends with a blank or a colon.
fn is_of_hosts(line: &[u8]) -> bool {
    let rest = line.trim_ascii_start().strip_prefix(b"hosts");
    rest.is_some_and(|rest| rest.first().is_some_and(|byte| *byte == b':' || byte.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_hosts_is_another_one() {
        let host = b"# as installed\npasswd: files systemd\n hosts : resolve [!UNAVAIL=return] files\nhosts:x\n#hosts: x\nnetworks: files";
        let shown = String::from_utf8(with_files_and_dns(host)).unwrap();
        let expected =
            "# as installed\npasswd: files systemd\n#hosts: x\nnetworks: files\nhosts: files dns\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_empty_one_has_that_line_alone() {
        assert_eq!(with_files_and_dns(b""), HOSTS_LINE);
        assert_eq!(with_files_and_dns(b"hosts:\tmdns4"), HOSTS_LINE);
        assert_eq!(with_files_and_dns(b"hostsx: y\n"), [&b"hostsx: y\n"[..], HOSTS_LINE].concat());
    }
}
