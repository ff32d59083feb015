//! `--drops`: what the kernel drops is read as it happens, put into groups, explained, and shown.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::{Failure, Status, say};
use common::packet::{realtime_now, wait_for_each};
use common::probe::ProbeSignals;
use common::typed::with_sudo_for_users;
use nix::errno::Errno;

use super::watched_host::WatchedHost;
use crate::evidence::DropWatch;
use crate::model::{DropKind, DropReport, DropSummary, EvidenceLevel, SeenDrops};
use crate::probe::monotonic_now;
use crate::report::{print_drop, print_summary};
use crate::request::DropsRequest;
use crate::tool::TOOL;

/// Drops that come one after the other are read together.
const BATCH: Duration = Duration::from_millis(40);
/// A group is shown so long after its first packet, and then, while it goes on, so often.
const FIRST_LINE: Duration = Duration::from_millis(800);
const NEXT_LINE: Duration = Duration::from_secs(10);
/// So long what was dropped until the end may take to be read, and then to be explained.
const AFTER_END: Duration = Duration::from_millis(500);
/// So many groups are kept apart: a scan of ports makes one for each port.
const MOST_GROUPS: usize = 4096;

/// A group, and how much of it was shown.
#[derive(Debug)]
struct DropGroup {
    report: DropReport,
    /// Whether its namespace was on the map when it was explained.
    is_placed: bool,
    next_line: Instant,
}

/// Until when something is done: up to a time, or to a signal that asks to end.
struct WatchLimit<'a> {
    signals: &'a ProbeSignals,
    time: Option<Instant>,
    is_asked: Cell<bool>,
}

struct DropJob<'a> {
    request: &'a DropsRequest,
    host: WatchedHost<'a>,
    groups: HashMap<DropKind, DropGroup>,
    /// Which kinds are normal, or of no container that was asked for: not judged again for each packet.
    left_out: HashMap<DropKind, bool>,
    /// What was read, and is in no group yet.
    waiting: VecDeque<SeenDrops>,
    /// Whether there may be a group that another one can take the place of.
    has_room: bool,
    /// From CLOCK_MONOTONIC to the time since 1970.
    offset: Duration,
    normal: u64,
    ungrouped: u64,
}

/// Watches, until it is to end.
///
/// # Errors
/// When nothing can be watched, or a TARGET does not exist.
pub fn drops(request: &DropsRequest) -> Result<Status, Failure> {
    let signals = ProbeSignals::block()?;
    let host = WatchedHost::read(request)?;
    host.state.not_asked.iter().for_each(|why| say(TOOL, why));
    let mut watch = DropWatch::arm(request.evidence).map_err(|error| {
        Failure::failed("--drops", format_args!("what is dropped cannot be watched: {error}"))
            .hint(with_sudo_for_users())
    })?;
    watch.not_seen.iter().for_each(|why| say(TOOL, why));
    if !request.targets.is_empty() && watch.used != EvidenceLevel::Bpf {
        return Err(Failure::failed("--drops", "perf sees no containers: use it without a TARGET"));
    }
    say(TOOL, "watching; Ctrl-C ends it with a summary");
    let mut job = DropJob::new(request, host);
    let begun = Instant::now();
    let end = request.length.and_then(|length| begun.checked_add(length));
    let until_end = WatchLimit::new(&signals, end);
    while !until_end.is_reached() {
        job.read(&mut watch, &until_end);
        job.group(&until_end);
        job.show(&until_end)?;
        if !until_end.is_reached() {
            wait(&until_end, &watch, job.next_line())?;
        }
    }
    let length = begun.elapsed();
    watch.stop();
    let mut after_end = WatchLimit::new(&signals, Some(Instant::now() + AFTER_END));
    job.read(&mut watch, &after_end);
    after_end.time = Some(Instant::now() + AFTER_END);
    job.group(&after_end);
    job.show_all(&after_end)?;
    job.summarise(&mut watch, length)?;
    Ok(Status::Yes)
}

/// Waits for a signal or a drop; after a drop a little longer, for others.
fn wait(limit: &WatchLimit<'_>, watch: &DropWatch, line: Option<Instant>) -> Result<(), Failure> {
    let far = Instant::now() + NEXT_LINE;
    let until = [limit.time, line].into_iter().flatten().min().unwrap_or(far).min(far);
    let ready = |fds: Vec<std::os::fd::BorrowedFd<'_>>, until| match wait_for_each(
        fds.into_iter().map(|fd| (fd, false)),
        until,
    ) {
        Err(errno) if errno != Errno::EINTR => Err(Failure::failed("poll", errno.desc())),
        ready => Ok(ready.unwrap_or_default()),
    };
    let all = std::iter::once(limit.signals.as_fd()).chain(watch.sockets()).collect();
    if ready(all, until)?.iter().any(|nth| *nth > 0) {
        let soon = until.min(Instant::now() + BATCH);
        ready(vec![limit.signals.as_fd()], soon)?;
    }
    Ok(())
}

impl<'a> WatchLimit<'a> {
    fn new(signals: &'a ProbeSignals, time: Option<Instant>) -> Self {
        WatchLimit { signals, time, is_asked: Cell::new(false) }
    }

    fn is_reached(&self) -> bool {
        if self.signals.is_end() {
            self.is_asked.set(true);
        }
        self.is_asked.get() || self.time.is_some_and(|time| Instant::now() >= time)
    }
}

impl<'a> DropJob<'a> {
    fn new(request: &'a DropsRequest, host: WatchedHost<'a>) -> Self {
        DropJob {
            request,
            host,
            groups: HashMap::new(),
            left_out: HashMap::new(),
            waiting: VecDeque::new(),
            has_room: true,
            offset: realtime_now().saturating_sub(monotonic_now()),
            normal: 0,
            ungrouped: 0,
        }
    }

    /// Takes in what was dropped since, as far as the limit lets.
    fn read(&mut self, watch: &mut DropWatch, limit: &WatchLimit<'_>) {
        self.waiting.extend(watch.read(|| limit.is_reached()));
    }

    /// Puts what was read into groups. What the limit leaves waits for the next time.
    fn group(&mut self, limit: &WatchLimit<'_>) {
        while let Some(drops) = self.waiting.pop_front() {
            if !self.count(&drops) {
                if limit.is_reached() {
                    self.waiting.push_front(drops);
                    return;
                }
                self.begin(drops);
            }
        }
    }

    /// Counts them where others of their kind are known. Whether they are.
    fn count(&mut self, drops: &SeenDrops) -> bool {
        if let Some(group) = self.groups.get_mut(&drops.kind) {
            group.add(drops.at + self.offset, drops.packets);
            return true;
        }
        let Some(is_normal) = self.left_out.get(&drops.kind) else { return false };
        self.normal += if *is_normal { drops.packets } else { 0 };
        true
    }

    /// A kind that there was none of so far.
    fn begin(&mut self, drops: SeenDrops) {
        let SeenDrops { at, packets, kind } = drops;
        if self.groups.len() >= MOST_GROUPS && !self.make_room() {
            self.ungrouped += packets;
            return;
        }
        // A rule, an address or a container may be newer than what is known of the host.
        self.host.refresh();
        if self.host.is_normal(&kind) {
            self.normal += packets;
            self.leave_out(kind, true);
            return;
        }
        let is_placed = self.host.knows(&kind);
        let Some(report) = self.host.report(&kind) else {
            // One whose namespace is not known yet may be of a container that was asked for.
            if is_placed {
                self.leave_out(kind, false);
            }
            return;
        };
        let mut group = DropGroup { report, is_placed, next_line: Instant::now() + FIRST_LINE };
        group.add(at + self.offset, packets);
        self.groups.insert(kind, group);
    }

    /// Makes room for groups: those that were shown, and have had no packets for longest, are not in the summary any more. Whether
    /// there were any.
    fn make_room(&mut self) -> bool {
        let is_shown = |group: &DropGroup| group.report.packets == 0;
        if !std::mem::take(&mut self.has_room) {
            return false;
        }
        let mut shown: Vec<Instant> =
            self.groups.values().filter(|group| is_shown(group)).map(|group| group.next_line).collect();
        shown.sort_unstable();
        // Half of them at once: to look for them takes longer than to forget them.
        let Some(last) = shown.get(shown.len() / 2).copied() else { return false };
        let old = |group: &DropGroup| is_shown(group) && group.next_line <= last;
        self.ungrouped += self
            .groups
            .extract_if(|_, group| old(group))
            .map(|(_, group)| group.report.packets_in_all)
            .sum::<u64>();
        self.has_room = true;
        true
    }

    fn leave_out(&mut self, kind: DropKind, is_normal: bool) {
        if self.left_out.len() < MOST_GROUPS {
            self.left_out.insert(kind, is_normal);
        }
    }

    /// Shows the groups whose time has come, as far as the limit lets.
    fn show(&mut self, limit: &WatchLimit<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        for kind in self.unshown(|group| group.next_line <= now) {
            if limit.is_reached() {
                break;
            }
            if self.is_to_explain(&kind) {
                self.host.refresh();
                self.explain(&kind);
            }
            self.print(&kind)?;
        }
        Ok(())
    }

    /// Shows all groups that have news. They are explained from one look, and up to the limit; the others are shown as they were
    /// explained before.
    fn show_all(&mut self, limit: &WatchLimit<'_>) -> Result<(), Failure> {
        for kind in self.unshown(|_| true) {
            if self.is_to_explain(&kind) && !limit.is_reached() {
                self.explain(&kind);
            }
            self.print(&kind)?;
        }
        Ok(())
    }

    /// The groups with packets that no line was about yet, in the order of these.
    fn unshown(&self, is_due: impl Fn(&DropGroup) -> bool) -> Vec<DropKind> {
        let of_them = |group: &DropGroup| group.report.packets > 0 && is_due(group);
        let mut due: Vec<DropKind> =
            self.groups.iter().filter(|(_, group)| of_them(group)).map(|(kind, _)| kind.clone()).collect();
        due.sort_by_key(|kind| self.groups[kind].report.at);
        due
    }

    /// Whether a group is explained again before it is shown: what is shown again may have another cause by now.
    fn is_to_explain(&self, kind: &DropKind) -> bool {
        let is_again = |group: &DropGroup| group.report.packets_in_all > group.report.packets;
        self.groups.get(kind).is_some_and(|group| !group.is_placed || is_again(group))
    }

    fn explain(&mut self, kind: &DropKind) {
        let is_placed = self.host.knows(kind);
        if let (Some(group), Some(again)) = (self.groups.get_mut(kind), self.host.report(kind)) {
            group.explain(again, is_placed);
        }
    }

    fn print(&mut self, kind: &DropKind) -> Result<(), Failure> {
        let Some(group) = self.groups.get_mut(kind) else { return Ok(()) };
        print_drop(&group.report, self.request.json)?;
        group.report.packets = 0;
        group.next_line = Instant::now() + NEXT_LINE;
        self.has_room = true;
        Ok(())
    }

    fn next_line(&self) -> Option<Instant> {
        self.groups.values().filter(|group| group.report.packets > 0).map(|group| group.next_line).min()
    }

    fn summarise(self, watch: &mut DropWatch, length: Duration) -> Result<(), Failure> {
        let untaken: u64 = self.waiting.iter().map(|drops| drops.packets).sum();
        let mut groups: Vec<DropReport> = self.groups.into_values().map(|group| group.report).collect();
        groups.sort_by_key(|report| (std::cmp::Reverse(report.packets_in_all), report.at));
        let summary = DropSummary {
            schema: 1,
            kind: "summary",
            seconds: length.as_secs_f64(),
            packets: groups.iter().map(|report| report.packets_in_all).sum(),
            groups: groups.len(),
            ungrouped_packets: self.ungrouped,
            normal_packets: self.normal,
            lost_packets: watch.lost() + untaken,
            evidence: watch.used,
            not_seen: watch.not_seen.clone(),
        };
        print_summary(&summary, &groups, self.request.json)
    }
}

impl DropGroup {
    fn add(&mut self, at: Duration, count: u64) {
        if self.report.packets == 0 {
            self.report.at = at;
        }
        self.report.packets += count;
        self.report.packets_in_all += count;
    }

    /// The same packets, explained again.
    fn explain(&mut self, again: DropReport, is_placed: bool) {
        // A container that has ended since keeps its name.
        if self.is_placed && !is_placed {
            return;
        }
        let DropReport { at, packets, packets_in_all, .. } = self.report;
        self.report = DropReport { at, packets, packets_in_all, ..again };
        self.is_placed = is_placed;
    }
}
