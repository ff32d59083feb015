//! The grammar of what a user types for "which container": pure, no I/O.
//!
//! | form | means |
//! |---|---|
//! | `nginx`, `3f2a9c` | a container's name or ID prefix |
//! | `docker:X` `podman:X` `containerd:[NS/]X` `nerdctl:[NS/]X` `crio:X` `oci:X` `lxc:X` `incus:[PROJECT/]X` `lxd:[PROJECT/]X` `machine:X` | that engine only |
//! | `podman@alice:X` | the same of one user, by name or UID |
//! | `pod:POD` `pod:NAMESPACE/POD` `pod:NAMESPACE/POD/CONTAINER` | a Kubernetes pod (its sandbox), or a container in it |
//! | `123` `123:INODE` `pid:123` `pid:123:INODE` | a process; INODE is its pidfs inode |
//! | `netns:blue` `/run/netns/blue` `/proc/123/ns/net` | a namespace without a process |
//! | `ip:172.17.0.5` `ip:172.17.0.5/16` `ip:[fd00::5]` `ip:fe80::5%br0` `mac:02:42:ac:11:00:05` `veth:veth12ab` `veth:veth12ab@if2` `veth:98` `veth:if98` | the owner of that address, or of the veth's other end |
//!
//! A bare name is looked up with every engine, in the order of this table; `pod:` with Podman, containerd and CRI-O. Where
//! several containers fit, nothing is done and they are listed.
//!
//! A bare word of digits up to 4194304 (no PID is greater) is a PID; a longer one is the start of an ID. A bare word
//! that is no container, but a name under `/run/netns`, is that namespace, unless the link was made for a container
//! that is gone: then it is an error that names the link. An empty TARGET, or one that begins with `-`, is an error in
//! every tool: what `$(cpid nope)` leaves behind never means the host.

mod dest;
#[cfg(test)]
mod dest_tests;
mod host_name;
mod name;
mod place;
#[cfg(test)]
mod tests;
mod user;
mod wire;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::output::quotable;

use serde::{Deserialize, Serialize};

pub use dest::{Dest, DestError, DestHost, DestPort, Transport};
pub use host_name::{HostName, HostNameError};
pub use name::{IfName, LinkName, Mac, Name, NameError};
pub use place::{SocketPlace, SocketPlaceError};
pub use user::{UserWord, UsersContainer};
pub use wire::WireAddress;

/// The kernel's PID_MAX_LIMIT on 64-bit machines: no PID is greater (linux/threads.h).
pub const PID_MAX_LIMIT: u32 = 4_194_304;

/// What a user typed for "which container", checked: a value of this type cannot hold a line feed, a
/// path in place of a name, or a PID that no kernel has.
///
/// ```
/// use common::target::{EngineName, Target};
///
/// assert!(matches!("nginx".parse(), Ok(Target::Container { engine: None, .. })));
/// assert!(matches!("podman:web".parse(), Ok(Target::Container { engine: Some(EngineName::Podman), .. })));
/// assert!(matches!("4711:98".parse(), Ok(Target::Process { pid: 4711, inode: Some(98) })));
/// // What `$(cpid nope)` leaves on a command line never means the host.
/// assert!("".parse::<Target>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A container by name or ID prefix, of one engine or of whichever has it.
    Container {
        /// The engine to ask; all of them in their documented order when `None`.
        engine: Option<EngineName>,
        /// containerd's own namespace (`moby`, `k8s.io`), or the project of Incus, where one was named.
        within: Option<Name>,
        /// The name, or the beginning of the ID.
        name: Name,
    },
    /// A container of one user's engine, by name or ID prefix.
    OfUser(Box<UsersContainer>),
    /// A Kubernetes pod (its sandbox), or one container in it.
    Pod {
        /// The Kubernetes namespace; any when `None`.
        namespace: Option<Name>,
        /// The pod's name.
        pod: Name,
        /// The container's name in the pod; the sandbox when `None`.
        container: Option<Name>,
    },
    /// A process, and the pidfs inode that tells it from a later one with the same PID.
    Process {
        /// 1 to [`PID_MAX_LIMIT`].
        pid: u32,
        /// The inode number of its pidfd (Linux 6.9).
        inode: Option<u64>,
    },
    /// A network namespace by its name under `/run/netns`.
    NamedNetns(LinkName),
    /// A network namespace by the absolute path of its file.
    NetnsFile(PathBuf),
    /// The namespace that owns this address.
    Ip(WireAddress),
    /// The namespace that owns the link with this address.
    Mac(Mac),
    /// The namespace at the other end of this veth: its name or its index, as the map of networks reads it.
    Veth(LinkName),
}

/// The engines, [`EngineName::ALL`] and the words for them, from one table.
macro_rules! engines {
    ($($(#[$doc:meta])* $engine:ident = $word:literal,)*) => {
        /// The engines that a TARGET can name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum EngineName {
            $($(#[$doc])* $engine,)*
        }

        impl EngineName {
            /// All of them, in the order in which they are asked.
            pub const ALL: [EngineName; [$($word),*].len()] = [$(EngineName::$engine),*];

            /// The prefix that names it in a TARGET.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(EngineName::$engine => $word,)*
                }
            }
        }
    };
}

engines! {
    /// Docker (moby).
    Docker = "docker",
    /// Podman, rootful or rootless.
    Podman = "podman",
    /// containerd, whatever drives it.
    Containerd = "containerd",
    /// nerdctl's names over containerd.
    Nerdctl = "nerdctl",
    /// CRI-O.
    Crio = "crio",
    /// runc, crun or youki, driven by hand or by something that we do not know.
    Oci = "oci",
    /// LXC.
    Lxc = "lxc",
    /// Incus.
    Incus = "incus",
    /// LXD.
    Lxd = "lxd",
    /// systemd-nspawn.
    Machine = "machine",
}

impl EngineName {
    /// What the named partitions are called that its containers live in, if it has such: containerd's namespaces, and the
    /// projects of Incus.
    pub const fn partition(self) -> Option<&'static str> {
        match self {
            EngineName::Containerd | EngineName::Nerdctl => Some("NS"),
            EngineName::Incus | EngineName::Lxd => Some("PROJECT"),
            EngineName::Docker
            | EngineName::Podman
            | EngineName::Crio
            | EngineName::Oci
            | EngineName::Lxc
            | EngineName::Machine => None,
        }
    }

    /// Whether it runs pods, and knows their names.
    pub const fn knows_pods(self) -> bool {
        match self {
            EngineName::Podman | EngineName::Containerd | EngineName::Crio => true,
            EngineName::Docker
            | EngineName::Nerdctl
            | EngineName::Oci
            | EngineName::Lxc
            | EngineName::Incus
            | EngineName::Lxd
            | EngineName::Machine => false,
        }
    }
}

/// Words as a sentence lists them: `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// The engines, as a sentence lists them.
fn engines() -> String {
    listed(&EngineName::ALL.map(EngineName::as_str))
}

/// All that a TARGET can begin with, before its colon.
fn kinds() -> String {
    listed(&[&EngineName::ALL.map(EngineName::as_str)[..], &OTHER_KINDS].concat())
}

impl FromStr for EngineName {
    type Err = TargetError;

    fn from_str(word: &str) -> Result<Self, TargetError> {
        let known = EngineName::ALL.into_iter().find(|engine| engine.as_str() == word);
        known.ok_or_else(|| TargetError::Engine(word.to_owned()))
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a word is not a TARGET.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing at all: what `$(cpid nope)` leaves behind.
    #[error("the TARGET is empty (was it the output of a command that failed?)")]
    Empty,
    /// It begins with `-`: an option that was mistyped or lost its value.
    #[error("a TARGET cannot begin with '-'")]
    Dash,
    /// A character, or a length, that no engine gives a name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// `engine:` is none that we know.
    #[error("'{}:' is not a kind of TARGET; there are {}", quotable(.0), kinds())]
    Kind(String),
    /// No engine has this name.
    #[error("'{}' is not an engine; there are {}", .0, engines())]
    Engine(String),
    /// Digits that no kernel uses as a PID.
    #[error("'{}' is not a PID (1 to {PID_MAX_LIMIT})", quotable(.0))]
    Pid(String),
    /// What follows the PID is no inode number.
    #[error("'{}' is not a pidfs inode number", quotable(.0))]
    Inode(String),
    /// `pod:` with too many parts.
    #[error("a pod is pod:POD, pod:NAMESPACE/POD or pod:NAMESPACE/POD/CONTAINER")]
    Pod,
    /// Not an IPv4 or IPv6 address.
    #[error("'{}' is not an IP address", quotable(.0))]
    Ip(String),
    /// An interface after an address that is the same on every link.
    #[error("{0}: only a link-local address (fe80::/10) has an interface after a %")]
    Zone(IpAddr),
    /// Not six bytes in hexadecimal.
    #[error("'{}' is not a MAC address", quotable(.0))]
    Mac(String),
}

/// What a TARGET can begin with that is no engine.
const OTHER_KINDS: [&str; 6] = ["pod", "pid", "netns", "ip", "mac", "veth"];

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(word: &str) -> Result<Self, TargetError> {
        match word.as_bytes().first() {
            None => return Err(TargetError::Empty),
            Some(b'-') => return Err(TargetError::Dash),
            Some(b'/') => return netns_file(word),
            _ => {}
        }
        match word.split_once(':') {
            None => bare_word(word),
            Some((digits, inode)) if is_digits(digits) => process(digits, Some(inode)),
            Some((kind, rest)) => of_kind(kind, rest),
        }
    }
}

fn bare_word(word: &str) -> Result<Target, TargetError> {
    if could_be_pid(word) {
        return process(word, None);
    }
    Ok(Target::Container { engine: None, within: None, name: word.parse()? })
}

fn of_kind(kind: &str, rest: &str) -> Result<Target, TargetError> {
    let (word, user) = kind.split_once('@').map_or((kind, None), |(word, user)| (word, Some(user)));
    if let Ok(engine) = word.parse::<EngineName>() {
        let (within, name) = match rest.split_once('/') {
            Some((within, name)) if engine.partition().is_some() => (Some(within.parse()?), name),
            _ => (None, rest),
        };
        let name = name.parse()?;
        return Ok(match user {
            None => Target::Container { engine: Some(engine), within, name },
            Some(user) => {
                Target::OfUser(Box::new(UsersContainer { engine, user: user.parse()?, within, name }))
            }
        });
    }
    match kind {
        "pod" => pod(rest),
        "pid" => match rest.split_once(':') {
            Some((pid, inode)) => process(pid, Some(inode)),
            None => process(rest, None),
        },
        "netns" => Ok(Target::NamedNetns(rest.parse()?)),
        "ip" => rest.parse().map(Target::Ip),
        "mac" => rest.parse().map(Target::Mac),
        "veth" => Ok(Target::Veth(rest.parse()?)),
        _ => Err(TargetError::Kind(kind.to_owned())),
    }
}

fn process(pid: &str, inode: Option<&str>) -> Result<Target, TargetError> {
    let number = Some(pid).filter(|pid| is_digits(pid)).and_then(|pid| pid.parse().ok());
    let pid = number
        .filter(|pid| (1..=PID_MAX_LIMIT).contains(pid))
        .ok_or_else(|| TargetError::Pid(pid.to_owned()))?;
    let inode = inode
        .map(|inode| {
            let number = Some(inode).filter(|inode| is_digits(inode)).and_then(|inode| inode.parse().ok());
            number.ok_or_else(|| TargetError::Inode(inode.to_owned()))
        })
        .transpose()?;
    Ok(Target::Process { pid, inode })
}

fn pod(rest: &str) -> Result<Target, TargetError> {
    let parts: Vec<&str> = rest.split('/').collect();
    let (namespace, pod, container) = match parts[..] {
        [pod] => (None, pod, None),
        [namespace, pod] => (Some(namespace), pod, None),
        [namespace, pod, container] => (Some(namespace), pod, Some(container)),
        _ => return Err(TargetError::Pod),
    };
    Ok(Target::Pod {
        namespace: namespace.map(str::parse).transpose()?,
        pod: pod.parse()?,
        container: container.map(str::parse).transpose()?,
    })
}

fn netns_file(path: &str) -> Result<Target, TargetError> {
    if path.len() > 4095 || path.contains('\0') {
        return Err(TargetError::Name(NameError::Length));
    }
    match path.strip_prefix("/run/netns/").or_else(|| path.strip_prefix("/var/run/netns/")) {
        Some(name) if !name.is_empty() => Ok(Target::NamedNetns(name.parse()?)),
        _ => Ok(Target::NetnsFile(PathBuf::from(path))),
    }
}

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// Digits that no container ID would be shortened to: PIDs are written without leading zeros.
fn could_be_pid(word: &str) -> bool {
    let small = || word.parse::<u64>().is_ok_and(|number| number <= u64::from(PID_MAX_LIMIT));
    is_digits(word) && (word == "0" || !word.starts_with('0')) && small()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Container { engine: None, name, .. } => write!(f, "{name}"),
            Target::Container { engine: Some(engine), within: None, name } => write!(f, "{engine}:{name}"),
            Target::Container { engine: Some(engine), within: Some(within), name } => {
                write!(f, "{engine}:{within}/{name}")
            }
            Target::OfUser(theirs) => theirs.fmt(f),
            Target::Pod { namespace, pod, container } => {
                f.write_str("pod:")?;
                namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
                write!(f, "{pod}")?;
                container.iter().try_for_each(|container| write!(f, "/{container}"))
            }
            Target::Process { pid, inode: None } => write!(f, "pid:{pid}"),
            Target::Process { pid, inode: Some(inode) } => write!(f, "pid:{pid}:{inode}"),
            Target::NamedNetns(name) => write!(f, "netns:{name}"),
            Target::NetnsFile(path) => write!(f, "{}", path.display()),
            Target::Ip(address) => write!(f, "ip:{address}"),
            Target::Mac(address) => write!(f, "mac:{address}"),
            Target::Veth(name) => write!(f, "veth:{name}"),
        }
    }
}
