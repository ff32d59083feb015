//! `--why`: what is wrong with the networks of the host, and the commands that fix it.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use common::cli::FindSession;
use common::diagnose::host::{Finding, findings};
use common::failure::{Failure, Status, say};
use common::find::host;
use common::map::{LookDepth, MappedNetns, UnseenNamespaces};
use common::output::{columns, one_line, wrapped};
use nix::unistd::geteuid;

use crate::document::MapDocument;
use crate::evidence::{HostEvidence, collect};
use crate::look::{HostLook, look, named};
use crate::named_map::NamedMap;
use crate::request::Request;
use crate::tool::TOOL;

/// Between two looks: what an engine does takes less.
const BETWEEN: Duration = Duration::from_millis(500);

/// Looks, judges, and prints.
pub fn why(request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let HostLook { map, status } = look(request, &session)?;
    let (found, not_read) = judged(&map, &session)?;
    if !request.format.quiet {
        not_read.iter().for_each(|why| say(TOOL, format_args!("not looked at: {}", one_line(why))));
    }
    let is_whole = status == Status::Yes && not_read.is_empty() && !hides_namespaces(&map.map.unseen);
    if request.format.json {
        let all: Vec<&MappedNetns> = map.map.namespaces.iter().collect();
        let document = MapDocument::of(&map, &all, &[]).with_findings(&found);
        common::json::pretty(&mut io::stdout(), &document)?;
    } else {
        print(&found, is_whole && !request.format.quiet)?;
    }
    Ok(match (found.is_empty(), is_whole) {
        (false, _) => Status::No,
        (true, true) => Status::Yes,
        (true, false) => Status::Failed,
    })
}

/// What is wrong, and what could not be read, a line each.
pub fn judged(map: &NamedMap, session: &FindSession) -> Result<(Vec<Finding>, Vec<String>), Failure> {
    let HostEvidence { facts, not_read } = collect(map, session)?;
    let mut found = findings(&facts);
    if !found.is_empty() {
        sleep(BETWEEN);
        found = still_there(found, session)?;
    }
    Ok((found, not_read))
}

/// Those of a second look that were there at the first: what an engine is about to set up, or to remove, looks like a fault for a
/// moment.
fn still_there(before: Vec<Finding>, session: &FindSession) -> Result<Vec<Finding>, Failure> {
    let map = named(host(LookDepth::Whole, &session.engines)?.map);
    let mut now = findings(&collect(&map, session)?.facts);
    let is_same = |one: &Finding, other: &Finding| {
        (one.what, one.netns_inode, &one.ifname) == (other.what, other.netns_inode, &other.ifname)
    };
    now.retain(|finding| before.iter().any(|known| is_same(known, finding)));
    Ok(now)
}

/// A line for each finding, then one for each command, and one for what else helps.
fn print(found: &[Finding], says_none: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if found.is_empty() && says_none {
        writeln!(out, "no findings")?;
    }
    let sentence = |text: String, indent| wrapped(&text, columns(), indent);
    for finding in found {
        writeln!(out, "{}", sentence(format!("{} [{}]", one_line(&finding.text), finding.what), 4))?;
        // In one piece, to be copied.
        for command in &finding.fix {
            writeln!(out, "  fix: {}", &**command)?;
        }
        if let Some(advice) = &finding.advice {
            writeln!(out, "{}", sentence(format!("  note: {}", one_line(advice)), 8))?;
        }
    }
    Ok(())
}

/// Whether namespaces may be missing. A process that even root may not look at is in one that others are in, or is fenced off
/// from this host on purpose.
fn hides_namespaces(unseen: &UnseenNamespaces) -> bool {
    let by_process = unseen.processes > 0 && !geteuid().is_root();
    by_process || *unseen != UnseenNamespaces { processes: unseen.processes, ..UnseenNamespaces::default() }
}
