//! All parts of a scan at once.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::{Failure, say};
use common::probe::ProbeTask;

use super::progress::ProgressBar;
use super::report::Report;
use super::results::{ScanResults, ScanTotals};
use super::task::ScanTask;
use crate::network::holders::MacHolders;
use crate::tool::TOOL;

/// A scan while it goes on.
pub struct ScanRun<'a> {
    tasks: Vec<ScanTask>,
    results: ScanResults,
    report: Report<'a>,
    holders: &'a MacHolders,
    progress: ProgressBar,
}

impl<'a> ScanRun<'a> {
    pub fn new(
        tasks: Vec<ScanTask>,
        results: ScanResults,
        report: Report<'a>,
        holders: &'a MacHolders,
        quiet: bool,
    ) -> Self {
        let expected = tasks.iter().map(ScanTask::expected).max().unwrap_or_default();
        ScanRun { tasks, results, report, holders, progress: ProgressBar::new(expected, quiet) }
    }

    fn share_done(&self) -> f64 {
        let all: u64 = self.tasks.iter().map(ScanTask::len).sum();
        let done: f64 = self.tasks.iter().map(|task| task.share_done() * task.len() as f64).sum();
        if all == 0 { 1.0 } else { done / all as f64 }
    }

    fn how_it_goes(&self) -> String {
        let asked: u64 = self.tasks.iter().map(ScanTask::len).sum();
        format!("{} of {asked} answered", self.results.addresses.len())
    }

    /// Shows the results. Whether any address answered, and what kept parts of the scan from being done.
    pub fn end(
        mut self,
        (is_stopped, is_whole): (bool, bool),
        took: Duration,
    ) -> Result<(bool, Vec<Failure>), Failure> {
        self.progress.clear();
        let mut totals = ScanTotals { is_stopped, ..ScanTotals::default() };
        for task in &mut self.tasks {
            totals.asked += task.len();
            totals.not_asked += task.not_asked();
            totals.packets_sent += task.packets_sent;
            totals.dropped += task.dropped();
        }
        self.report.end(&totals, &self.results, took)?;
        let broken: Vec<Failure> = self.tasks.into_iter().filter_map(|task| task.broken).collect();
        let has_answers = !self.results.addresses.is_empty() || !self.results.conflicts.is_empty();
        self.report.verdict(&totals, &self.results, broken.is_empty() && is_whole)?;
        Ok((has_answers, broken))
    }
}

impl ProbeTask for ScanRun<'_> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let now = Instant::now();
        let next = self.tasks.iter_mut().filter_map(|task| task.advance(now)).min();
        // While the last answers may come is the time to find out which containers they are of.
        if !self.results.addresses.is_empty() && self.share_done() >= 1.0 {
            self.holders.load();
        }
        let Some(next) = next else { return Ok(None) };
        let (share, words) = (self.share_done(), self.how_it_goes());
        self.progress.show(now, share, words);
        Ok(Some(self.progress.next().map_or(next, |shown| shown.min(next))))
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        for at in ready {
            for reply in self.tasks[*at].receive(&mut self.results) {
                self.report.reply(&reply)?;
            }
        }
        Ok(())
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.tasks.iter().map(AsFd::as_fd).collect()
    }

    fn status(&self) {
        say(TOOL, self.how_it_goes());
    }
}
