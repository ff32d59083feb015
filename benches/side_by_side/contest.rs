//! What is compared with what: add a row here when a tool arrives, and its floor to `SOURCES` in `floors.rs`.
//!
//! A command is a line of words. Its first word is found among our binaries, on `PATH`, or in `benches/floors/` by the
//! part it plays; words in capitals are filled in from the fixture:
//!
//! | word | becomes |
//! |---|---|
//! | `NAME` | the name of a running container |
//! | `PID` | a process in the fixture's network namespace: the container's first, or a stand-in's |
//! | `LINK` | a name under `/run/netns` for that namespace |
//! | `SOCKET` | the path of the engine's socket |
//! | `TRUE` | a program that does nothing; when answers are compared, one that says in which network it runs |

use serde::Serialize;

/// One piece of work, and everyone who does it.
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) work: &'static str,
    pub(crate) ours: &'static str,
    /// What people use for it today.
    pub(crate) peers: &'static [&'static str],
    /// A C program that does only what cannot be avoided.
    pub(crate) floor: &'static str,
    pub(crate) targets: &'static [Target],
}

/// Our median must be at most this many times that of the contestant whose program is `of`.
pub(crate) struct Target {
    pub(crate) at_most: f64,
    pub(crate) of: &'static str,
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "cpid",
        work: "a container's name becomes its PID",
        ours: "cpid NAME",
        peers: &["docker inspect -f {{.State.Pid}} NAME"],
        floor: "inspect SOCKET NAME",
        targets: &[Target { at_most: 1.0 / 6.0, of: "docker" }, Target { at_most: 2.0, of: "inspect" }],
    },
    Row {
        name: "nsenter-rs",
        work: "a program runs in another network namespace",
        ours: "nsenter-rs -t PID -n TRUE",
        peers: &["nsenter -t PID -n TRUE", "ip netns exec LINK TRUE"],
        floor: "enter_net PID TRUE",
        targets: &[Target { at_most: 0.8, of: "nsenter" }, Target { at_most: 1.15, of: "enter_net" }],
    },
];

/// The part a contestant plays, and so where its program is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Ours,
    Peer,
    Floor,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Ours => "ours",
            Part::Peer => "peer",
            Part::Floor => "floor",
        }
    }
}

impl Row {
    /// Everyone, in the order of the report.
    pub(crate) fn contestants(&self) -> impl Iterator<Item = (Part, &'static str)> {
        [(Part::Ours, self.ours)]
            .into_iter()
            .chain(self.peers.iter().map(|peer| (Part::Peer, *peer)))
            .chain([(Part::Floor, self.floor)])
    }

    pub(crate) fn needs_container(&self) -> bool {
        self.contestants().any(|(_, command)| command.split(' ').any(|word| word == "NAME"))
    }
}
