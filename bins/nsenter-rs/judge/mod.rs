//! What the kernel requires of a process that enters: the rules, the facts that they are judged over, and why it has refused.

pub mod facts;
pub mod refused;
pub mod rules;
