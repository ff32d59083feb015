//! When the next packets are sent, and when it is over. Pure.

use std::time::{Duration, Instant};

use super::statistics::Statistics;
use crate::request::EchoConfig;

/// Without a single answer a flood goes on so slowly, as ping(8)'s does: 100 packets a second.
const STALL: Duration = Duration::from_millis(10);
/// Packets of a flood that are under way at once.
pub const WINDOW: u64 = 64;
/// For a time that no clock can tell.
const FAR: Duration = Duration::from_secs(u32::MAX as u64);
/// An answer that follows the last packet is waited for at least so long.
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);

/// The schedule of one destination.
#[derive(Debug, Clone)]
pub struct SendSchedule {
    began: Instant,
    next: Instant,
    last_sent: Option<Instant>,
    /// Whether the packets of `--preload` are being sent, which take no time of the others.
    is_preloading: bool,
    /// How many packets a flood does not wait for any more.
    given_up: u64,
    /// How many were answered when it had to give up some.
    answered_then: u64,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// This many packets are to be sent.
    Send(u64),
    /// Nothing before that time, unless something comes.
    Wait(Instant),
    /// It is over.
    End,
}

impl SendSchedule {
    /// It begins now.
    pub fn new(now: Instant) -> Self {
        SendSchedule {
            began: now,
            next: now,
            last_sent: None,
            is_preloading: false,
            given_up: 0,
            answered_then: 0,
        }
    }

    /// What is to be done.
    pub fn due(&mut self, now: Instant, config: &EchoConfig, so_far: &Statistics) -> Due {
        let settled = so_far.received + so_far.errors;
        let has_all = config.count.is_some_and(|count| settled >= count);
        let deadline = config.deadline.and_then(|deadline| self.began.checked_add(deadline));
        if has_all || deadline.is_some_and(|at| now >= at || so_far.errors > 0) {
            return Due::End;
        }
        let until = |at: Instant| Due::Wait(deadline.map_or(at, |deadline| deadline.min(at)));
        // With a deadline it is answers that are counted, and not packets.
        let left = match (config.count, deadline) {
            (Some(count), None) => count.saturating_sub(so_far.transmitted),
            _ => u64::MAX,
        };
        if left == 0 {
            let over = self.end(config, so_far);
            return if now >= over { Due::End } else { until(over) };
        }
        let preload = u64::from(config.preload);
        let is_timed = !config.is_unlimited() && !config.is_adaptive;
        self.is_preloading = is_timed && so_far.transmitted < preload;
        if self.is_preloading {
            return Due::Send((preload - so_far.transmitted).min(left));
        }
        if is_timed {
            return if now >= self.next { Due::Send(1) } else { until(self.next) };
        }
        // Some of those may have been answered since.
        let open = so_far.transmitted.saturating_sub(settled);
        self.given_up = self.given_up.min(open);
        let under_way = open - self.given_up;
        let stall = match (config.is_unlimited(), so_far.round_trips.is_empty()) {
            (true, _) => STALL,
            (false, true) => config.interval,
            (false, false) => so_far.round_trips.moving().max(STALL),
        };
        let stalled = self.last_sent.map_or(now, |at| at.checked_add(stall).unwrap_or(now + FAR));
        // It begins with one, and again after each stall: a host that does not answer is not flooded.
        let grown = preload + so_far.received.saturating_sub(self.answered_then);
        let window = if config.is_adaptive { preload } else { grown.min(WINDOW.max(preload)) };
        match window.saturating_sub(under_way) {
            0 if now < stalled => until(stalled),
            0 => {
                self.given_up += under_way;
                self.answered_then = so_far.received;
                Due::Send(1)
            }
            room => Due::Send(room.min(left)),
        }
    }

    /// Packets were sent. One that is late does not make all others late, and none is sent in place of those that were
    /// not sent while we could not run.
    pub fn sent(&mut self, now: Instant, config: &EchoConfig) {
        self.last_sent = Some(now);
        let from = if self.is_preloading { self.began } else { self.next };
        self.next = from.checked_add(config.interval).unwrap_or(now + FAR);
        if self.next < now {
            self.next = now;
        }
    }

    /// When the last packet is not waited for any more: after twice the longest round trip, if there was any.
    fn end(&self, config: &EchoConfig, so_far: &Statistics) -> Instant {
        let last = self.last_sent.unwrap_or(self.began);
        let timeout = match so_far.round_trips.is_empty() {
            true => config.timeout,
            false => (so_far.round_trips.max() * 2).max(config.interval).max(LEAST_TIMEOUT),
        };
        // A time limit without end.
        last.checked_add(timeout).unwrap_or(last + FAR)
    }

    /// From the first packet to the last one.
    pub fn lasted(&self) -> Duration {
        self.last_sent.map_or(Duration::ZERO, |last| last.saturating_duration_since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ShowOptions;

    /// As ping(8) has it, with that many packets and that interval.
    fn config(count: Option<u64>, interval: Duration) -> EchoConfig {
        EchoConfig {
            interval,
            count,
            deadline: None,
            timeout: MS(3000),
            payload_bytes: 56,
            ttl: None,
            path_mtu: None,
            is_adaptive: false,
            preload: 1,
            pattern: None,
            tos: None,
            mark: None,
            is_on_link_only: false,
            show: ShowOptions::default(),
        }
    }

    fn so_far(transmitted: u64, received: u64) -> Statistics {
        let mut so_far = Statistics { transmitted, received, ..Statistics::default() };
        (0..received).for_each(|_| so_far.round_trips.add(Duration::from_millis(400)));
        so_far
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn packets_go_at_their_times_and_none_is_made_up_for() {
        let (config, start) = (config(None, MS(200)), Instant::now());
        let mut schedule = SendSchedule::new(start);
        assert_eq!(schedule.due(start, &config, &so_far(0, 0)), Due::Send(1));
        schedule.sent(start, &config);
        assert_eq!(schedule.due(start, &config, &so_far(1, 0)), Due::Wait(start + MS(200)));
        schedule.sent(start + MS(203), &config);
        assert_eq!(schedule.due(start + MS(204), &config, &so_far(2, 0)), Due::Wait(start + MS(400)));
        schedule.sent(start + MS(2000), &config);
        assert_eq!(schedule.due(start + MS(2000), &config, &so_far(3, 0)), Due::Send(1));
    }

    #[test]
    fn the_last_answer_is_waited_for_twice_as_long_as_the_slowest() {
        let (config, start) = (config(Some(2), MS(200)), Instant::now());
        let mut schedule = SendSchedule::new(start);
        schedule.sent(start, &config);
        assert_eq!(schedule.due(start, &config, &so_far(2, 0)), Due::Wait(start + MS(3000)));
        assert_eq!(schedule.due(start, &config, &so_far(2, 1)), Due::Wait(start + MS(800)));
        assert_eq!(schedule.due(start + MS(800), &config, &so_far(2, 1)), Due::End);
        assert_eq!(schedule.due(start, &config, &so_far(2, 2)), Due::End);
        let refused = Statistics { errors: 1, ..so_far(2, 1) };
        assert_eq!(schedule.due(start, &config, &refused), Due::End);
    }

    #[test]
    fn answers_that_come_late_do_not_widen_a_flood() {
        let (config, start) = (config(Some(100_000), MS(0)), Instant::now());
        let mut schedule = SendSchedule::new(start);
        let (mut sent, mut answered, mut now) = (0, 0, start);
        let mut most = 0;
        // Each answer takes five times as long as a flood waits.
        let mut due = std::collections::VecDeque::new();
        while now < start + MS(3000) {
            while due.front().is_some_and(|at| *at <= now) {
                due.pop_front();
                answered += 1;
            }
            if let Due::Send(count) = schedule.due(now, &config, &so_far(sent, answered)) {
                sent += count;
                due.extend((0..count).map(|_| now + STALL * 5));
                schedule.sent(now, &config);
            }
            most = most.max(sent - answered);
            now += MS(1);
        }
        assert!(answered > 1000 && most <= 2 * WINDOW, "{answered} answered, {most} under way");
    }

    #[test]
    fn with_a_deadline_answers_are_counted() {
        let config = EchoConfig { deadline: Some(MS(5000)), ..config(Some(2), MS(1000)) };
        let start = Instant::now();
        let mut schedule = SendSchedule::new(start);
        schedule.sent(start, &config);
        assert_eq!(schedule.due(start + MS(1000), &config, &so_far(2, 1)), Due::Send(1));
        assert_eq!(schedule.due(start + MS(1000), &config, &so_far(3, 2)), Due::End);
        assert_eq!(schedule.due(start + MS(5000), &config, &so_far(3, 1)), Due::End);
        let refused = Statistics { errors: 1, ..so_far(1, 0) };
        assert_eq!(schedule.due(start, &config, &refused), Due::End);
    }

    #[test]
    fn a_flood_grows_with_its_answers_and_is_slow_when_nothing_comes() {
        let (config, start) = (config(Some(1000), MS(0)), Instant::now());
        let mut schedule = SendSchedule::new(start);
        assert_eq!(schedule.due(start, &config, &so_far(0, 0)), Due::Send(1));
        schedule.sent(start, &config);
        assert_eq!(schedule.due(start, &config, &so_far(1, 0)), Due::Wait(start + STALL));
        assert_eq!(schedule.due(start, &config, &so_far(1, 1)), Due::Send(2));
        assert_eq!(schedule.due(start, &config, &so_far(3, 3)), Due::Send(4));
        assert_eq!(schedule.due(start, &config, &so_far(200, 200)), Due::Send(WINDOW));
        assert_eq!(schedule.due(start, &config, &so_far(999, 999)), Due::Send(1));
        // All of a window is lost.
        let silence = so_far(200 + WINDOW, 200);
        assert_eq!(schedule.due(start, &config, &silence), Due::Wait(start + STALL));
        assert_eq!(schedule.due(start + STALL, &config, &silence), Due::Send(1));
        schedule.sent(start + STALL, &config);
        assert_eq!(
            schedule.due(start + STALL, &config, &so_far(201 + WINDOW, 200)),
            Due::Wait(start + STALL * 2)
        );
        assert_eq!(schedule.due(start + STALL, &config, &so_far(201 + WINDOW, 201)), Due::Send(2));
    }
}
