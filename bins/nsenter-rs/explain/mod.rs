//! `--explain`: what it takes to enter and what would be done, found out without doing any of it.

mod explanation;
mod inside;
mod report;

use std::process::ExitCode;

use common::failure::{self, Failure};
use common::namespace::{self, Namespace, NamespaceError, NamespaceKind};
use common::process::Process;
use rustix::thread::CapabilitySet;

use crate::enter::lookup::{self, Lookup};
use crate::enter::snapshot;
use crate::enter::source::EntrySource;
use crate::habits;
use crate::host_tools::{self, HostTools, KitLifetime, NotOpened, Trust};
use crate::judge::facts;
use crate::judge::refused;
use crate::judge::rules::{self, Check, CheckOutcome, EntryFacts, EntryRule, Over, PtraceRefusal};
use crate::plan::Plan;
use crate::plan::host_tools_mode::HostToolsMode;
use crate::tool::TOOL;
use crate::wanted::Wanted;

use explanation::{Explanation, ExposureLine, HintList, NamespaceState, Row, RuleLine};

/// The target's namespaces as far as they can be opened, and what bars us from the rest.
struct VisibleNamespaces {
    namespaces: Vec<(NamespaceKind, Namespace)>,
    bar: Option<PtraceRefusal>,
}

/// Explains on standard output what `wanted` takes. The exit status says whether it would be let in.
pub fn explain(wanted: &Wanted, source: &EntrySource) -> Result<ExitCode, Failure> {
    let explanation = look(wanted, source)?;
    report::show(&explanation, wanted.json)?;
    Ok(ExitCode::from(u8::from(!explanation.permitted)))
}

fn look(wanted: &Wanted, source: &EntrySource) -> Result<Explanation, Failure> {
    let process = source.process().ok();
    let seen = see(process)?;
    let namespaces: Vec<&Namespace> = NamespaceKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let of_target = seen.namespaces.iter().find(|(seen, _)| *seen == kind);
            source.named(kind).or(of_target.map(|(_, namespace)| namespace))
        })
        .collect();
    // One that is ours already is left out, and then the numbers of IDs are ours too.
    let users = namespaces.iter().find(|namespace| namespace.kind() == NamespaceKind::User);
    let is_another =
        users.is_some_and(|user| namespace::own_identity(NamespaceKind::User).ok() != Some(user.identity()));
    let joins_user = is_another && wanted.namespaces.contains_key(&NamespaceKind::User);
    let facts = EntryFacts::gather(&namespaces, process, joins_user);
    let rows = NamespaceKind::ALL.map(|kind| {
        let theirs = namespaces.iter().find(|namespace| namespace.kind() == kind);
        row(kind, theirs.copied(), wanted, &facts)
    });
    let mut explanation = Explanation {
        target: wanted.target.as_ref().map(ToString::to_string),
        pid: process.map(|process| process.pid().as_raw()),
        permitted: false,
        namespaces: rows.into(),
        rules: Vec::new(),
        steps: Vec::new(),
        exposure: None,
        hints: HintList::default(),
    };
    let needs_process = wanted.looks_at_target();
    let pid = process.filter(|_| needs_process).map(|process| process.pid());
    let mut checks: Vec<Check> = pid
        .map(|pid| Check::new(EntryRule::Look { pid: pid.as_raw(), bar: seen.bar.clone() }, &facts))
        .into_iter()
        .collect();
    // A caller that may not open the target's namespaces gets no further: there is nothing to plan with.
    let joined = match plan(wanted, source, &facts, &mut checks, &mut explanation) {
        Err(_) if needs_process && seen.bar.is_some() => Vec::new(),
        joined => joined?,
    };
    let failing = checks.iter().find(|check| check.met == CheckOutcome::No);
    explanation.permitted = failing.is_none();
    match failing.map(|check| refused::hint(check, &joined, &facts)) {
        // What helps the program is there already.
        Some(None) => {}
        other => explanation.hints = other.flatten().iter().collect(),
    }
    explanation.rules = checks.iter().map(|check| RuleLine::of(check, &facts)).collect();
    Ok(explanation)
}

/// The part that takes a plan: the rules for its steps, the steps, and which processes could trace the program. Gives the kinds
/// that would be joined.
fn plan(
    wanted: &Wanted,
    source: &EntrySource,
    facts: &EntryFacts,
    checks: &mut Vec<Check>,
    explanation: &mut Explanation,
) -> Result<Vec<NamespaceKind>, Failure> {
    let plan = Plan::make(wanted, &snapshot::take(source, wanted)?.0);
    if let Some(note) = habits::note(wanted, &plan) {
        failure::say(TOOL, note);
    }
    checks.extend(rules::judge(&plan, facts));
    let (inside, ahead) = inside::look(&plan, source);
    checks.extend(ahead.into_iter().map(|rule| Check::new(rule, facts)));
    let found = lookup::look_up(wanted, &plan, &inside);
    let name = wanted.program.first().map_or("a shell".into(), |name| name.to_string_lossy());
    let missing = match &found {
        Lookup::Found(_) => Some(None),
        Lookup::Missing(why) => Some(Some(why.clone())),
        Lookup::Unknown => None,
    };
    let refused = plan.fence.as_ref().filter(|_| plan.host_tools.is_some()).and_then(|fence| {
        let called = explanation.target.as_deref();
        host_tools::would_be_refused(&wanted.program, Trust::of(wanted), fence.power(), called)
    });
    let missing = match refused {
        Some(refused) => {
            explanation.hints = refused.hints().collect();
            Some(Some(refused.text().to_owned()))
        }
        None => missing,
    };
    let fence = plan.host_tools.map(|mode| fenced(mode, &plan, wanted));
    let may_go = matches!(
        fence,
        Some(EntryRule::HostFenced { trusted: true, .. } | EntryRule::HostFenced { unfenced: None, .. })
    );
    // What goes in is made before anything is entered, attached nowhere, and so it can be tried.
    if let (Some(mode), true, Some(None)) = (plan.host_tools, may_go, &missing) {
        let failure =
            match HostTools::open(mode, &wanted.program, Trust::of(wanted), None, KitLifetime::Tried) {
                Err(NotOpened::Failed(failure)) => Some(failure),
                // Of the program there is another rule.
                Ok(_) | Err(NotOpened::Program(..)) => None,
            };
        let what = "the host's programs can be made available";
        checks.push(Check::new(EntryRule::Ahead { what, failure }, facts));
    }
    checks.extend(fence.map(|rule| Check::new(rule, facts)));
    let (name, elsewhere) = (name.into_owned(), plan.looks_up_elsewhere());
    let program = missing.map(|missing| EntryRule::Program { name, elsewhere, missing });
    checks.extend(program.map(|rule| Check::new(rule, facts)));
    let pid = source.process().ok().map(Process::pid);
    let target = explanation.target.as_deref().unwrap_or_default();
    let steps = plan.steps(wanted, target, pid, found.file());
    explanation.steps = steps.iter().map(ToString::to_string).collect();
    // Where the files are of others, there may be no process, or none that we may look at.
    if let (true, Some(exposure)) = (plan.comes_near_target(), &plan.exposure) {
        explanation.exposure = Some(ExposureLine { safe: exposure.is_safe(), why: exposure.to_string() });
    }
    Ok(plan.join.kinds().to_vec())
}

/// What a program of the host in another root is held by.
fn fenced(mode: HostToolsMode, plan: &Plan, wanted: &Wanted) -> EntryRule {
    let unfenced = match mode {
        _ if plan.fence.is_none() => Some(refused::unfenced().text().to_owned()),
        HostToolsMode::Hold(why) => Some(why.to_string()),
        HostToolsMode::Graft => None,
    };
    EntryRule::HostFenced { trusted: wanted.trust_target, unfenced }
}

/// Opens all of the process's namespaces that we may look at.
fn see(process: Option<&Process>) -> Result<VisibleNamespaces, Failure> {
    let mut seen = VisibleNamespaces { namespaces: Vec::new(), bar: None };
    let Some(process) = process else { return Ok(seen) };
    for kind in NamespaceKind::ALL {
        match process.namespace(kind) {
            Ok(namespace) => seen.namespaces.push((kind, namespace)),
            Err(NamespaceError::Unknown { .. }) => {}
            // Whether it matters that it has ended is for the plan: a zombie still has a user namespace.
            Err(NamespaceError::Gone { .. }) if !process.is_hidden() => {}
            Err(NamespaceError::Gone { .. } | NamespaceError::NotPermitted { .. }) => {
                seen.bar = Some(facts::bar(process));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(seen)
}

fn row(kind: NamespaceKind, theirs: Option<&Namespace>, wanted: &Wanted, facts: &EntryFacts) -> Row {
    let ours = namespace::own_identity(kind);
    let state = match (&ours, theirs) {
        (Err(NamespaceError::Unknown { .. }), _) => NamespaceState::Unsupported,
        _ if !wanted.namespaces.contains_key(&kind) => NamespaceState::NotAsked,
        (Ok(ours), Some(theirs)) if *ours == theirs.identity() => NamespaceState::Same,
        (_, Some(_)) => NamespaceState::Different,
        (_, None) => NamespaceState::Unknown,
    };
    let owner = theirs.and_then(|theirs| theirs.owner().ok());
    let owner_uid = theirs.and_then(|theirs| match (kind, &owner) {
        (NamespaceKind::User, _) => theirs.owner_uid().ok(),
        (_, owner) => owner.as_ref()?.owner_uid().ok(),
    });
    let over = theirs.map(|_| facts.over.get(&kind).copied().unwrap_or(Over::Outside(None)));
    Row {
        kind,
        state,
        ours_inode: ours.ok().map(|ours| ours.inode),
        target_inode: theirs.map(|theirs| theirs.identity().inode),
        owner_inode: owner.map(|owner| owner.identity().inode),
        owner_uid: owner_uid.map(|uid| uid.as_raw()),
        cap_sys_admin: over
            .map(|over| facts.users.power(&facts.us, CapabilitySet::SYS_ADMIN, over).is_enough()),
    }
}
