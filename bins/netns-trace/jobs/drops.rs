//! `--drops`: what the kernel drops is read as it happens, put into groups, explained, and shown.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::{Failure, Status, say};
use common::packet::{realtime_now, wait_for_each};
use common::probe::ProbeSignals;
use common::typed::with_sudo_for_users;
use nix::errno::Errno;

use crate::evidence::DropWatch;
use crate::model::{DropKind, DropReport, DropSummary, HopPlace};
use crate::probe::monotonic_now;
use crate::report::{packet_words, print_drop, print_summary};
use crate::request::DropsRequest;
use crate::state::HostState;
use crate::tool::TOOL;
use crate::verdict::is_normal;
use crate::walk::{drop_cause, drop_end, hook_of, is_for_station};

/// Drops that come one after the other are read together.
const BATCH: Duration = Duration::from_millis(40);
/// A group is shown so long after its first packet, and then, while it goes on, so often.
const FIRST_LINE: Duration = Duration::from_millis(800);
const NEXT_LINE: Duration = Duration::from_secs(10);
/// The host is read again for a group that is new, if that is so long ago; and no more than a fifth of the time.
const FRESH: Duration = Duration::from_millis(200);
const READ_SHARE: u32 = 5;
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

/// What is known of the host, and since when.
struct FreshState<'a> {
    request: &'a DropsRequest,
    state: HostState,
    read: Instant,
    took: Duration,
    /// The inodes of the containers that were asked for.
    targets: Vec<u64>,
}

struct DropJob<'a> {
    request: &'a DropsRequest,
    host: FreshState<'a>,
    groups: HashMap<DropKind, DropGroup>,
    /// Which kinds are normal, or of no container that was asked for: not judged again for each packet.
    left_out: HashMap<DropKind, bool>,
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
    let host = FreshState::read(request)?;
    host.state.not_asked.iter().for_each(|why| say(TOOL, why));
    let mut watch = DropWatch::arm(request.evidence).map_err(|error| {
        Failure::failed("--drops", format_args!("what is dropped cannot be watched: {error}"))
            .hint(with_sudo_for_users())
    })?;
    watch.not_seen.iter().for_each(|why| say(TOOL, why));
    if !request.targets.is_empty() && watch.used != crate::model::EvidenceLevel::Bpf {
        return Err(Failure::failed("--drops", "perf sees no containers: use it without a TARGET"));
    }
    say(TOOL, "watching; Ctrl-C ends it with a summary");
    let offset = realtime_now().saturating_sub(monotonic_now());
    let (groups, left_out) = (HashMap::new(), HashMap::new());
    let mut job = DropJob { request, host, groups, left_out, offset, normal: 0, ungrouped: 0 };
    let begun = Instant::now();
    let end = request.length.and_then(|length| begun.checked_add(length));
    loop {
        let is_end = signals.is_end() || end.is_some_and(|end| Instant::now() >= end);
        job.read(&mut watch);
        job.show(is_end)?;
        if is_end {
            break;
        }
        wait(&signals, &watch, end, job.next_line())?;
    }
    job.summarise(&watch, begun.elapsed())?;
    Ok(Status::Yes)
}

/// Waits for a signal or a drop; after a drop a little longer, for others.
fn wait(
    signals: &ProbeSignals,
    watch: &DropWatch,
    end: Option<Instant>,
    line: Option<Instant>,
) -> Result<(), Failure> {
    let far = Instant::now() + NEXT_LINE;
    let until = [end, line].into_iter().flatten().min().unwrap_or(far).min(far);
    let ready = |fds: Vec<std::os::fd::BorrowedFd<'_>>, until| match wait_for_each(
        fds.into_iter().map(|fd| (fd, false)),
        until,
    ) {
        Err(errno) if errno != Errno::EINTR => Err(Failure::failed("poll", errno.desc())),
        ready => Ok(ready.unwrap_or_default()),
    };
    let all = std::iter::once(signals.as_fd()).chain(watch.sockets()).collect();
    if ready(all, until)?.iter().any(|nth| *nth > 0) {
        let soon = until.min(Instant::now() + BATCH);
        ready(vec![signals.as_fd()], soon)?;
    }
    Ok(())
}

impl<'a> FreshState<'a> {
    fn read(request: &'a DropsRequest) -> Result<Self, Failure> {
        let begun = Instant::now();
        let find = request.find.session();
        let mut targets = Vec::new();
        for target in &request.targets {
            targets.push(find.find(TOOL, target)?.into_netns()?.identity().inode);
        }
        let state = HostState::read(&find)?;
        Ok(FreshState { request, state, read: Instant::now(), took: begun.elapsed(), targets })
    }

    /// Reads it again, if that is due. What cannot be read now stays as it was: a container may be about to restart.
    fn refresh(&mut self) {
        if self.read.elapsed() < FRESH.max(self.took * READ_SHARE) {
            return;
        }
        match FreshState::read(self.request) {
            Ok(fresh) => *self = fresh,
            Err(_) => {
                if let Ok(state) = HostState::read(&self.request.find.session()) {
                    self.state = state;
                }
                self.read = Instant::now();
            }
        }
    }

    fn knows(&self, kind: &DropKind) -> bool {
        let Some(netns) = kind.netns else { return true };
        self.state.map.netns(netns).is_some_and(|netns| {
            kind.index.into_iter().chain(kind.out).all(|index| netns.link(index).is_some())
        })
    }

    /// Whether it is one that working networks have all the time.
    fn is_normal(&self, kind: &DropKind) -> bool {
        let packet = kind.packet;
        let end = packet.map(|packet| drop_end(&self.state, kind, packet.destination, None));
        let is_own = end.is_some_and(|end| end.netns == kind.netns && end.netns.is_some());
        let mac = packet.and_then(|packet| packet.mac);
        is_normal(kind, is_own, mac.is_some_and(|mac| is_for_station(&self.state, kind, mac)))
    }

    /// What is shown of it; nothing if it is of no container that was asked for.
    fn report(&self, kind: &DropKind) -> Option<DropReport> {
        let ends = kind.packet.map(|packet| {
            let [from, to] = packet.content.ports();
            let end = |address, port| drop_end(&self.state, kind, address, port);
            [end(packet.source, from), end(packet.destination, to)]
        });
        let is_wanted = |netns: Option<u64>| netns.is_some_and(|netns| self.targets.contains(&netns));
        // In a network that is not on the map any address may be anybody's.
        let is_known = kind.netns.is_none_or(|netns| self.state.map.netns(netns).is_some());
        let is_of_end = |end: &crate::model::DropEnd| {
            // Whose address it is may not be certain.
            is_wanted(end.netns)
                || end.netns.is_none()
                    && is_known
                    && self.targets.iter().any(|netns| self.has(*netns, end.address))
        };
        let is_shown = self.request.targets.is_empty()
            || is_wanted(kind.netns)
            || ends.as_ref().is_some_and(|ends| ends.iter().any(is_of_end));
        if !is_shown {
            return None;
        }
        let hop = kind.netns.map(|netns| HopPlace {
            container: self.state.who(netns),
            netns,
            ifname: kind.index.or(kind.out).and_then(|index| {
                let link = self.state.map.netns(netns)?.link(index)?;
                Some(link.link.name.to_string_lossy().into_owned())
            }),
            hook: hook_of(kind),
        });
        let words = kind.packet.map(|packet| packet_words(packet.content, packet.destination.is_ipv6()));
        Some(DropReport::of(kind, ends, words, hop, drop_cause(&self.state, kind)))
    }

    fn has(&self, netns: u64, address: std::net::IpAddr) -> bool {
        let links = self.state.map.netns(netns).map(|netns| netns.links.as_slice()).unwrap_or_default();
        links.iter().flat_map(|link| &link.addresses).any(|own| own.address == address)
    }
}

impl DropJob<'_> {
    /// Takes in what was dropped since.
    fn read(&mut self, watch: &mut DropWatch) {
        let mut fresh: HashMap<DropKind, (Duration, u64)> = HashMap::new();
        watch.drain(|drop| fresh.entry(drop.kind).or_insert((drop.at, 0)).1 += 1);
        for (kind, (at, count)) in fresh {
            if let Some(group) = self.groups.get_mut(&kind) {
                group.add(at + self.offset, count);
                continue;
            }
            if let Some(is_normal) = self.left_out.get(&kind) {
                self.normal += if *is_normal { count } else { 0 };
                continue;
            }
            if self.groups.len() >= MOST_GROUPS && !self.forget_oldest() {
                self.ungrouped += count;
                continue;
            }
            self.begin(kind, at + self.offset, count);
        }
    }

    /// A kind that there was none of so far.
    fn begin(&mut self, kind: DropKind, at: Duration, count: u64) {
        // A rule, an address or a container may be newer than what is known of the host.
        self.host.refresh();
        if self.host.is_normal(&kind) {
            self.normal += count;
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
        group.add(at, count);
        self.groups.insert(kind, group);
    }

    /// Makes room for a group: the one that was shown, and has had no packets for longest, is not in the summary any more.
    fn forget_oldest(&mut self) -> bool {
        let shown = self.groups.iter().filter(|(_, group)| group.report.packets == 0);
        let Some(oldest) = shown.min_by_key(|(_, group)| group.next_line).map(|(kind, _)| kind.clone())
        else {
            return false;
        };
        if let Some(group) = self.groups.remove(&oldest) {
            self.ungrouped += group.report.packets_in_all;
        }
        true
    }

    fn leave_out(&mut self, kind: DropKind, is_normal: bool) {
        if self.left_out.len() < MOST_GROUPS {
            self.left_out.insert(kind, is_normal);
        }
    }

    /// Shows the groups whose time has come; all that have news if it is the end.
    fn show(&mut self, is_end: bool) -> Result<(), Failure> {
        let now = Instant::now();
        let is_due = |group: &DropGroup| group.report.packets > 0 && (is_end || group.next_line <= now);
        let mut due: Vec<DropKind> = Vec::new();
        due.extend(self.groups.iter().filter(|(_, group)| is_due(group)).map(|(kind, _)| kind.clone()));
        due.sort_by_key(|kind| self.groups[kind].report.at);
        for kind in due {
            let Some(group) = self.groups.get(&kind) else { continue };
            // What is shown again may have another cause by now.
            if !group.is_placed || group.report.packets_in_all > group.report.packets {
                // At the end all of them are explained from one look.
                if !is_end {
                    self.host.refresh();
                }
                let again = self.host.report(&kind);
                let is_placed = self.host.knows(&kind);
                if let (Some(group), Some(again)) = (self.groups.get_mut(&kind), again) {
                    group.explain(again, is_placed);
                }
            }
            let Some(group) = self.groups.get_mut(&kind) else { continue };
            print_drop(&group.report, self.request.json)?;
            group.report.packets = 0;
            group.next_line = now + NEXT_LINE;
        }
        Ok(())
    }

    fn next_line(&self) -> Option<Instant> {
        self.groups.values().filter(|group| group.report.packets > 0).map(|group| group.next_line).min()
    }

    fn summarise(self, watch: &DropWatch, length: Duration) -> Result<(), Failure> {
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
            lost_packets: watch.lost(),
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
