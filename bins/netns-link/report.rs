//! Shows links: their paths for scripts, a table for people, JSON for both.

use std::io::{self, Write};

use common::failure::Failure;
use common::namespace::NamespaceId;
use common::netns;
use common::output::{leave_out, one_line, table};
use common::target::{EngineName, LinkName};
use jiff::Timestamp;
use serde::Serialize;

use crate::links::NetnsLink;
use crate::state::LinkState;

/// The path of a link that is there now, or was until now.
pub fn path(name: &LinkName) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{}", netns::path(name).display())?)
}

/// What `--watch` did to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkChange {
    Linked,
    Relinked,
    Unlinked,
}

/// One line about a change, `+ web`, or one line of JSON.
pub fn change(
    name: &LinkName,
    changed: LinkChange,
    container: Option<(EngineName, &str)>,
    netns: Option<NamespaceId>,
    json: bool,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        change: LinkChange,
        name: &'a str,
        netns_inode: Option<u64>,
        engine: Option<EngineName>,
        container: Option<&'a str>,
        at: Timestamp,
    }
    if json {
        let line = Line {
            change: changed,
            name: name.as_str(),
            netns_inode: netns.map(|netns| netns.inode),
            engine: container.map(|(engine, _)| engine),
            container: container.map(|(_, name)| name),
            at: Timestamp::now(),
        };
        return Ok(common::json::line(&mut io::stdout(), &line)?);
    }
    let sign = match changed {
        LinkChange::Linked => '+',
        LinkChange::Relinked => '~',
        LinkChange::Unlinked => '-',
    };
    Ok(writeln!(io::stdout(), "{sign} {}", one_line(name.as_str()))?)
}

/// One object of the JSON.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    state: LinkState,
    netns_inode: Option<u64>,
    engine: Option<EngineName>,
    container: Option<&'a str>,
    pid: Option<i32>,
    since: Option<Timestamp>,
    made_by: Option<&'a str>,
    leads_to: Option<String>,
}

impl<'a> From<&'a NetnsLink> for Row<'a> {
    fn from(link: &'a NetnsLink) -> Self {
        let record = link.record.as_ref();
        let owner = record.and_then(|record| record.container.as_ref());
        let alive = matches!(link.state, LinkState::Live | LinkState::Restarted);
        let first = link.container.as_ref().and_then(|known| known.container.pid).map(|pid| pid.as_raw());
        let recorded = record.and_then(|record| record.process).map(|process| process.pid);
        Row {
            name: link.name.as_str(),
            state: link.state,
            netns_inode: link.netns().map(|netns| netns.inode),
            engine: owner.map(|owner| owner.engine),
            container: owner.map(|owner| owner.name.as_str()),
            pid: first.or(recorded).filter(|_| alive),
            since: record.map(|record| record.since),
            made_by: record.map(|record| record.made_by.as_str()),
            leads_to: link.leads_to.as_ref().map(|path| path.display().to_string()),
        }
    }
}

/// The columns that a narrow terminal omits, in this order; `--json` has all.
const SPARED: [usize; 5] = [7, 6, 3, 2, 5];

/// The links as a table, or as JSON.
pub fn list<'a>(links: impl Iterator<Item = &'a NetnsLink>, json: bool) -> Result<(), Failure> {
    let rows: Vec<Row<'_>> = links.map(Row::from).collect();
    if json {
        return Ok(common::json::pretty(&mut io::stdout(), &rows)?);
    }
    let now = Timestamp::now();
    let mut shown =
        table(["NAME", "STATE", "NETNS", "ENGINE", "CONTAINER", "PID", "SINCE", "MADE-BY"], &[2, 5]);
    for row in &rows {
        let or_dash = |text: Option<String>| text.map_or("-".to_owned(), |text| one_line(&text).into_owned());
        shown.add_row([
            one_line(row.name).into_owned(),
            row.state.to_string(),
            or_dash(row.netns_inode.map(|inode| inode.to_string())),
            or_dash(row.engine.map(|engine| engine.to_string())),
            or_dash(row.container.map(str::to_owned)),
            or_dash(row.pid.map(|pid| pid.to_string())),
            or_dash(row.since.map(|since| common::engine::ago(now.duration_since(since)))),
            or_dash(
                row.made_by
                    .map(str::to_owned)
                    .or_else(|| row.leads_to.as_ref().map(|path| format!("-> {path}"))),
            ),
        ]);
    }
    leave_out(&mut shown, &SPARED);
    Ok(writeln!(io::stdout(), "{}", shown.trim_fmt())?)
}
