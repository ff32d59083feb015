//! Where everything comes from: the target's process and the files that were named, all held open before
//! anything is entered.

use std::collections::BTreeMap;

use common::failure::Failure;
use common::find::FindError;
use common::namespace::{self, Namespace, NamespaceHandle, NamespaceId, NamespaceKind};
use common::process::Process;
use common::target::Target;
use common::view::Resolver;

use crate::enter::elsewhere;
use crate::enter::sealed;
use crate::enter::view;
use crate::judge::refused;
use crate::tool::TOOL;
use crate::wanted::{OtherNamespace, TakenFrom, Wanted};

/// The target and the namespace files, pinned.
#[derive(Debug)]
pub struct EntrySource {
    target: Option<Target>,
    process: Option<Process>,
    namespaces: BTreeMap<NamespaceKind, Namespace>,
    resolver: Option<Resolver>,
}

impl EntrySource {
    /// Opens the files and finds the target.
    pub fn open(wanted: &Wanted) -> Result<Self, Failure> {
        let mut source = EntrySource { target: wanted.target.clone(), ..EntrySource::files(wanted)? };
        if let Some(target) = &wanted.target {
            source.find(target, wanted)?;
        }
        source.with_what_the_target_leads_to(wanted)
    }

    /// The same where the target is held already.
    pub fn for_process(process: Process, wanted: &Wanted) -> Result<Self, Failure> {
        EntrySource { process: Some(process), ..EntrySource::files(wanted)? }
            .with_what_the_target_leads_to(wanted)
    }

    fn files(wanted: &Wanted) -> Result<Self, Failure> {
        let namespaces = elsewhere::given(wanted)?;
        Ok(EntrySource { target: None, process: None, namespaces, resolver: None })
    }

    fn with_what_the_target_leads_to(mut self, wanted: &Wanted) -> Result<Self, Failure> {
        // The user namespace comes last, because it may be the one that owns the others.
        if let Some(TakenFrom::Named(OtherNamespace::Socket(number))) =
            wanted.namespaces.get(&NamespaceKind::Net)
        {
            let netns = elsewhere::of_socket(*number, self.process()?)?;
            self.namespaces.insert(NamespaceKind::Net, netns);
        }
        if let Some(user) = self.user_namespace_above(wanted)? {
            self.namespaces.insert(NamespaceKind::User, user);
        }
        if wanted.view.resolver {
            let net = wanted.namespaces.get(&NamespaceKind::Net);
            self.resolver = Some(view::resolver(self.process.as_ref(), self.target.as_ref(), net)?);
        }
        Ok(self)
    }

    /// The user namespace of --user-parent, where that was asked for.
    fn user_namespace_above(&self, wanted: &Wanted) -> Result<Option<Namespace>, Failure> {
        match wanted.namespaces.get(&NamespaceKind::User) {
            Some(TakenFrom::Named(OtherNamespace::ParentOf(TakenFrom::Named(given)))) => {
                elsewhere::owner(&elsewhere::open(given, NamespaceKind::User)?)
            }
            Some(TakenFrom::Named(OtherNamespace::ParentOf(TakenFrom::Target))) => {
                self.owner(NamespaceKind::User)
            }
            Some(TakenFrom::Named(OtherNamespace::Owner)) => self.owner(self.kind_with_the_owner(wanted)?),
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// Of the namespaces that are to be entered, one whose owner is worth entering: those that we are in already say
    /// nothing about the others.
    fn kind_with_the_owner(&self, wanted: &Wanted) -> Result<NamespaceKind, Failure> {
        let mut others =
            wanted.namespaces.keys().copied().filter(|kind| *kind != NamespaceKind::User).peekable();
        let first = others.peek().copied().unwrap_or(NamespaceKind::User);
        for kind in others {
            if self.identity(kind)? != namespace::own_identity(kind)? {
                return Ok(kind);
            }
        }
        Ok(first)
    }

    fn find(&mut self, target: &Target, wanted: &Wanted) -> Result<(), Failure> {
        // In the copy it would be said for the second time.
        let mut find = wanted.find;
        find.verbose = find.verbose && !sealed::is_our_copy();
        let found = find.session().find_to_act(TOOL, target)?;
        if found.process().is_some() {
            self.process = found.into_process();
        } else if wanted.needs_only_net() {
            let netns = found.into_netns()?;
            self.namespaces.entry(NamespaceKind::Net).or_insert(netns);
        } else {
            return Err(FindError::NoProcess(target.clone()).into());
        }
        Ok(())
    }

    /// The target's process.
    pub fn process(&self) -> Result<&Process, Failure> {
        self.process.as_ref().ok_or_else(|| match &self.target {
            Some(target) => FindError::NoProcess(target.clone()).into(),
            None => Failure::failed("TARGET", "is missing"),
        })
    }

    /// What tells the namespace that was asked for from others.
    pub fn identity(&self, kind: NamespaceKind) -> Result<NamespaceId, Failure> {
        match self.namespaces.get(&kind) {
            Some(namespace) => Ok(namespace.identity()),
            None => {
                let process = self.process()?;
                process.namespace_identity(kind).map_err(|error| refused::looking(process, error))
            }
        }
    }

    /// The handle of the namespace that was asked for; `None` below Linux 6.18.
    pub fn handle(&self, kind: NamespaceKind) -> Result<Option<NamespaceHandle>, Failure> {
        match self.namespaces.get(&kind) {
            Some(namespace) => Ok(namespace.handle()),
            None => Ok(self.process()?.namespace(kind)?.handle()),
        }
    }

    /// The user namespace that owns the one that was asked for; of a user namespace it is the parent.
    pub fn owner(&self, kind: NamespaceKind) -> Result<Namespace, Failure> {
        match self.namespaces.get(&kind) {
            Some(namespace) => elsewhere::owner(namespace),
            None => elsewhere::owner(&self.process()?.namespace(kind)?),
        }
    }

    /// The target's resolver, where it was asked for.
    pub fn resolver(&self) -> Option<&Resolver> {
        self.resolver.as_ref()
    }

    /// Hands out one of the namespaces that were asked for.
    pub fn take(&mut self, kind: NamespaceKind) -> Result<Namespace, Failure> {
        match self.namespaces.remove(&kind) {
            Some(namespace) => Ok(namespace),
            None => Ok(self.process()?.namespace(kind)?),
        }
    }

    /// The namespace of `kind` that came from a file, or with a target that has no process.
    pub fn named(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.namespaces.get(&kind)
    }
}
