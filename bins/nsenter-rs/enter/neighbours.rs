//! The processes beside the program, and what they could do to it. Beside a container's first process there may be more
//! powerful ones, of a container that shares the PID namespace (`--pid container:NAME`, a pod's debugger) or of `docker
//! exec --privileged`.

use std::fs;

use common::failure::Failure;
use common::namespace::{self, NamespaceId, NamespaceKind};
use common::process::Process;
use nix::sys::stat::stat;
use nix::unistd::Pid;
use rustix::thread::{CapabilitySet, capabilities};

use crate::enter::source::EntrySource;
use crate::identity::fence::INITIAL_USER_NAMESPACE;
use crate::plan::Tracer;
use crate::plan::exposure::{Dumpability, Exposure, Observer, ProgramPosition, Relation};
use crate::wanted::RequestedId;
use crate::wanted::Wanted;

/// How the program will stand to the target, when it is in the namespaces of `wanted`.
pub fn target_position(source: &EntrySource, wanted: &Wanted) -> Result<ProgramPosition, Failure> {
    position(source, source.process()?, wanted)
}

/// The processes in the target's PID namespace that could trace even a program that is not dumpable: PID and name. One that
/// has ended cannot, even where its first process does not wait for it.
pub fn tracers(source: &EntrySource) -> Result<Vec<Tracer>, Failure> {
    let pids = source.process()?.namespace_identity(NamespaceKind::Pid)?;
    if namespace::own_identity(NamespaceKind::Pid)? == pids {
        return Ok(Vec::new());
    }
    let traces = |process: &Process| {
        let (status, user) = (process.status().ok()?, process.namespace_identity(NamespaceKind::User).ok()?);
        let may = CapabilitySet::from_bits_retain(status.capprm).contains(CapabilitySet::SYS_PTRACE);
        let lives = !status.state.starts_with(['Z', 'X']);
        (may && lives && user.inode == INITIAL_USER_NAMESPACE)
            .then(|| Tracer { pid: process.pid(), name: status.name })
    };
    Ok(processes_in(NamespaceKind::Pid, pids).filter_map(|process| traces(&process)).collect())
}

/// Whether a process that is in the target's PID namespace now could trace the program.
pub fn exposure(
    source: &EntrySource,
    wanted: &Wanted,
    dumpability: &Dumpability,
) -> Result<Exposure, Failure> {
    let target = source.process()?;
    let all_dumpable = all_dumpable();
    let exposure_to = |position: &ProgramPosition| Exposure::of(position, dumpability, all_dumpable);
    let exposure = exposure_to(&target_position(source, wanted)?);
    let pids = target.namespace_identity(NamespaceKind::Pid)?;
    // In our own PID namespace are all of the host's processes, which are no danger to it.
    if !wanted.judges_all
        || exposure != Exposure::Undumpable
        || namespace::own_identity(NamespaceKind::Pid)? == pids
    {
        return Ok(exposure);
    }
    // One that has ended meanwhile can do nothing.
    let others = processes_in(NamespaceKind::Pid, pids).filter(lives);
    let others = others.filter_map(|process| position(source, &process, wanted).ok());
    Ok(others.map(|position| exposure_to(&position)).find(|of| !of.is_safe()).unwrap_or(exposure))
}

fn position(source: &EntrySource, process: &Process, wanted: &Wanted) -> Result<ProgramPosition, Failure> {
    let set = CapabilitySet::from_bits_retain;
    let status = process.status()?;
    let bounding = set(status.capbnd.unwrap_or(u64::MAX));
    let confined = || Ok::<_, Failure>(set(source.process()?.status()?.capbnd.unwrap_or(u64::MAX)));
    Ok(ProgramPosition {
        observer: Observer { pid: process.pid(), name: status.name },
        observer_is_initial: process.namespace_identity(NamespaceKind::User)?.inode == INITIAL_USER_NAMESPACE,
        seen: relation_of(source, process, NamespaceKind::Pid, wanted)? != Relation::Below,
        user: relation_of(source, process, NamespaceKind::User, wanted)?,
        bounding,
        permitted: if wanted.confine { confined()? } else { permitted(wanted)? },
        initial: program_namespace(source, NamespaceKind::User, wanted)?.inode == INITIAL_USER_NAMESPACE,
    })
}

/// The relation of the process's namespace to the one that the program will be in.
fn relation_of(
    source: &EntrySource,
    process: &Process,
    kind: NamespaceKind,
    wanted: &Wanted,
) -> Result<Relation, Failure> {
    let theirs = process.namespace(kind)?;
    let program_namespace = program_namespace(source, kind, wanted)?;
    if theirs.identity() == program_namespace {
        return Ok(Relation::Same);
    }
    let below = theirs.is_below(program_namespace).map_err(|errno| Failure::failed(&theirs, errno.desc()))?;
    Ok(if below { Relation::Below } else { Relation::Elsewhere })
}

/// The namespace that the program will be in.
fn program_namespace(
    source: &EntrySource,
    kind: NamespaceKind,
    wanted: &Wanted,
) -> Result<NamespaceId, Failure> {
    match wanted.namespaces.contains_key(&kind) {
        true => source.identity(kind),
        false => Ok(namespace::own_identity(kind)?),
    }
}

/// Whether it can still do anything: what has ended may be there until its parent waits for it.
fn lives(process: &Process) -> bool {
    process.status().is_ok_and(|status| !status.state.starts_with(['Z', 'X']))
}

/// Whether exec(2) makes dumpable what it should make undumpable: the value 1 of fs.suid_dumpable, proc_sys_fs(5). With 2
/// such a process's core goes to root's file, and ptrace(2) treats it like one with 0.
fn all_dumpable() -> bool {
    std::fs::read("/proc/sys/fs/suid_dumpable").is_ok_and(|value| value.trim_ascii() == b"1")
}

/// What the program will be able to do: all in a user namespace that it is root of, and nothing as anybody
/// else; where it stays who we are, what we can.
fn permitted(wanted: &Wanted) -> Result<CapabilitySet, Failure> {
    let enters_user = wanted.namespaces.contains_key(&NamespaceKind::User);
    // Root of a container that can do little stays so when it becomes root once more.
    let own = || match capabilities(None) {
        Ok(sets) => Ok(sets.permitted),
        Err(errno) => Err(Failure::failed("capabilities", errno)),
    };
    match wanted.uid {
        Some(RequestedId::Number(0)) if enters_user => Ok(CapabilitySet::all()),
        _ if wanted.keep_caps && enters_user => Ok(CapabilitySet::all()),
        Some(RequestedId::Number(0)) => own(),
        Some(_) => Ok(CapabilitySet::empty()),
        None if enters_user && !wanted.preserve_credentials => Ok(CapabilitySet::all()),
        None => own(),
    }
}

/// The processes that are in this namespace now. One that we may not look at is none: it would not be a container's.
pub fn processes_in(kind: NamespaceKind, namespace: NamespaceId) -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // To look first is to open few: a host has thousands of processes.
    let looks_right = move |pid: &i32| {
        stat(format!("/proc/{pid}/ns/{kind}").as_str())
            .is_ok_and(|stat| NamespaceId::from(&stat) == namespace)
    };
    let opened = pids.filter(looks_right).filter_map(|pid| Process::open(Pid::from_raw(pid)).ok());
    opened.filter(move |process| process.namespace_identity(kind).is_ok_and(|identity| identity == namespace))
}
