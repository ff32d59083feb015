//! What is seen of the probe while it is under way, armed before it is sent: by programs of our own at the kernel's tracepoints, by
//! the same tracepoints through perf, and by the trace of netfilter in every namespace on the way. Each goes with this process.

mod bpf;
mod drops;
mod error;
mod filters;
mod functions;
mod legacy;
mod perf;
mod rule_words;
mod seen;

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use common::namespace::Namespace;
use common::netns::Home;

use self::bpf::BpfEvidence;
pub use self::drops::DropWatch;
use self::error::NO_REASON;
use self::filters::FilterTrace;
use self::legacy::LegacyTrace;
use self::perf::PerfEvidence;
pub use self::rule_words::{RuleWords, rule_words};
use self::seen::SeenEvent;
use crate::model::{EvidenceLevel, FilterOutcome, ProbeSignature, TraceEvent, TraceEventKind};

/// What has been armed. Dropped, nothing of it is left.
#[derive(Debug, Default)]
pub struct ArmedEvidence {
    bpf: Option<BpfEvidence>,
    perf: Option<PerfEvidence>,
    filters: Vec<FilterTrace>,
    legacy: Vec<LegacyTrace>,
    seen: Vec<SeenEvent>,
    /// The levels that are armed.
    pub used: Vec<EvidenceLevel>,
    /// What could not be armed, and what can therefore not be seen, a sentence each.
    pub not_seen: Vec<String>,
}

impl ArmedEvidence {
    /// Arms what can be, in the namespaces on the way: the best there is, or that level alone.
    pub fn arm(
        only: Option<EvidenceLevel>,
        signature: &ProbeSignature,
        way: &[(String, &Namespace)],
        home: &Home,
    ) -> Self {
        let mut armed = ArmedEvidence::default();
        if only == Some(EvidenceLevel::State) {
            armed.not_seen.push(
                "nothing was watched: where the packet was is only known from what is set up".to_owned(),
            );
            return armed;
        }
        if only.is_none_or(|only| only == EvidenceLevel::Bpf) {
            armed.arm_bpf(signature);
        }
        if only == Some(EvidenceLevel::Perf) || only.is_none() && armed.bpf.is_none() {
            armed.arm_perf(signature);
        }
        for (name, namespace) in way {
            armed.arm_filters(signature, name, namespace, home);
        }
        armed
    }

    fn arm_bpf(&mut self, signature: &ProbeSignature) {
        match BpfEvidence::arm(signature) {
            Ok(bpf) => {
                self.not_seen.extend((!bpf.has_reason).then(|| NO_REASON.to_owned()));
                self.bpf = Some(bpf);
                self.used.push(EvidenceLevel::Bpf);
            }
            Err(error) => self.not_seen.push(format!(
                "BPF could not be used ({error}): in which namespace a packet is, and its addresses there, cannot be seen"
            )),
        }
    }

    fn arm_perf(&mut self, signature: &ProbeSignature) {
        match PerfEvidence::arm(signature) {
            Ok(perf) => {
                self.not_seen.extend(perf.not_seen(signature));
                self.perf = Some(perf);
                self.used.push(EvidenceLevel::Perf);
            }
            Err(error) => self.not_seen.push(format!(
                "perf could not be used ({error}): where a packet passes and why one is dropped cannot be seen"
            )),
        }
    }

    fn arm_filters(&mut self, signature: &ProbeSignature, name: &str, namespace: &Namespace, home: &Home) {
        let has_legacy = has_legacy_rules(namespace, home);
        if has_legacy {
            // Before packets are marked: else what is traced goes to the kernel's own log.
            match LegacyTrace::arm(signature, namespace, home) {
                Ok(trace) => self.legacy.push(trace),
                Err(error) => self.not_seen.push(format!(
                    "{name}: the rules of iptables-legacy are not traced ({error}): what they do is known from what is set up"
                )),
            }
        }
        match FilterTrace::arm(signature, namespace, home, has_legacy) {
            Ok(trace) => self.filters.extend(trace),
            Err(error) => self.not_seen.push(format!(
                "{name}: the trace of its packet filters could not be used ({error}): which rule decides cannot be seen"
            )),
        }
        if !self.filters.is_empty() && !self.used.contains(&EvidenceLevel::Netfilter) {
            self.used.push(EvidenceLevel::Netfilter);
        }
    }

    /// What to wait for: something has been seen when one of them can be read.
    pub fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        let filters = self.filters.iter().map(AsFd::as_fd).chain(self.legacy.iter().map(AsFd::as_fd));
        let perf = self.perf.iter().flat_map(PerfEvidence::sockets);
        self.bpf.iter().map(AsFd::as_fd).chain(perf).chain(filters).collect()
    }

    /// Takes in what has been seen since, and hands it over, too; not what perf tells, which makes sense only as a whole.
    pub fn drain(&mut self, mut each: impl FnMut(&TraceEvent)) {
        let before = self.seen.len();
        let ArmedEvidence { bpf, perf, filters, legacy, seen, .. } = self;
        if let Some(bpf) = bpf {
            bpf.drain(|event| seen.push(event));
        }
        if let Some(perf) = perf {
            perf.drain();
        }
        for filter in filters {
            filter.drain(|event| seen.push(SeenEvent { event, function: None }));
        }
        for trace in legacy {
            trace.drain(|event| seen.push(SeenEvent { event, function: None }));
        }
        seen[before..].iter().for_each(|seen| each(&seen.event));
    }

    /// All that has been seen, in the order of time; decisions of filters, which have no time, come last, in their own order. The
    /// functions in which packets were dropped are looked up where `with_functions`, which takes tens of milliseconds.
    pub fn events(&mut self, with_functions: bool) -> Vec<TraceEvent> {
        self.drain(|_| {});
        let is_incomplete = self.filters.iter().any(|filter| filter.is_incomplete)
            || self.legacy.iter().any(|trace| trace.is_incomplete);
        if is_incomplete {
            self.not_seen.push("the packet filters had more to tell than the kernel keeps".to_owned());
        }
        let mut seen = std::mem::take(&mut self.seen);
        if let Some(perf) = &mut self.perf {
            seen.extend(perf.recognised());
            if perf.is_incomplete() {
                self.not_seen.push("perf had more to tell than there was room for".to_owned());
            }
        }
        // Where a filter decided, that is the reason.
        if with_functions && !seen.iter().any(|seen| is_filtered_out(&seen.event)) {
            name_functions(&mut seen);
        }
        seen.sort_by_key(|seen| (seen.event.at.is_none(), seen.event.at));
        seen.into_iter().map(|seen| seen.event).collect()
    }
}

/// Whether the older iptables has tables there: the kernel makes them when somebody first asks for them.
fn has_legacy_rules(namespace: &Namespace, home: &Home) -> bool {
    let has_some = |names: &str| {
        let read = fs::read_to_string(format!("/proc/thread-self/net/{names}"));
        read.is_ok_and(|names| !names.trim().is_empty())
    };
    home.inside(namespace, || has_some("ip_tables_names") || has_some("ip6_tables_names")).unwrap_or(false)
}

fn is_filtered_out(event: &TraceEvent) -> bool {
    matches!(&event.kind, TraceEventKind::Filtered(decision) if decision.outcome == FilterOutcome::Drop)
}

fn name_functions(seen: &mut [SeenEvent]) {
    let addresses: Vec<u64> = seen.iter().filter_map(|seen| seen.function).collect();
    let mut names = functions::names(&addresses).into_iter();
    for one in seen.iter_mut().filter(|seen| seen.function.is_some()) {
        let name = names.next().flatten();
        if let TraceEventKind::Dropped { function, .. } = &mut one.event.kind {
            *function = name;
        }
    }
}
