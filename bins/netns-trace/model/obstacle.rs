//! What stops a packet at a hop.

use common::diagnose::Cause;
use common::firewall::DropPlace;
use common::hint::Hint;

use super::{HopPlace, TraceVerdict};

/// What stops the packet, as far as what is set up says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceObstacle {
    /// After how many hops of the walk it stands.
    pub after: usize,
    /// Where it is.
    pub place: HopPlace,
    /// Whether it stops the answer.
    pub is_answer: bool,
    /// The word for it.
    pub cause: Cause,
    /// What becomes of a packet there: lost, refused, unreachable.
    pub verdict: TraceVerdict,
    /// What is wrong, in a sentence that holds nothing that a terminal would obey.
    pub text: String,
    /// The rule that stops it, as its program writes it.
    pub rule: Option<String>,
    /// The same as it was found, of a packet filter.
    pub filter: Option<DropPlace>,
    /// Of a filter that only may stop it: whether its counter rose while the packet was under way; nothing where it has none.
    pub is_counted: Option<bool>,
    /// The commands that undo the cause, and nothing else.
    pub fix: Vec<Hint>,
    /// What else helps.
    pub advice: Option<String>,
}
