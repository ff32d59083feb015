//! Which sizes pass where small packets are answered and large ones are not: halving, with a packet for each step.

use std::time::{Duration, Instant};

use common::diagnose::SizeSearch;

use super::inspection::SMALL_BYTES;
use super::watch::Watch;

/// How long each is waited for: a few times as long as a small one takes, within these.
const WAITS: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(400));

/// The largest that passes and the smallest that does not, between a small packet and the one that was lost; `None` where
/// a size is answered now and then.
pub(super) fn search(watch: &mut Watch<'_>, lost_bytes: usize) -> Option<SizeSearch> {
    let around = if watch.to.address.is_ipv4() { 28 } else { 48 };
    let (mut passes, mut fails) = (SMALL_BYTES, lost_bytes);
    let began = Instant::now();
    if !answers(watch, passes)? {
        return None;
    }
    let took = began.elapsed() * 4;
    watch.wait = took.clamp(WAITS.0, WAITS.1);
    while fails - passes > 1 {
        let middle = passes + (fails - passes) / 2;
        match answers(watch, middle)? {
            true => passes = middle,
            false => fails = middle,
        }
    }
    // One that got lost by chance would have led astray.
    let is_sure = !answers(watch, fails)? && answers(watch, passes)?;
    is_sure.then_some(SizeSearch { passes: passes + around, fails: fails + around })
}

fn answers(watch: &mut Watch<'_>, bytes: usize) -> Option<bool> {
    let (watched, _) = watch.round(&[bytes]).ok()?;
    // What the kernel refuses to send (a path MTU that it has learned meanwhile) does not pass either.
    watched.first().map(|watched| watched.is_answered)
}
