//! The container's network namespace: found, held open, and entered for as long as it takes to open a socket.

use std::cell::OnceCell;

use common::cli::FindSession;
use common::failure::Failure;
use common::find::FoundTarget;
use common::namespace::{self, Namespace, NamespaceKind};
use common::netns::Home;
use common::packet::neighbour::PacketError;
use common::process::Process;
use common::target::{LinkName, Target};
use common::typed::with_sudo;
use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::tool::TOOL;

/// A network namespace held open, and what is known of its container.
#[derive(Debug)]
pub struct TargetNetns {
    /// What to call it in messages: the container's name, or the TARGET.
    pub name: String,
    /// As it was typed.
    pub target: Target,
    /// The namespace, which cannot become another one.
    pub netns: Namespace,
    /// The process whose files say how names are looked up.
    pub process: Option<Process>,
    /// Its name under `/run/netns`, if that is what was typed: then `/etc/netns` may have such files.
    pub link: Option<LinkName>,
    home: OnceCell<Home>,
}

impl TargetNetns {
    /// The network of what `target` means.
    ///
    /// # Errors
    /// What [`common::find`] says.
    pub fn find(target: &Target, find: &FindSession) -> Result<Self, Failure> {
        TargetNetns::of(find.find(TOOL, target)?, target)
    }

    /// The network of what was found.
    ///
    /// # Errors
    /// When it has ended since, or ptrace(2)'s rules forbid us to look.
    pub fn of(found: FoundTarget, target: &Target) -> Result<Self, Failure> {
        let name = found.container.as_ref().map_or_else(|| target.to_string(), |c| c.name.clone());
        let link = match target {
            Target::NamedNetns(link) => Some(link.clone()),
            // A bare word that is no container's may be a name under /run/netns.
            Target::Container { engine: None, name, .. } => name.as_str().parse().ok(),
            _ => None,
        };
        let (process, netns) = found.into_both()?;
        Ok(TargetNetns { name, target: target.clone(), netns, process, link, home: OnceCell::new() })
    }

    /// The network of a process that is held.
    pub fn holding(name: String, target: Target, process: Process, netns: Namespace) -> Self {
        TargetNetns { name, target, netns, process: Some(process), link: None, home: OnceCell::new() }
    }

    /// Whether we can enter it and come back. If not, all that is to be found elsewhere must be found before.
    pub fn is_open_to_us(&self) -> bool {
        Home::current().is_ok_and(|home| home.inside(&self.netns, || ()).is_ok())
    }

    /// Enters it for good, with the user namespace that owns it, if it takes that: an ordinary user can enter the network of
    /// a rootless container so, and in no other way. Nothing else of the host is within reach then, so all that is to be
    /// found must be found before.
    ///
    /// # Errors
    /// Which capability is missing, and over what.
    pub fn settle(&self) -> Result<(), Failure> {
        let home = Home::current()?;
        match home.inside(&self.netns, || ()) {
            Ok(()) => {
                let _ = self.home.set(home);
                return Ok(());
            }
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(not_entered(&self.name, &self.netns, errno)),
        }
        let owner = self.netns.owner().map_err(|errno| not_entered(&self.name, &self.netns, errno))?;
        if Some(owner.identity()) == namespace::own_identity(NamespaceKind::User).ok() {
            return Err(not_permitted(&self.netns, &owner));
        }
        owner.enter().and_then(|()| self.netns.enter()).map_err(|errno| match errno {
            Errno::EPERM => not_permitted(&self.netns, &owner),
            errno => not_entered(&self.name, &self.netns, errno),
        })?;
        let _ = self.home.set(Home::current()?);
        Ok(())
    }

    /// Does `open` inside: the sockets that it opens are of that network for life.
    ///
    /// # Errors
    /// What setns(2) says, as [`Home::inside`]; and what `open` says.
    pub fn open<T, E>(&self, open: impl FnOnce() -> Result<T, E>) -> Result<T, Failure>
    where
        Failure: std::convert::From<E>,
    {
        if self.home.get().is_none() {
            self.settle()?;
        }
        let home = self.home.get().ok_or_else(|| not_entered(&self.name, &self.netns, Errno::EPERM))?;
        let entered = home.inside(&self.netns, open);
        let opened = entered.map_err(|errno| not_entered(&self.name, &self.netns, errno))?;
        Ok(opened?)
    }

    /// The same for packet sockets, with what they take.
    ///
    /// # Errors
    /// As [`TargetNetns::open`]; without CAP_NET_RAW, over what it is missing.
    pub fn open_to_ask<T>(&self, open: impl FnOnce() -> Result<T, PacketError>) -> Result<T, Failure> {
        self.open(|| Ok::<_, Failure>(open()))?.map_err(|error| {
            if !error.is_not_permitted() {
                return error.into();
            }
            let owner = self.owner();
            let what = format_args!(
                "permission denied: ARP and neighbour discovery require CAP_NET_RAW over {owner}, which owns it"
            );
            Failure::failed(&self.netns, what).hint(with_sudo())
        })
    }

    /// The owner of the network, for messages about capabilities: `user:[4026531837]`.
    pub fn owner(&self) -> String {
        self.netns.owner().map_or_else(|_| "the user namespace that owns it".to_owned(), |o| o.to_string())
    }
}

fn not_entered(name: &str, netns: &Namespace, errno: Errno) -> Failure {
    let why = errno.desc();
    Failure::failed(name, format_args!("{netns} cannot be entered: {why}"))
}

fn not_permitted(netns: &Namespace, owner: &Namespace) -> Failure {
    let uid = geteuid();
    let what = format_args!(
        "permission denied: requires CAP_SYS_ADMIN over {owner}, which owns it, and over the caller's; the caller lacks it (uid {uid})"
    );
    let failure = Failure::failed(netns, what);
    if uid.is_root() {
        failure.hint(common::sentence!("run it on the host"))
    } else {
        failure.hint(with_sudo())
    }
}
