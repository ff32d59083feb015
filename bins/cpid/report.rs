//! Shows what was found: PIDs for scripts, a table for people, JSON for both.

use std::collections::HashMap;
use std::io::{self, Write};

use comfy_table::Table;
use common::engine::Container;
use common::failure::{Failure, say};
use common::find::{FindError, FoundTarget, ProcessInodes, UnplacedProcess, VerifiedContainer};
use common::namespace::{NamespaceKind, own_identity};
use common::output::{self, one_line};
use common::ports::PortOwner;
use common::process::{Process, ProcessError};
use common::target::{SocketPlace, Target};
use jiff::Timestamp;
use serde::Serialize;

use crate::request::PidFormat;
use crate::tool::TOOL;

/// One object of the JSON that is printed for TARGETs.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    /// A container and its first process.
    Container(Box<VerifiedContainer>),
    /// A process that was named by its PID.
    Process {
        pid: i32,
        #[serde(flatten)]
        facts: ProcessInodes,
    },
    /// A process that listens at a port.
    Listener(ListenerRow),
}

/// A process that was found by its port.
#[derive(Debug, Serialize)]
struct ListenerRow {
    pid: i32,
    #[serde(flatten)]
    facts: ProcessInodes,
    /// What it calls itself.
    process_name: String,
    /// Where it listens, as it was typed.
    listening_at: String,
    /// The network namespace of its socket, which need not be its own.
    socket_netns_inode: u64,
    /// The container that it is in.
    container: Option<Box<VerifiedContainer>>,
}

/// What is printed for TARGETs: PIDs as they are found, or one array of JSON at the end.
#[derive(Debug)]
pub struct Report {
    format: PidFormat,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(format: PidFormat) -> Self {
        Report { format, rows: Vec::new() }
    }

    /// Prints, or keeps, what `target` turned out to be.
    pub fn found(&mut self, target: &Target, found: FoundTarget) -> Result<(), Failure> {
        let process = found.process().ok_or_else(|| FindError::NoProcess(target.clone()))?;
        if self.format.json {
            let (pid, facts) = (process.pid().as_raw(), ProcessInodes::of(process));
            self.rows.push(match found.container {
                Some(container) => Row::Container(Box::new(VerifiedContainer { container, process: facts })),
                None => Row::Process { pid, facts },
            });
            return Ok(());
        }
        self.print(process)
    }

    /// Prints, or keeps, the process that listens at `place`, with the container that it is in.
    pub fn listening(
        &mut self,
        place: &SocketPlace,
        owner: &PortOwner,
        container: Option<VerifiedContainer>,
    ) -> Result<(), Failure> {
        if owner.is_elsewhere {
            let name = one_line(&owner.name);
            say(
                TOOL,
                format_args!("{place}: {name} listens there, but is itself in another network namespace"),
            );
        }
        if owner.is_limited {
            say(
                TOOL,
                format_args!(
                    "{place}: the rule that forwards it has more conditions: some packets do not get there"
                ),
            );
        }
        if !self.format.json {
            return self.print(&owner.process);
        }
        self.rows.push(Row::Listener(ListenerRow {
            pid: owner.process.pid().as_raw(),
            facts: ProcessInodes::of(&owner.process),
            process_name: owner.name.clone(),
            listening_at: place.to_string(),
            socket_netns_inode: owner.netns,
            container: container.map(Box::new),
        }));
        Ok(())
    }

    fn print(&self, process: &Process) -> Result<(), Failure> {
        let pid = match self.format.inode {
            true => exact(process)?,
            false => process.pid().to_string(),
        };
        Ok(write!(io::stdout(), "{pid}{}", self.format.end)?)
    }

    /// Prints what was kept.
    pub fn end(self) -> Result<(), Failure> {
        if self.format.json { json(&self.rows) } else { Ok(()) }
    }
}

fn exact(process: &Process) -> Result<String, ProcessError> {
    let pid = process.pid();
    let inode = process.pidfd_inode().ok_or(ProcessError::NoPidfs(pid))?;
    Ok(format!("{pid}:{inode}"))
}

/// The container that a process belongs to, as a TARGET.
pub fn owner(known: &VerifiedContainer, format: PidFormat) -> Result<(), Failure> {
    if format.json {
        return json(&[known]);
    }
    let target = known.container.target();
    if let Some(user) = known.container.stranger() {
        say(TOOL, format_args!("{target} is a container of user {user}"));
    }
    Ok(write!(io::stdout(), "{}{}", one_line(&target), format.end)?)
}

/// What is known of a process whose container no engine knows: nothing but in JSON, for the error says it to people.
pub fn unplaced(process: &UnplacedProcess, format: PidFormat) -> Result<(), Failure> {
    if format.json { json(&[process]) } else { Ok(()) }
}

/// All containers: a table, or JSON.
pub fn list(containers: &[VerifiedContainer], as_json: bool) -> Result<(), Failure> {
    if as_json { json(containers) } else { Ok(writeln!(io::stdout(), "{}", table(containers).trim_fmt())?) }
}

fn json(rows: &[impl Serialize]) -> Result<(), Failure> {
    Ok(common::json::pretty(&mut io::stdout(), &rows)?)
}

/// The columns that a narrow terminal omits, in this order: IMAGE, STARTED, SHARES-WITH, ID, NETNS, ENGINE, STATE. A name and
/// its PID are what people came for; `--json` has all.
const SPARED: [usize; 7] = [7, 8, 6, 2, 5, 1, 4];

fn table(containers: &[VerifiedContainer]) -> Table {
    let now = Timestamp::now();
    let header =
        ["NAME", "ENGINE", "ID", "PID", "STATE", "NETNS", "SHARES-WITH", "IMAGE", "STARTED", "OWNER"];
    let owner = |known: &VerifiedContainer| known.container.proof.claimed_by;
    // Where all belong to root, as on most hosts, the column says nothing.
    let shown = if containers.iter().all(|known| owner(known).is_root()) { 9 } else { 10 };
    let mut in_netns = InNetns::new();
    for known in containers {
        if let Some(netns) = known.process.netns_inode {
            in_netns.entry(netns).or_default().push(known);
        }
    }
    let mut table = output::table(header.into_iter().take(shown), &[3, 5]);
    for known in containers {
        let Container { engine, name, pid, state, image, started_at, .. } = &known.container;
        let or_dash = |text: Option<String>| text.map_or("-".to_owned(), |text| one_line(&text).into_owned());
        let user = owner(known);
        let user = if user.is_root() { "root".to_owned() } else { format!("user {user}") };
        let row = [
            one_line(name).into_owned(),
            engine.to_string(),
            one_line(known.container.short_id()).into_owned(),
            or_dash(pid.map(|pid| pid.to_string())),
            state.to_string(),
            or_dash(known.process.netns_inode.map(|inode| inode.to_string())),
            or_dash(shares_with(known, &in_netns)),
            or_dash(image.clone()),
            or_dash(started_at.map(|at| common::engine::ago(now.duration_since(at)))),
            user,
        ];
        table.add_row(row.into_iter().take(shown));
    }
    output::leave_out(&mut table, &SPARED);
    table
}

/// Which containers are in each network namespace.
type InNetns<'a> = HashMap<u64, Vec<&'a VerifiedContainer>>;

/// As many names as help; hundreds of a network that they share with the host would be a table that nobody can read.
const MOST_NAMES: usize = 8;

/// What else uses the same network namespace: `host`, or the names of other containers, and how many more there are.
fn shares_with(known: &VerifiedContainer, in_netns: &InNetns<'_>) -> Option<String> {
    let netns = known.process.netns_inode?;
    let host = own_identity(NamespaceKind::Net).ok().filter(|host| host.inode == netns).map(|_| "host");
    let all = in_netns.get(&netns).map_or(&[][..], Vec::as_slice);
    let others = all.iter().filter(|other| other.container.key() != known.container.key());
    let named = others.take(MOST_NAMES);
    let names = named.map(|other| format!("{}{}", other.container.name, other.container.of_whom()));
    let names: Vec<String> = host.map(str::to_owned).into_iter().chain(names).collect();
    let more = match all.len().saturating_sub(1 + MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| names.join(",") + &more)
}
