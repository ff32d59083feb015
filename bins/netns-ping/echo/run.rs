//! All destinations at once: what is due is sent, what comes is taken in, until each is over or somebody has enough.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::Failure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use super::course::Course;
use super::lines;
use super::manner::Manner;
use super::report::Report;
use crate::signals::{Signals, Wish};

/// In a flood signals are looked for, and dots shown, so often.
const OFTEN: Duration = Duration::from_millis(20);

/// Pings all of them to the end.
pub fn run(
    courses: &mut [Course],
    manner: &Manner,
    signals: &Signals,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let mut looked = Instant::now();
    loop {
        let mut wake: Option<Instant> = None;
        for course in courses.iter_mut() {
            if let Some(next) = course.advance(manner) {
                wake = Some(wake.map_or(next, |wake| wake.min(next)));
            }
            report.news(course)?;
        }
        let Some(wake) = wake else { break };
        let mut has_come = hear(courses, report)?;
        while !has_come && wait(courses, signals, wake)? {
            match signals.wish() {
                Some(Wish::End) => return end(courses, manner, report),
                Some(Wish::Status) => courses.iter().for_each(lines::status),
                None => {}
            }
            has_come = hear(courses, report)?;
        }
        // In a flood there is always something that has come, or to be sent, and nobody waits.
        let now = Instant::now();
        if now.saturating_duration_since(looked) >= OFTEN {
            looked = now;
            if let Some(Wish::End) = signals.wish() {
                return end(courses, manner, report);
            }
            report.catch_up()?;
        }
    }
    end(courses, manner, report)
}

fn hear(courses: &mut [Course], report: &mut Report<'_>) -> Result<bool, Failure> {
    let mut has_come = false;
    for course in courses.iter_mut() {
        let heard = course.hear();
        has_come |= heard.map_err(|errno| Failure::trouble(&course.to.name, errno.desc()))?;
        report.news(course)?;
    }
    Ok(has_come)
}

/// Sleeps until something comes, or until `wake`; whether something has come.
fn wait(courses: &[Course], signals: &Signals, wake: Instant) -> Result<bool, Failure> {
    let left = wake.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    fds.extend(courses.iter().map(|course| PollFd::new(course.as_fd(), PollFlags::POLLIN)));
    match ppoll(&mut fds, Some(left.into()), None) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(Failure::trouble("poll", errno.desc())),
    }
}

/// What is under way is lost.
fn end(courses: &mut [Course], manner: &Manner, report: &mut Report<'_>) -> Result<(), Failure> {
    for course in courses.iter_mut() {
        course.end(manner);
        report.news(course)?;
    }
    Ok(())
}
