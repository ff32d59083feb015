//! The one process that listens at a port, held; or why there is none, or more than one.

use std::fmt;

use super::search::{FinalSocket, PortHolders, PortSearch, search};
use super::{AddressNeed, PortLine, PortNames, PortsSnapshot, read};
use crate::failure::{Failure, Status};
use crate::hint;
use crate::map::{LookDepth, MapError, UnseenNamespaces};
use crate::output::one_line;
use crate::process::Process;
use crate::sign::ARROW;
use crate::target::{SocketPlace, Transport};
use crate::typed::with_sudo_for_users;

/// A process can end, or close its socket, between two looks: then there is another.
const TRIES: u32 = 3;

/// The process that listens at a port.
#[derive(Debug)]
pub struct PortOwner {
    /// The process, held.
    pub process: Process,
    /// What it calls itself.
    pub name: String,
    /// The network namespace that its socket is in.
    pub netns: u64,
    /// Whether the process is in another one: Docker's name server listens in the container's network.
    pub is_elsewhere: bool,
    /// Whether the rule that leads there asks for more than the address and the port: not every packet gets there.
    pub is_limited: bool,
}

/// Why no process can be named.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Nobody listens there, and everything was looked at.
    #[error("{place}: {}", if *.is_forwarded { "nobody listens there, although it is forwarded" } else { "nobody listens there" })]
    Nobody {
        /// What was asked for.
        place: SocketPlace,
        /// How many namespaces were looked at.
        looked_at: usize,
        /// Whether rules or a proxy lead it somewhere.
        is_forwarded: bool,
        /// Where to; and what listens at the port for other addresses.
        lines: Vec<String>,
    },
    /// Nothing was found, or it leads to where we cannot look.
    #[error("{place}: cannot tell who listens there: {why}")]
    CannotTell {
        /// What was asked for.
        place: SocketPlace,
        /// What is in the way.
        why: String,
        /// What was found.
        lines: Vec<String>,
    },
    /// More than one process listens.
    #[error("{place}: several processes listen there")]
    Several {
        /// What was asked for.
        place: SocketPlace,
        /// Each of them.
        lines: Vec<String>,
        /// What would mean one of them only.
        narrower: Option<SocketPlace>,
    },
    /// The networks could not be looked at.
    #[error(transparent)]
    Map(#[from] MapError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Map(error) => error.into(),
            PortError::Nobody { looked_at, ref lines, .. } => {
                let lines = match lines.is_empty() {
                    true => vec![format!("  the network namespaces looked at: {looked_at}")],
                    false => lines.clone(),
                };
                Failure::from_error(Status::No, error).and_lines(lines)
            }
            PortError::CannotTell { ref lines, .. } => {
                let lines = lines.clone();
                Failure::from_error(Status::Failed, error).and_lines(lines).hint(with_sudo_for_users())
            }
            PortError::Several { ref lines, narrower, .. } => {
                let lines = lines.clone();
                let hint = narrower.and_then(|place| hint!("cpid {}", place));
                Failure::from_error(Status::Failed, error).and_lines(lines).hint(hint)
            }
        }
    }
}

/// The process that listens at `place`. `names` says what containers are called, and is asked for only where an error
/// lists what there is.
///
/// # Errors
/// [`PortError`].
pub fn owner_of(
    place: &SocketPlace,
    names: impl Fn(&PortsSnapshot) -> PortNames,
) -> Result<PortOwner, PortError> {
    let need = if place.address.is_some() { AddressNeed::Asked } else { AddressNeed::Forwarded };
    for _ in 0..TRIES {
        let snapshot = read(need, LookDepth::Quick)?;
        let search = search(&snapshot, place);
        match decide(place, &snapshot, &search) {
            Ok((holder, found)) => {
                if let Some(process) = holder.hold(found.socket.inode) {
                    let netns = found.netns.inode;
                    let is_elsewhere = holder.netns.is_some_and(|own| own != netns);
                    let (name, is_limited) = (holder.name.clone(), search.is_limited);
                    return Ok(PortOwner { process, name, netns, is_elsewhere, is_limited });
                }
            }
            Err(verdict) => return Err(verdict.error(place, &snapshot, &search, &names(&snapshot))),
        }
    }
    let why = "its process changes faster than it can be looked at".to_owned();
    Err(PortError::CannotTell { place: *place, why, lines: vec![] })
}

/// What there is at `place`, a line for each port that fits.
///
/// # Errors
/// `Nobody` and `CannotTell`.
pub fn lines_at(
    place: &SocketPlace,
    snapshot: &PortsSnapshot,
    names: &PortNames,
) -> Result<Vec<PortLine>, PortError> {
    let search = search(snapshot, place);
    if !search.sockets.is_empty() {
        return Ok(search.rows.iter().map(|row| PortLine::of(row, snapshot, names)).collect());
    }
    match decide(place, snapshot, &search) {
        Err(verdict) => Err(verdict.error(place, snapshot, &search, names)),
        Ok(_) => Ok(vec![]),
    }
}

/// Why no process is named, without the words for it.
#[derive(Debug, PartialEq, Eq)]
enum NoOwner {
    Nobody,
    Unknown(String),
    Several,
}

fn decide<'a>(
    place: &SocketPlace,
    snapshot: &'a PortsSnapshot,
    search: &PortSearch<'a>,
) -> Result<(&'a super::SocketHolder, FinalSocket<'a>), NoOwner> {
    if let Some(why) = search.unknown.first() {
        return Err(NoOwner::Unknown((*why).to_owned()));
    }
    // A port of our own network is certain, whatever others have.
    let is_certain = place.address.is_none() && search.rows.iter().any(|row| row.netns.is_own);
    if let Some(why) = in_the_way(&snapshot.unseen, is_certain, snapshot) {
        return Err(NoOwner::Unknown(why));
    }
    if search.sockets.is_empty() {
        return Err(NoOwner::Nobody);
    }
    match search.holders(snapshot) {
        PortHolders::One(holder, socket) => Ok((holder, socket)),
        PortHolders::Several => Err(NoOwner::Several),
        PortHolders::Hidden if snapshot.holders.hidden > 0 => {
            let hidden = snapshot.holders.hidden;
            Err(NoOwner::Unknown(format!(
                "something listens, in one of {hidden} processes that we may not look into (CAP_SYS_PTRACE is missing)"
            )))
        }
        PortHolders::Hidden => Err(NoOwner::Unknown(
            "something listens, in no process that we see: the kernel, or one of another PID namespace"
                .to_owned(),
        )),
    }
}

/// What could not be looked at, if it matters.
fn in_the_way(unseen: &UnseenNamespaces, is_certain: bool, snapshot: &PortsSnapshot) -> Option<String> {
    if unseen.is_empty() {
        return None;
    }
    let own = snapshot.namespaces.iter().find(|netns| netns.is_own);
    let is_own =
        |(which, _): &(String, String)| own.is_none_or(|own| *which == format!("net:[{}]", own.inode));
    let own_is_whole = own.is_some() && !unseen.not_read.iter().any(is_own);
    (!(is_certain && own_is_whole)).then(|| format!("could not look at {}", one_line(&unseen.to_string())))
}

impl NoOwner {
    fn error(
        self,
        place: &SocketPlace,
        snapshot: &PortsSnapshot,
        search: &PortSearch<'_>,
        names: &PortNames,
    ) -> PortError {
        let elsewhere = search.elsewhere.iter().filter(|_| search.sockets.is_empty());
        let rows = search.rows.iter().chain(elsewhere);
        let lines: Vec<PortLine> = rows.map(|row| PortLine::of(row, snapshot, names)).collect();
        let shown = lines.iter().map(|line| format!("  {}", SearchLine(line))).collect();
        match self {
            NoOwner::Nobody => {
                let (looked_at, is_forwarded) = (snapshot.namespaces.len(), !search.rows.is_empty());
                PortError::Nobody { place: *place, looked_at, is_forwarded, lines: shown }
            }
            NoOwner::Unknown(why) => PortError::CannotTell { place: *place, why, lines: shown },
            NoOwner::Several => {
                let narrower = narrower(place, &lines);
                PortError::Several { place: *place, lines: shown, narrower }
            }
        }
    }
}

/// A word that means the first of the lines, and fewer than `place` does.
fn narrower(place: &SocketPlace, lines: &[PortLine]) -> Option<SocketPlace> {
    let first = lines.first()?;
    let transport = [Transport::Tcp, Transport::Udp].into_iter().find(|one| one.as_str() == first.transport);
    let differ = |what: fn(&PortLine) -> &str| lines.iter().any(|line| what(line) != what(first));
    let mut meant = *place;
    if place.transport.is_none() && differ(|line| line.transport) {
        meant.transport = transport;
    } else if place.address.is_none() && differ(|line| &line.address) {
        meant.address = first.address.parse().ok();
    }
    (meant != *place).then_some(meant)
}

/// A row in the list below an error.
struct SearchLine<'a>(&'a PortLine);

impl fmt::Display for SearchLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        write!(f, "{} of {}", line.place(), one_line(&line.netns))?;
        if let Some(to) = line.leads_to() {
            write!(f, " {ARROW} {to}")?;
        }
        let by = line.by();
        if !by.is_empty() {
            write!(f, ", {by}")?;
        }
        write!(f, ": {}", line.state)
    }
}
