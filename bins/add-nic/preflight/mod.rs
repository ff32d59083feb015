//! `--preflight`, and what is said before every add: what will not work as somebody may expect, and the command that helps.
//! A look only; it stops nothing.

mod bridge;
mod filter;
mod overlap;
mod reverse_path;
mod route;

use std::fmt::Display;

use common::failure::{self, Failure, Status};
use common::hint::Hint;
use serde::Serialize;

use crate::TOOL;
use crate::firewall::{Asked, Wall};
use crate::plan::{Basis, Nic};
use crate::snapshot::{Snapshot, Sockets};
use crate::step::{Place, quoted};
use crate::sysctl::Key;
use crate::wanted::Wanted;

/// What will not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which kind of trouble.
    pub kind: Kind,
    /// What it is about, and what will be.
    pub message: String,
    /// What helps.
    pub fix: Fix,
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// An option of add-nic.
    Option(Hint),
    /// A command.
    Command(Hint),
    /// Some name in it cannot be pasted.
    Unsayable,
}

impl Fix {
    /// The whole command: what was typed, as an add and with the option.
    pub fn as_command(&self) -> Option<String> {
        let option = match self {
            Fix::Command(command) => return Some(command.to_string()),
            Fix::Option(option) => option,
            Fix::Unsayable => return None,
        };
        let typed =
            std::env::args().skip(1).filter(|word| !matches!(word.as_str(), "--preflight" | "--json"));
        let mut words: Vec<String> =
            std::iter::once(TOOL.to_owned()).chain(typed).map(|word| quoted(&word)).collect();
        words.push(option.to_string());
        Some(words.join(" "))
    }
}

impl From<&'static str> for Fix {
    fn from(text: &'static str) -> Self {
        Fix::from(Some(Hint::say(text)))
    }
}

impl From<Option<Hint>> for Fix {
    /// Only options begin with a dash.
    fn from(hint: Option<Hint>) -> Self {
        match hint {
            Some(hint) if hint.starts_with("--") => Fix::Option(hint),
            Some(hint) => Fix::Command(hint),
            None => Fix::Unsayable,
        }
    }
}

/// Kinds of trouble; programs tell them by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    ForwardDrop,
    StrictRpFilter,
    Overlap,
    MtuMismatch,
    SpanningTree,
    NoCarrier,
    DuplicateMac,
    NoDefaultRoute,
}

impl Warning {
    fn new(kind: Kind, about: impl Display, what: impl Display, fix: impl Into<Fix>) -> Self {
        Warning { kind, message: format!("{about}: {what}"), fix: fix.into() }
    }

    /// Says it on standard error, before a NIC is added.
    pub fn say(&self) {
        let fix = match &self.fix {
            Fix::Option(fix) | Fix::Command(fix) => Some(fix.clone()),
            Fix::Unsayable => None,
        };
        let said = Failure::said(Status::Yes, format_args!("warning: {}", self.message)).hint(fix);
        failure::report(TOOL, &said);
    }
}

/// Looks at what the snapshot does not have yet: a few settings, and of packet filters only those that a bridge's packets meet.
pub fn look(snapshot: &mut Snapshot, nic: &Nic, wanted: &Wanted, sockets: &Sockets) -> Result<(), Failure> {
    if let inside @ [_, ..] = &reverse_path::needed(nic, &snapshot.inside)[..] {
        snapshot.settings.read(Place::Inside, inside.to_vec(), sockets)?;
    }
    if nic.other_end.bridge().is_none() || wanted.firewall.forward {
        return Ok(());
    }
    snapshot.settings.read(Place::Outside, [false, true].map(bridge_netfilter).to_vec(), sockets)?;
    let meets = |six| {
        filter::is_on(six, &snapshot.settings)
            && nic.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six)
    };
    let families = [meets(false), meets(true)];
    if families != [false; 2] && snapshot.wall.chains.is_none() {
        snapshot.wall = Wall::look(Asked { families, ..Asked::default() })?;
    }
    Ok(())
}

/// Whether what passes through bridges is given to iptables.
fn bridge_netfilter(six: bool) -> Key {
    Key::of_network(if six { "bridge/bridge-nf-call-ip6tables" } else { "bridge/bridge-nf-call-iptables" })
}

/// All of it. Pure.
pub fn warnings(nic: &Nic, basis: &Basis<'_>) -> Vec<Warning> {
    let mut warnings = filter::drops(nic, basis);
    warnings.extend(reverse_path::strict(nic, basis));
    warnings.extend(overlap::overlaps(nic, basis));
    warnings.extend(bridge::troubles(nic, basis));
    warnings.extend(route::troubles(nic, basis));
    warnings
}
