//! Probing: what was sent and has not been answered yet, and the loop that sends, waits and listens until it is over or a
//! signal ends it.

mod log;
mod run;
mod signals;

pub use log::{Probe, ProbeState, Probes, SendTime, Timing};
pub use run::{LoopEnd, ProbeTask, run};
pub use signals::ProbeSignals;
