//! Where everything comes from: the target's process and the files that were named, all held open before
//! anything is entered.

use std::collections::BTreeMap;

use common::failure::Failure;
use common::find::FindError;
use common::namespace::{self, Kind, Namespace, NamespaceError};
use common::process::Process;
use common::target::Target;
use rustix::thread::{CapabilitySet, capabilities};

use crate::TOOL;
use crate::cli::{Cli, Id};
use crate::exposure::{Relation, Standing};
use crate::host_tools::Footing;
use crate::plan::Snapshot;
use crate::wanted::{From, Wanted};

/// The target and the namespace files, pinned.
#[derive(Debug)]
pub struct Source {
    target: Option<Target>,
    process: Option<Process>,
    namespaces: BTreeMap<Kind, Namespace>,
}

impl Source {
    /// Opens the files and finds the target.
    pub fn open(cli: &Cli, wanted: &Wanted) -> Result<Self, Failure> {
        let mut namespaces = BTreeMap::new();
        for (&kind, from) in &wanted.namespaces {
            if let From::Path(path) = from {
                namespaces.insert(kind, Namespace::open(path, kind)?);
            }
        }
        let mut source = Source { target: cli.target.clone(), process: None, namespaces };
        if let Some(target) = &cli.target {
            source.find(target, cli, wanted)?;
        }
        Ok(source)
    }

    fn find(&mut self, target: &Target, cli: &Cli, wanted: &Wanted) -> Result<(), Failure> {
        let found = cli.find.find(TOOL, target)?;
        if found.process().is_some() {
            self.process = found.into_process();
        } else if wanted.needs_only_net() {
            let netns = found.into_netns()?;
            self.namespaces.entry(Kind::Net).or_insert(netns);
        } else {
            return Err(FindError::NoProcess(target.clone()).into());
        }
        Ok(())
    }

    /// The target's process.
    pub fn process(&self) -> Result<&Process, Failure> {
        self.process.as_ref().ok_or_else(|| match &self.target {
            Some(target) => FindError::NoProcess(target.clone()).into(),
            None => Failure::trouble("TARGET", "none was given"),
        })
    }

    /// Hands out one of the namespaces that were asked for.
    pub fn take(&mut self, kind: Kind) -> Result<Namespace, Failure> {
        match self.namespaces.remove(&kind) {
            Some(namespace) => Ok(namespace),
            None => Ok(self.process()?.namespace(kind)?),
        }
    }

    /// Which of the namespaces that were asked for are ours already.
    pub fn snapshot(&self, wanted: &Wanted) -> Result<Snapshot, Failure> {
        let mut snapshot = Snapshot { has_process: self.process.is_some(), ..Snapshot::default() };
        if wanted.host_tools {
            snapshot.footing = footing()?;
        }
        for &kind in wanted.namespaces.keys() {
            match namespace::own_identity(kind) {
                Err(NamespaceError::Unknown { .. }) if wanted.all => continue,
                identity => snapshot.ours.insert(kind, identity?),
            };
            let theirs = match self.namespaces.get(&kind) {
                Some(namespace) => namespace.identity(),
                None => self.process()?.namespace_identity(kind)?,
            };
            snapshot.theirs.insert(kind, theirs);
        }
        Ok(snapshot)
    }

    /// How the program will stand to the processes of the target, when it is in the namespaces of `wanted`.
    pub fn standing(&self, wanted: &Wanted) -> Result<Standing, Failure> {
        let process = self.process()?;
        let comes_along = |kind| wanted.namespaces.get(&kind) == Some(&From::Target);
        let bounding = process.status()?.capbnd.unwrap_or(u64::MAX);
        Ok(Standing {
            seen: comes_along(Kind::Pid) || self.lies(Kind::Pid)? != Relation::Below,
            user: if comes_along(Kind::User) { Relation::Same } else { self.lies(Kind::User)? },
            bounding: CapabilitySet::from_bits_retain(bounding),
            permitted: permitted(wanted)?,
        })
    }

    /// How the target's namespace lies to ours.
    fn lies(&self, kind: Kind) -> Result<Relation, Failure> {
        let (theirs, ours) = (self.process()?.namespace(kind)?, namespace::own_identity(kind)?);
        if theirs.identity() == ours {
            return Ok(Relation::Same);
        }
        let below = theirs.is_below(ours).map_err(|errno| Failure::trouble(&theirs, errno.desc()))?;
        Ok(if below { Relation::Below } else { Relation::Elsewhere })
    }
}

/// Whether we could take the host's mounts along.
fn footing() -> Result<Footing, Failure> {
    let ours = capabilities(None).map_err(|errno| Failure::trouble("capabilities", errno))?;
    Ok(Footing {
        may_mount: ours.effective.contains(CapabilitySet::SYS_ADMIN),
        has_mount_setattr: common::sys::has_mount_setattr(),
    })
}

/// What the program will be able to do: all in a user namespace that it is root of, and nothing as anybody
/// else; where it stays who we are, what we can.
fn permitted(wanted: &Wanted) -> Result<CapabilitySet, Failure> {
    match wanted.uid {
        Some(Id::Number(0)) => Ok(CapabilitySet::all()),
        Some(_) => Ok(CapabilitySet::empty()),
        None if wanted.namespaces.contains_key(&Kind::User) && !wanted.preserve_credentials => {
            Ok(CapabilitySet::all())
        }
        None => match capabilities(None) {
            Ok(sets) => Ok(sets.permitted),
            Err(errno) => Err(Failure::trouble("capabilities", errno)),
        },
    }
}
