//! Which address is asked for next: all of them once, then those that have not answered again, each some time after it was
//! asked for before. Pure. An address takes five bytes.

use std::time::Duration;

/// Microseconds since the scan began; they wrap after an hour, so only differences count.
pub type Micros = u32;

/// The probes of a scan.
#[derive(Debug, Clone)]
pub struct RetrySchedule {
    size: u32,
    tries: u32,
    /// How often all were asked for, and how far it is this time.
    done: u32,
    at: u32,
    /// When each was asked for last.
    asked_at: Vec<Micros>,
    answered: Vec<u64>,
}

/// What is to be sent next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextProbes {
    /// These.
    Send(Vec<u32>),
    /// Nothing until this time has passed.
    Wait(Duration),
    /// Nothing any more.
    Nothing,
}

impl RetrySchedule {
    /// `size` addresses, `tries` times.
    pub fn new(size: u32, tries: u32) -> Self {
        let answered = vec![0; (size as usize).div_ceil(64)];
        RetrySchedule { size, tries, done: 0, at: 0, asked_at: Vec::new(), answered }
    }

    /// Up to `most` that are next. An address that was asked for before is left alone for the time of `gap`, in which it may answer.
    pub fn next(&mut self, most: usize, now: Micros, gap: Duration) -> NextProbes {
        loop {
            if self.done == self.tries {
                return NextProbes::Nothing;
            }
            let mut next = Vec::new();
            let mut wait = None;
            while self.at < self.size && self.has_answered(self.at) && self.done > 0 {
                self.at += 1;
            }
            for number in self.at..self.size {
                if next.len() == most {
                    break;
                }
                if self.done > 0 {
                    if self.has_answered(number) {
                        continue;
                    }
                    let since = now.wrapping_sub(self.asked_at.get(number as usize).copied().unwrap_or(now));
                    let left = gap.saturating_sub(Duration::from_micros(since.into()));
                    if !left.is_zero() {
                        wait = Some(left);
                        break;
                    }
                }
                next.push(number);
            }
            match (next.is_empty(), wait) {
                (false, _) => return NextProbes::Send(next),
                (true, Some(left)) => return NextProbes::Wait(left),
                (true, None) if self.at < self.size => return NextProbes::Wait(Duration::ZERO),
                (true, None) => (self.done, self.at) = (self.done + 1, 0),
            }
        }
    }

    /// This one has been asked for.
    pub fn asked(&mut self, number: u32, at: Micros) {
        self.at = number + 1;
        match self.asked_at.get_mut(number as usize) {
            Some(before) => *before = at,
            None => self.asked_at.push(at),
        }
    }

    /// It is known better now when this one was asked for last.
    pub fn left(&mut self, number: u32, at: Micros) {
        if let Some(asked_at) = self.asked_at.get_mut(number as usize) {
            *asked_at = at;
        }
    }

    /// This one has answered: how long it took from when it was asked for last. `None` if it never was.
    pub fn answered(&mut self, number: u32, at: Micros) -> Option<Duration> {
        let asked_at = *self.asked_at.get(number as usize)?;
        if let Some(word) = self.answered.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
        let took = at.wrapping_sub(asked_at);
        // A clock that was set back gives no time rather than an hour.
        Some(Duration::from_micros(if took > u32::MAX / 2 { 0 } else { took.into() }))
    }

    fn has_answered(&self, number: u32) -> bool {
        self.answered.get(number as usize / 64).is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    /// How many were never asked for.
    pub fn not_asked(&self) -> u32 {
        self.size - self.asked_at.len() as u32
    }

    /// How much of it is done, 0 to 1.
    pub fn share_done(&self) -> f64 {
        let all = u64::from(self.size) * u64::from(self.tries);
        let done = u64::from(self.done) * u64::from(self.size) + u64::from(self.at);
        if all == 0 { 1.0 } else { done.min(all) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GAP: Duration = Duration::from_micros(1000);

    #[test]
    fn who_has_not_answered_is_asked_again_after_a_while() {
        let mut round = RetrySchedule::new(3, 2);
        assert_eq!(round.next(2, 0, GAP), NextProbes::Send(vec![0, 1]));
        round.asked(0, 0);
        round.asked(1, 10);
        assert_eq!(round.answered(0, 7), Some(Duration::from_micros(7)));
        assert_eq!(round.next(9, 20, GAP), NextProbes::Send(vec![2]));
        assert_eq!(round.not_asked(), 1);
        round.asked(2, 20);
        assert_eq!(round.not_asked(), 0);
        assert_eq!(round.answered(1, 5), Some(Duration::ZERO), "the clock was set back");
        assert_eq!(round.next(9, 320, GAP), NextProbes::Wait(Duration::from_micros(700)));
        assert_eq!(round.next(9, 1020, GAP), NextProbes::Send(vec![2]));
        round.asked(2, 1020);
        assert_eq!(round.next(9, 1020, GAP), NextProbes::Nothing);
        assert_eq!(round.answered(7, 0), None, "nobody asked");
    }

    proptest! {
        #[test]
        fn each_is_asked_for_as_often_as_it_has_to_be(size in 0_u32..300, tries in 1_u32..4, most in 1_usize..70, silent: u64) {
            let mut round = RetrySchedule::new(size, tries);
            let (mut counts, mut now) = (vec![0; size as usize], 0_u32);
            loop {
                match round.next(most, now, GAP) {
                    NextProbes::Send(numbers) => for number in numbers {
                        counts[number as usize] += 1;
                        round.asked(number, now);
                        if silent >> (number % 64) & 1 == 0 {
                            round.answered(number, now);
                        }
                    },
                    NextProbes::Wait(left) => now += u32::try_from(left.as_micros()).unwrap().max(1),
                    NextProbes::Nothing => break,
                }
            }
            for (number, count) in counts.into_iter().enumerate() {
                prop_assert_eq!(count, if silent >> (number % 64) & 1 == 0 { 1 } else { tries });
            }
        }
    }
}
