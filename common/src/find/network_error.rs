//! Why an `ip:`, `mac:` or `veth:` TARGET has no single owner: each that it can mean is named, with what tells it from the others.

use std::fmt;
use std::path::Path;

use nix::unistd::Uid;

use super::cgroups;
use crate::failure::{Failure, Status};
use crate::hint::Hint;
use crate::map::{MapError, OwnerNetns, UnseenNamespaces};
use crate::netns;
use crate::output::one_line;
use crate::target::{Target, WireAddress};
use crate::typed::with_sudo;

/// Why no owner of an address or veth, or no certain one, was found.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// None of the namespaces that could be asked has it.
    #[error("{target}: {}", no_owner(target))]
    NoOwner {
        /// What was asked for.
        target: Target,
        /// What could not be asked: if this is not empty, the answer is not certain.
        unseen: UnseenNamespaces,
    },
    /// More than one; or one, and others that could not be asked may be it too.
    #[error("{target}: {}", means(candidates, *more))]
    NotAlone {
        /// What was asked for.
        target: Target,
        /// What it can mean.
        candidates: Vec<Candidate>,
        /// How many more it can mean.
        more: usize,
        /// What could not be asked.
        unseen: UnseenNamespaces,
    },
    /// Only networks of other users have it, and it is to be acted upon.
    #[error(
        "{target}: only networks of other users have this address, and such a user can choose any address:"
    )]
    OfStrangers {
        /// What was asked for.
        target: Target,
        /// The namespaces that have it.
        candidates: Vec<Candidate>,
        /// How many more have it.
        more: usize,
    },
    /// The network could not be looked at, or what was asked has no answer anywhere.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// A network namespace that a TARGET can mean, in words that tell it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `net:[4026532254]`.
    pub netns: String,
    /// The TARGET that means only this one: `pid:812`, `netns:blue` or a file.
    pub target: Option<String>,
    /// The process that stands for it, by name; a process calls itself what it likes.
    pub command: Option<String>,
    /// The container's ID, if the process's cgroup has one.
    pub container: Option<String>,
    /// Whether the tool runs in it.
    pub is_own: bool,
    /// Whose it is, where that is another user than root and us.
    pub stranger: Option<Uid>,
}

impl Candidate {
    pub(super) fn of(owner: &OwnerNetns) -> Self {
        let process = owner.process.as_ref();
        let command = process.and_then(|process| process.read("comm").ok());
        Candidate {
            netns: owner.entry.to_string(),
            target: process
                .map(|process| format!("pid:{}", process.pid()))
                .or_else(|| owner.entry.name().map(name_as_target)),
            command: command.map(|comm| String::from_utf8_lossy(&comm).trim_end().to_owned()),
            // A cgroup of a user's is called as that user likes.
            container: process
                .filter(|_| owner.stranger.is_none())
                .and_then(|process| cgroups::foreign_ids(process).ok()?.into_iter().next()),
            is_own: owner.is_own,
            stranger: owner.stranger,
        }
    }
}

fn name_as_target(file: &Path) -> String {
    match file.strip_prefix(netns::DIRECTORY) {
        Ok(name) => format!("netns:{}", name.display()),
        Err(_) => file.display().to_string(),
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.netns)?;
        if let Some(target) = &self.target {
            write!(f, "  {}", one_line(target))?;
        }
        if let Some(command) = &self.command {
            write!(f, " ({})", one_line(command))?;
        }
        if let Some(id) = &self.container {
            write!(f, " container {}", id.get(..12).unwrap_or(id))?;
        }
        if let Some(user) = self.stranger {
            write!(f, " of user {user}")?;
        }
        if self.is_own { f.write_str(" this host") } else { Ok(()) }
    }
}

/// More than that many TARGETs are no hint any more.
const MOST_HINTED: usize = 4;

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        let failure = Failure::said(Status::Failed, &error).and_lines(rows(&error));
        match error {
            NetworkError::Map(error) => error.into(),
            NetworkError::NoOwner { target: Target::Ip(WireAddress { address, zone: Some(_) }), unseen }
                if unseen.is_empty() =>
            {
                let hint = crate::sentence!("use ip:{}, which looks behind every interface", address);
                failure.with_status(Status::No).hint(hint)
            }
            NetworkError::NoOwner { unseen, .. } if unseen.is_empty() => failure.with_status(Status::No),
            NetworkError::NoOwner { unseen, .. } if unseen.is_about_permission() => failure.hint(with_sudo()),
            NetworkError::NotAlone { candidates, unseen, .. }
                if candidates.len() == 1 && unseen.is_about_permission() =>
            {
                failure.hint(with_sudo())
            }
            NetworkError::NotAlone { candidates, .. } => {
                let few = some_of(candidates);
                failure.hint(few.and_then(|few| crate::sentence!("say which: {}", few)))
            }
            NetworkError::OfStrangers { candidates, .. } => {
                let few = some_of(candidates);
                failure.hint(few.and_then(|few| crate::sentence!("use {} for that network", few)))
            }
            _ => failure,
        }
    }
}

fn some_of(candidates: Vec<Candidate>) -> Option<Hint> {
    let targets: Vec<String> = candidates.into_iter().filter_map(|candidate| candidate.target).collect();
    crate::hint::any_of(targets.get(..MOST_HINTED).unwrap_or(&targets))
}

fn no_owner(target: &Target) -> String {
    match target {
        Target::Veth(_) => {
            "its peer is in no network namespace that a process or a mount refers to".to_owned()
        }
        Target::Ip(WireAddress { zone: Some(zone), .. }) => {
            format!("nothing of this host that is attached to {zone} has this address")
        }
        _ => "no network namespace of this host has this address".to_owned(),
    }
}

fn but(unseen: &UnseenNamespaces) -> Option<String> {
    (!unseen.is_empty()).then(|| format!("  not looked at: {unseen}"))
}

fn means(candidates: &[Candidate], more: usize) -> String {
    match candidates.len() + more {
        1 => "may not mean this one alone:".to_owned(),
        several => format!("means {several} network namespaces:"),
    }
}

/// The lines below the first.
fn rows(error: &NetworkError) -> Vec<String> {
    match error {
        NetworkError::NoOwner { unseen, .. } => but(unseen).into_iter().collect(),
        NetworkError::NotAlone { candidates, more, unseen, .. } => {
            some_rows(candidates, *more).chain(but(unseen)).collect()
        }
        NetworkError::OfStrangers { candidates, more, .. } => some_rows(candidates, *more).collect(),
        NetworkError::Map(_) => Vec::new(),
    }
}

fn some_rows(candidates: &[Candidate], more: usize) -> impl Iterator<Item = String> {
    let rows = candidates.iter().map(|candidate| format!("  {candidate}"));
    rows.chain((more > 0).then(|| format!("  and {more} more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            netns: "net:[7]".to_owned(),
            target: Some("pid:812".to_owned()),
            command: Some("nginx".to_owned()),
            container: Some("3f2a".repeat(16)),
            is_own: false,
            stranger: None,
        }
    }

    #[test]
    fn several_owners_are_listed_and_the_hint_says_how_to_name_one() {
        let blue = Candidate {
            netns: "net:[8]".to_owned(),
            target: Some("netns:blue".to_owned()),
            command: None,
            container: None,
            is_own: false,
            stranger: None,
        };
        let error = NetworkError::NotAlone {
            target: "ip:10.0.0.2".parse().unwrap(),
            candidates: vec![candidate(), blue],
            more: 0,
            unseen: UnseenNamespaces::default(),
        };
        let failure = Failure::from(error);
        assert_eq!(
            failure.text(),
            "ip:10.0.0.2: means 2 network namespaces:\n  net:[7]  pid:812 (nginx) container 3f2a3f2a3f2a\n  net:[8]  netns:blue"
        );
        assert_eq!(failure.hint.unwrap(), "say which: pid:812 or netns:blue");
    }

    #[test]
    fn one_owner_among_namespaces_that_are_hidden_may_not_be_the_only_one() {
        let error = NetworkError::NotAlone {
            target: "ip:10.0.0.2".parse().unwrap(),
            candidates: vec![candidate()],
            more: 0,
            unseen: UnseenNamespaces { processes: 1, ..UnseenNamespaces::default() },
        };
        let failure = Failure::from(error);
        assert!(failure.text().starts_with(
            "ip:10.0.0.2: may not mean this one alone:\n  net:[7]  pid:812 (nginx) container 3f2a3f2a3f2a\n  not looked at: 1 process"
        ));
        assert_eq!(failure.hint, with_sudo());
    }

    #[test]
    fn nobody_is_certain_only_if_everybody_could_be_asked() {
        let nobody = |unseen| NetworkError::NoOwner { target: "ip:10.0.0.2".parse().unwrap(), unseen };
        assert_eq!(Failure::from(nobody(UnseenNamespaces::default())).status, crate::failure::Status::No);
        let unsure = Failure::from(nobody(UnseenNamespaces { processes: 3, ..UnseenNamespaces::default() }));
        assert_eq!(unsure.status, crate::failure::Status::Failed);
        assert!(unsure.text().contains("not looked at: 3 processes"));
    }

    #[test]
    fn a_process_that_calls_itself_a_line_of_its_own_gets_none() {
        let forger = Candidate { command: Some("x)\n  net:[1]  pid:1 (init".to_owned()), ..candidate() };
        assert!(!forger.to_string().contains('\n'));
    }
}
