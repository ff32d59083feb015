//! What `--explain` reports; `--json` prints it.

use common::hint::Hint;
use common::namespace::NamespaceKind;
use common::typed::shown;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::judge::rules::{Check, CheckOutcome, EntryFacts};

/// Everything there is to say; what `--json` prints.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub target: Option<String>,
    pub pid: Option<i32>,
    pub permitted: bool,
    pub namespaces: Vec<Row>,
    pub rules: Vec<RuleLine>,
    pub steps: Vec<String>,
    pub exposure: Option<ExposureLine>,
    #[serde(flatten)]
    pub hints: HintList,
}

/// What helps, first what helps most; an option stands in the command that was typed.
#[derive(Debug, Default)]
pub struct HintList(Vec<String>);

impl<'a> FromIterator<&'a Hint> for HintList {
    fn from_iter<I: IntoIterator<Item = &'a Hint>>(hints: I) -> Self {
        HintList(hints.into_iter().map(shown).collect())
    }
}

impl HintList {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// All of them in `hints`, and the first in `hint` too.
impl Serialize for HintList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(2))?;
        fields.serialize_entry("hint", &self.0.first())?;
        fields.serialize_entry("hints", &self.0)?;
        fields.end()
    }
}

/// One kind of namespace.
#[derive(Debug, Serialize)]
pub struct Row {
    pub kind: NamespaceKind,
    pub state: NamespaceState,
    pub ours_inode: Option<u64>,
    pub target_inode: Option<u64>,
    /// The user namespace that owns the target's; of a user namespace its parent. `None` when that is not below ours.
    pub owner_inode: Option<u64>,
    /// The user that owns that user namespace; of a user namespace its own owner.
    pub owner_uid: Option<u32>,
    /// Whether we have CAP_SYS_ADMIN over the owner, or over the user namespace itself.
    pub cap_sys_admin: Option<bool>,
}

/// How a namespace of the target stands to ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceState {
    Different,
    Same,
    NotAsked,
    /// We may not look.
    Unknown,
    /// This kernel has no such kind.
    Unsupported,
}

/// One rule.
#[derive(Debug, Serialize)]
pub struct RuleLine {
    /// `None`: it cannot be told.
    pub met: Option<bool>,
    pub rule: String,
    pub why: String,
}

/// Whether processes of the target could trace the program.
#[derive(Debug, Serialize)]
pub struct ExposureLine {
    pub safe: bool,
    pub why: String,
}

impl RuleLine {
    pub fn of(check: &Check, facts: &EntryFacts) -> Self {
        let met = match check.met {
            CheckOutcome::Yes => Some(true),
            CheckOutcome::No => Some(false),
            CheckOutcome::Unknown => None,
        };
        RuleLine { met, rule: check.asks(facts), why: check.why.clone() }
    }
}

impl NamespaceState {
    pub fn as_str(self) -> &'static str {
        match self {
            NamespaceState::Different => "different",
            NamespaceState::Same => "same",
            NamespaceState::NotAsked => "not asked",
            NamespaceState::Unknown => "unknown",
            NamespaceState::Unsupported => "unsupported",
        }
    }
}
