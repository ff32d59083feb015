//! Where everything comes from: the target's process and the files that were named, all held open before
//! anything is entered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use common::failure::Failure;
use common::find::FindError;
use common::namespace::{self, Handle, Identity, Kind, Namespace, NamespaceError};
use common::process::Process;
use common::target::Target;
use common::view::Resolver;
use rustix::thread::{CapabilitySet, capabilities};

use crate::apply;
use crate::beside;
use crate::cgroup::Group;
use crate::cli::{Cli, Id};
use crate::confine::Confinement;
use crate::elsewhere;
use crate::explain::inside::{Directory, Inside};
use crate::explain::program::{self, Lookup};
use crate::exposure::{Dumpability, Exposure, Observer, Relation, Standing};
use crate::fence::{Fence, INITIAL_USER_NAMESPACE};
use crate::host_tools::Footing;
use crate::label::{Label, Module};
use crate::place::{DIRECTORY, is_not_our_root};
use crate::plan::{Plan, Snapshot, Tracer};
use crate::refused;
use crate::sealed;
use crate::tool::TOOL;
use crate::unreadable::{Shield, Unmade};
use crate::view;
use crate::wanted::{From, Wanted};

/// The target and the namespace files, pinned.
#[derive(Debug)]
pub struct Source {
    target: Option<Target>,
    process: Option<Process>,
    namespaces: BTreeMap<Kind, Namespace>,
    resolver: Option<Resolver>,
    /// What is to make the program undumpable; made with the snapshot.
    shield: RefCell<Option<Shield>>,
}

impl Source {
    /// Opens the files and finds the target.
    pub fn open(cli: &Cli, wanted: &Wanted) -> Result<Self, Failure> {
        let mut source = Source { target: cli.target.clone(), ..Source::files(wanted)? };
        if let Some(target) = &cli.target {
            source.find(target, cli, wanted)?;
        }
        source.with_what_the_target_leads_to(wanted)
    }

    /// The same where the target is held already.
    pub fn around(process: Process, wanted: &Wanted) -> Result<Self, Failure> {
        Source { process: Some(process), ..Source::files(wanted)? }.with_what_the_target_leads_to(wanted)
    }

    fn files(wanted: &Wanted) -> Result<Self, Failure> {
        let namespaces = elsewhere::given(wanted)?;
        Ok(Source { target: None, process: None, namespaces, resolver: None, shield: RefCell::default() })
    }

    fn with_what_the_target_leads_to(mut self, wanted: &Wanted) -> Result<Self, Failure> {
        // The user namespace comes last, because it may be the one that owns the others.
        if let Some(netns) = elsewhere::of_socket(wanted, &self)? {
            self.namespaces.insert(Kind::Net, netns);
        }
        if let Some(user) = elsewhere::above(wanted, &self)? {
            self.namespaces.insert(Kind::User, user);
        }
        if wanted.view.resolver {
            let net = wanted.namespaces.get(&Kind::Net);
            self.resolver = Some(view::resolver(self.process.as_ref(), self.target.as_ref(), net)?);
        }
        Ok(self)
    }

    fn find(&mut self, target: &Target, cli: &Cli, wanted: &Wanted) -> Result<(), Failure> {
        // In the copy it would be said for the second time.
        let mut find = cli.find.clone();
        find.verbose = find.verbose && !sealed::is_our_copy();
        let found = find.find_to_act(TOOL, target)?;
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
            None => Failure::trouble("TARGET", "is missing"),
        })
    }

    /// What tells the namespace that was asked for from others.
    pub fn identity(&self, kind: Kind) -> Result<Identity, Failure> {
        match self.namespaces.get(&kind) {
            Some(namespace) => Ok(namespace.identity()),
            None => {
                let process = self.process()?;
                process.namespace_identity(kind).map_err(|error| refused::looking(process, error))
            }
        }
    }

    /// The handle of the namespace that was asked for; `None` below Linux 6.18.
    pub fn handle(&self, kind: Kind) -> Result<Option<Handle>, Failure> {
        match self.namespaces.get(&kind) {
            Some(namespace) => Ok(namespace.handle()),
            None => Ok(self.process()?.namespace(kind)?.handle()),
        }
    }

    /// The user namespace that owns the one that was asked for; of a user namespace it is the parent.
    pub fn owner(&self, kind: Kind) -> Result<Namespace, Failure> {
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
            snapshot.theirs.insert(kind, self.identity(kind)?);
        }
        snapshot.other_root = self.has_other_root(wanted, &snapshot)?;
        if wanted.confine {
            let confinement = Confinement::of(self.process()?)?;
            confinement.must_hold_in(match snapshot.theirs.get(&Kind::User) {
                Some(joined) => *joined,
                None => namespace::own_identity(Kind::User)?,
            })?;
            snapshot.confinement = Some(confinement);
        }
        let fenced = wanted.is_fenced() && snapshot.has_process && snapshot.changes_root(wanted);
        if fenced {
            let fence = Fence::around(self.process()?, wanted.added_capabilities)?;
            let ours = namespace::own_identity(Kind::User)?;
            let theirs = snapshot.theirs.get(&Kind::User).copied().unwrap_or(ours);
            fence.must_hold_in(theirs, theirs != ours)?;
            // Without the target's mounts it is refused anyway.
            let joined = |kind| match snapshot.theirs.get(&kind) {
                // Of a PID namespace that is joined only children are.
                Some(joined) if kind != Kind::Pid || wanted.may_fork => Ok(*joined),
                _ => Ok(namespace::own_identity(kind)?),
            };
            if wanted.namespaces.contains_key(&Kind::Mnt) {
                fence.must_be_beside(joined)?;
            }
            snapshot.fence = Some(fence);
        }
        if wanted.join_cgroup || fenced {
            snapshot.cgroups = Group::foreign(self.process()?)?;
        }
        snapshot.labels = self.labels(wanted, fenced)?;
        if wanted.comes_near_target() {
            // A namespace without its process, or a process that we may not look into, tells nothing.
            if fenced {
                snapshot.tracers = self.tracers()?;
            }
            let fenced = snapshot.fence.is_some();
            let dumpability = self.dumpability(wanted, &Plan::make(wanted, &snapshot), fenced);
            snapshot.exposure = self.exposure(wanted, &dumpability).ok();
            let reach = self.exposure(wanted, &Dumpability::UndumpableHere);
            snapshot.reaches_us = !reach.is_ok_and(|reach| reach.is_safe());
            snapshot.is_all_powerful = self.standing(wanted).is_ok_and(|standing| standing.is_all_powerful());
            if let Dumpability::Dumpable(why) = dumpability {
                snapshot.dumpable = Some(why);
            }
        }
        Ok(snapshot)
    }

    /// Whether -m means another root in the mount namespace that is ours already.
    fn has_other_root(&self, wanted: &Wanted, snapshot: &Snapshot) -> Result<bool, Failure> {
        let mounts = [&snapshot.ours, &snapshot.theirs].map(|of| of.get(&Kind::Mnt));
        let is_ours = mounts[0].is_some() && mounts[0] == mounts[1];
        if !is_ours || wanted.namespaces.get(&Kind::Mnt) != Some(&From::Target) {
            return Ok(false);
        }
        let process = self.process()?;
        let root = process.open_file("root", DIRECTORY);
        Ok(is_not_our_root(&root.map_err(|error| refused::reading(process, error))?))
    }

    /// What is to be laid over the host's loaders.
    pub fn take_shield(&self) -> Option<Shield> {
        self.shield.take()
    }

    /// What becomes of the program by `draft`, which needs not know it yet; what makes it undumpable is made.
    fn dumpability(&self, wanted: &Wanted, draft: &Plan, fenced: bool) -> Dumpability {
        if draft.changes_root() {
            let confined = wanted.confine;
            return match draft.host_tools {
                Some(_) if fenced => Dumpability::Undumpable,
                Some(_) => Dumpability::Dumpable("--trust-target".to_owned()),
                None => Dumpability::OfThatRoot { confined },
            };
        }
        if !draft.joins(Kind::Pid) {
            return Dumpability::Undumpable;
        }
        match self.shield_for(wanted, draft) {
            Ok(shield) => {
                self.shield.replace(shield);
                Dumpability::Undumpable
            }
            Err(error) => Dumpability::Dumpable(error.to_string()),
        }
    }

    /// None where it is only to be foreseen.
    fn shield_for(&self, wanted: &Wanted, draft: &Plan) -> Result<Option<Shield>, Unmade> {
        let inside = Inside::on_the_host(
            self.working_directory(draft),
            apply::environment(draft, self).ok().flatten(),
        );
        let program = match program::look_up(wanted, draft, &inside) {
            Lookup::Found(file) => match &inside.directory {
                Directory::Inside(directory) => std::path::absolute(directory.join(file)).ok(),
                _ => std::path::absolute(file).ok(),
            },
            // Nothing will run, or nobody can tell.
            Lookup::Unknown | Lookup::Missing(_) => None,
        };
        let arguments = wanted.program.get(1..).unwrap_or_default();
        let path = program::path(&inside);
        if wanted.explains {
            let joins_user = draft.joins(Kind::User);
            return Shield::foresee(program.as_deref(), arguments, &path, joins_user).map(|()| None);
        }
        let opened;
        let user = match self.named(Kind::User) {
            _ if !draft.joins(Kind::User) => None,
            Some(named) => Some(named),
            None => {
                let process = self.process().map_err(|_| Unmade::NotPermitted)?;
                opened = process.namespace(Kind::User).map_err(|_| Unmade::NotPermitted)?;
                Some(&opened)
            }
        };
        Shield::prepare(program.as_deref(), arguments, &path, user).map(Some)
    }

    fn working_directory(&self, draft: &Plan) -> Option<PathBuf> {
        match (&draft.wdns, &draft.wd) {
            (_, Some(From::Named(directory))) => std::path::absolute(directory).ok(),
            (_, Some(From::Target)) => {
                std::fs::read_link(format!("/proc/{}/cwd", self.process.as_ref()?.pid())).ok()
            }
            (Some(directory), None) => std::path::absolute(directory).ok(),
            (None, None) => std::env::current_dir().ok(),
        }
    }

    /// The labels that the program is to have.
    fn labels(&self, wanted: &Wanted, fenced: bool) -> Result<Vec<Label>, Failure> {
        let asked = [
            (Module::AppArmor, wanted.confine || fenced),
            (Module::SELinux, wanted.follow_context || fenced),
        ];
        let obeyed = asked.into_iter().filter(|(module, asked)| *asked && module.is_on());
        let labels = obeyed.map(|(module, _)| Label::of(self.process()?, module));
        labels.filter_map(Result::transpose).collect()
    }

    /// The namespace of `kind` that came from a file, or with a target that has no process.
    pub fn named(&self, kind: Kind) -> Option<&Namespace> {
        self.namespaces.get(&kind)
    }

    /// How the program will stand to the target, when it is in the namespaces of `wanted`.
    fn standing(&self, wanted: &Wanted) -> Result<Standing, Failure> {
        self.beside(self.process()?, wanted)
    }

    /// Who in the target's PID namespace could take hold even of a program that is not dumpable: PID and name. What has ended
    /// cannot, even where its first process does not wait for it.
    fn tracers(&self) -> Result<Vec<Tracer>, Failure> {
        let pids = self.process()?.namespace_identity(Kind::Pid)?;
        if namespace::own_identity(Kind::Pid)? == pids {
            return Ok(Vec::new());
        }
        let traces = |process: &Process| {
            let (status, user) = (process.status().ok()?, process.namespace_identity(Kind::User).ok()?);
            let may = CapabilitySet::from_bits_retain(status.capprm).contains(CapabilitySet::SYS_PTRACE);
            let lives = !status.state.starts_with(['Z', 'X']);
            (may && lives && user.inode == INITIAL_USER_NAMESPACE)
                .then(|| Tracer { pid: process.pid(), name: status.name })
        };
        Ok(beside::processes_in(pids).filter_map(|process| traces(&process)).collect())
    }

    /// Whether anybody who is in the target's PID namespace now could take hold of the program.
    fn exposure(&self, wanted: &Wanted, dumpability: &Dumpability) -> Result<Exposure, Failure> {
        let target = self.process()?;
        let all_dumpable = all_dumpable();
        let exposure_to = |standing: &Standing| Exposure::of(standing, dumpability, all_dumpable);
        let exposure = exposure_to(&self.standing(wanted)?);
        let pids = target.namespace_identity(Kind::Pid)?;
        // In our own PID namespace are all of the host's processes, who are no danger to it.
        if !wanted.judges_all
            || exposure != Exposure::Undumpable
            || namespace::own_identity(Kind::Pid)? == pids
        {
            return Ok(exposure);
        }
        // One that has ended meanwhile can do nothing.
        let others = beside::processes_in(pids).filter(lives);
        let others = others.filter_map(|process| self.beside(&process, wanted).ok());
        Ok(others.map(|standing| exposure_to(&standing)).find(|of| !of.is_safe()).unwrap_or(exposure))
    }

    fn beside(&self, process: &Process, wanted: &Wanted) -> Result<Standing, Failure> {
        let set = CapabilitySet::from_bits_retain;
        let status = process.status()?;
        let bounding = set(status.capbnd.unwrap_or(u64::MAX));
        let confined = || Ok::<_, Failure>(set(self.process()?.status()?.capbnd.unwrap_or(u64::MAX)));
        Ok(Standing {
            observer: Observer { pid: process.pid(), name: status.name },
            observer_is_initial: process.namespace_identity(Kind::User)?.inode == INITIAL_USER_NAMESPACE,
            seen: self.lies(process, Kind::Pid, wanted)? != Relation::Below,
            user: self.lies(process, Kind::User, wanted)?,
            bounding,
            permitted: if wanted.confine { confined()? } else { permitted(wanted)? },
            initial: self.programs(Kind::User, wanted)?.inode == INITIAL_USER_NAMESPACE,
        })
    }

    /// How the process's namespace lies to the one that the program will be in.
    fn lies(&self, process: &Process, kind: Kind, wanted: &Wanted) -> Result<Relation, Failure> {
        let theirs = process.namespace(kind)?;
        let programs = self.programs(kind, wanted)?;
        if theirs.identity() == programs {
            return Ok(Relation::Same);
        }
        let below = theirs.is_below(programs).map_err(|errno| Failure::trouble(&theirs, errno.desc()))?;
        Ok(if below { Relation::Below } else { Relation::Elsewhere })
    }

    /// The namespace that the program will be in.
    fn programs(&self, kind: Kind, wanted: &Wanted) -> Result<Identity, Failure> {
        match wanted.namespaces.contains_key(&kind) {
            true => self.identity(kind),
            false => Ok(namespace::own_identity(kind)?),
        }
    }
}

/// Whether it can still do anything: what has ended may be there until somebody waits for it.
fn lives(process: &Process) -> bool {
    process.status().is_ok_and(|status| !status.state.starts_with(['Z', 'X']))
}

/// Whether exec(2) makes dumpable what it should make undumpable: the value 1 of fs.suid_dumpable, proc_sys_fs(5). With 2
/// such a process's core goes to root's file, and ptrace(2) treats it like one with 0.
fn all_dumpable() -> bool {
    std::fs::read("/proc/sys/fs/suid_dumpable").is_ok_and(|value| value.trim_ascii() == b"1")
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
    let enters_user = wanted.namespaces.contains_key(&Kind::User);
    // Root of a container that can do little stays so when it becomes root once more.
    let own = || match capabilities(None) {
        Ok(sets) => Ok(sets.permitted),
        Err(errno) => Err(Failure::trouble("capabilities", errno)),
    };
    match wanted.uid {
        Some(Id::Number(0)) if enters_user => Ok(CapabilitySet::all()),
        _ if wanted.keep_caps && enters_user => Ok(CapabilitySet::all()),
        Some(Id::Number(0)) => own(),
        Some(_) => Ok(CapabilitySet::empty()),
        None if enters_user && !wanted.preserve_credentials => Ok(CapabilitySet::all()),
        None => own(),
    }
}
