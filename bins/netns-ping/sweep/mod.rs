//! Who is there, of many addresses: ARP and neighbour discovery on-link, ICMP beyond.
//!
//! For people there is one table at the end, sorted: a network is over before anybody could read a line of it. Programs get
//! each answer as it comes.

mod addresses;
mod course;
mod discover;
mod found;
mod pace;
mod plan;
mod progress;
mod report;
mod round;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::{Failure, Status};
use common::packet::ask::AskSocket;
use common::packet::icmp::{EchoSocket, Family, Options, Stage, TOKEN_BYTES};
use common::packet::random;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use crate::cli::Cli;
use crate::holder::Holders;
use crate::inside::Inside;
use crate::neighbourhood::{Neighbourhood, Scene};
use crate::resolve::{self, Sight};
use crate::signals::{Signals, Wish};
use crate::wanted::From;
use addresses::{Addresses, Block};
use course::{Course, Manner, Voice};
use found::Found;
use plan::Lot;
use progress::Progress;
use report::Report;

/// As arp-scan(1) has it: what is lost once seldom is twice.
const TRIES: u32 = 2;
const RATE_ON_LINK: u32 = 10_000;
const RATE_BEYOND: u32 = 500;

fn on_link(cli: &Cli) -> Manner {
    manner(cli, RATE_ON_LINK, Duration::from_millis(500), Duration::from_millis(20))
}

fn beyond(cli: &Cli) -> Manner {
    manner(cli, RATE_BEYOND, Duration::from_secs(1), Duration::from_millis(200))
}

fn manner(cli: &Cli, rate: u32, patience: Duration, least_silence: Duration) -> Manner {
    Manner {
        rate: cli.rate.unwrap_or(rate),
        tries: cli.count.map_or(TRIES, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        patience: cli.timeout().unwrap_or(patience),
        least_silence,
    }
}

/// Asks all of them.
pub fn sweep(from: &From, cli: &Cli) -> Result<Status, Failure> {
    let began = Instant::now();
    let inside = Inside::find(&from.target, cli)?;
    let holders = Holders::new(inside.netns.identity(), cli.find.engine_timeout);
    if !inside.is_open_to_us() {
        holders.look();
    }
    let (resolved, sight) = resolve::all(&from.dests, &inside, cli)?;
    let scene = Scene::take(&inside)?;
    let (mut lots, mut troubles, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let routes = sight.routes()?;
    for (dest, resolved) in from.dests.iter().zip(resolved) {
        let block = match (dest.is_many(), &resolved) {
            (false, Err(why)) => Err(why.clone()),
            _ => Ok(plan::block(dest, resolved.as_ref().ok())),
        };
        let Some(block) = block? else { continue };
        blocks.push((block, dest.to_string()));
        let sorted = plan::lots(dest, block, &routes, (&scene, &sight), cli)?;
        lots.extend(sorted.lots);
        troubles.extend(sorted.troubles);
    }
    // Of each piece that nothing leads to there is a word; where there is nothing else, that is all.
    if lots.is_empty() {
        return Err(troubles.into_iter().next().unwrap_or_else(|| only_own(&scene)));
    }
    let is_whole = troubles.is_empty();
    common::failure::report_all(crate::TOOL, troubles);
    let mut found = Found::default();
    let courses = courses(lots, (&inside, &scene, &sight), &holders, &mut found, cli)?;
    let signals = Signals::keep()?;
    let report = Report::new(&inside.name, blocks, &holders, cli);
    let mut run = Run { courses, found, report };
    let is_stopped = !run.go_to_the_end(began, (&signals, &holders), cli)?;
    let answered = !run.found.addresses.is_empty();
    let broken: Vec<Failure> = run.courses.iter_mut().filter_map(|course| course.broken.take()).collect();
    let status = match (broken.is_empty() && is_whole, answered) {
        (false, _) => Status::Trouble,
        (true, true) => Status::Yes,
        (true, false) => Status::No,
    };
    let sum = Sum { is_stopped, ..run.courses_in_sum() };
    run.report.end(&sum, &run.found, began.elapsed())?;
    common::failure::report_all(crate::TOOL, broken);
    Ok(status)
}

fn only_own(scene: &Scene) -> Failure {
    Failure::trouble("DEST", format_args!("has only addresses of {} itself", scene.name))
}

/// Opens a socket for each of the ways.
fn courses(
    lots: Vec<Lot>,
    (inside, scene, sight): (&Inside, &Scene, &Sight),
    holders: &Holders,
    found: &mut Found,
    cli: &Cli,
) -> Result<Vec<Course>, Failure> {
    let ident = u16::from_ne_bytes(random().map_err(|errno| Failure::trouble("random numbers", errno))?);
    let mut asked: Vec<((Family, Neighbourhood), Vec<Block>)> = Vec::new();
    let mut echoed: Vec<(Family, Vec<Block>)> = Vec::new();
    let mut courses = Vec::new();
    for lot in lots {
        match lot {
            Lot::Ask(hood, block) => add(&mut asked, (Family::of(block.first_address()), hood), block),
            Lot::Echo(block) => add(&mut echoed, Family::of(block.first_address()), block),
            Lot::AllNodes(hood, network) => {
                let ours = (hood.asker.mac, ident);
                let mut socket =
                    inside.open_to_ask(|| AskSocket::open(hood.index, Family::V6, ours, Stage::Scheduled))?;
                let manner = on_link(cli);
                let about = (scene, ident, manner.tries);
                let mut all = discover::candidates(&mut socket, (&hood, &network), about, found)?;
                all.extend(holders.addresses().filter(|address| network.contains(*address)));
                all.retain(|address| scene.own(*address).is_none());
                let blocks = all.into_iter().map(|address| Block::new(address, address)).collect();
                courses.push(Course::new(Voice::ask(socket, hood), Addresses::of(blocks), manner));
            }
        }
    }
    for ((family, hood), blocks) in asked {
        let ours = (hood.asker.mac, ident);
        let socket = inside.open_to_ask(|| AskSocket::open(hood.index, family, ours, Stage::Scheduled))?;
        courses.push(Course::new(Voice::ask(socket, hood), Addresses::of(blocks), on_link(cli)));
    }
    for (family, blocks) in echoed {
        let source = sight.origin.address.filter(|address| Family::of(*address) == family);
        let options = Options {
            link: sight.origin.link.as_ref().map(|(link, _)| link.clone()),
            source: source.map(|address| (address, 0)),
            batch: 64,
            ..Options::default()
        };
        let token = random::<TOKEN_BYTES>().map_err(|errno| Failure::trouble("random numbers", errno))?;
        let opened = inside.open(|| Ok::<_, Failure>(EchoSocket::open(family, ident, &token, &options)))?;
        let socket = opened.map_err(|error| Failure::trouble(&inside.name, error))?;
        courses.push(Course::new(Voice::echo(socket), Addresses::of(blocks), beyond(cli)));
    }
    Ok(courses)
}

/// What goes the same way goes together.
fn add<Way: PartialEq>(to: &mut Vec<(Way, Vec<Block>)>, way: Way, block: Block) {
    match to.iter_mut().find(|(known, _)| *known == way) {
        Some((_, blocks)) => blocks.push(block),
        None => to.push((way, vec![block])),
    }
}

/// All ways at once.
struct Run<'a> {
    courses: Vec<Course>,
    found: Found,
    report: Report<'a>,
}

/// What all ways have done.
#[derive(Debug, Default)]
pub struct Sum {
    /// How many addresses there are.
    pub asked: u64,
    /// How many of them nobody came to.
    pub not_asked: u64,
    /// Whether it was ended before its time, by a signal or a deadline.
    pub is_stopped: bool,
    pub packets_sent: u64,
    pub dropped: u64,
}

impl Run<'_> {
    /// False if a signal or the deadline ended it before.
    fn go_to_the_end(
        &mut self,
        began: Instant,
        (signals, holders): (&Signals, &Holders),
        cli: &Cli,
    ) -> Result<bool, Failure> {
        let expected = self.courses.iter().map(Course::expected).max().unwrap_or_default();
        let mut progress = Progress::new(expected, cli.quiet);
        let deadline = cli.deadline().map(|deadline| began + deadline);
        loop {
            for course in &mut self.courses {
                for news in course.receive(&mut self.found) {
                    self.report.news(&news)?;
                }
            }
            let now = Instant::now();
            let wakes: Vec<Option<Instant>> =
                self.courses.iter_mut().map(|course| course.go_on(now)).collect();
            // While the last answers may come is the time to find out whose they are.
            if !self.found.addresses.is_empty() && self.share_done() >= 1.0 {
                holders.look();
            }
            let Some(next) = wakes.into_iter().flatten().min() else { return Ok(true) };
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(false);
            }
            progress.show(now, self.share_done(), self.how_it_goes());
            let until = [Some(next), deadline, progress.next()].into_iter().flatten().min().unwrap_or(next);
            match self.wait(until, signals)? {
                Some(Wish::End) => return Ok(false),
                Some(Wish::Status) => common::failure::say(crate::TOOL, self.how_it_goes()),
                None => {}
            }
        }
    }

    fn share_done(&self) -> f64 {
        let all: u64 = self.courses.iter().map(Course::len).sum();
        let done: f64 = self.courses.iter().map(|course| course.share_done() * course.len() as f64).sum();
        if all == 0 { 1.0 } else { done / all as f64 }
    }

    fn how_it_goes(&self) -> String {
        let asked: u64 = self.courses.iter().map(Course::len).sum();
        format!("{} of {asked} answered", self.found.addresses.len())
    }

    fn wait(&self, until: Instant, signals: &Signals) -> Result<Option<Wish>, Failure> {
        let courses = self.courses.iter().map(|course| PollFd::new(course.as_fd(), PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> =
            courses.chain([PollFd::new(signals.as_fd(), PollFlags::POLLIN)]).collect();
        let left = until.saturating_duration_since(Instant::now());
        match ppoll(&mut fds, Some(left.into()), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(signals.wish()),
            Err(errno) => Err(Failure::trouble("poll", errno)),
        }
    }

    fn courses_in_sum(&mut self) -> Sum {
        let mut sum = Sum::default();
        for course in &mut self.courses {
            sum.asked += course.len();
            sum.not_asked += course.not_asked();
            sum.packets_sent += course.packets_sent;
            sum.dropped += course.dropped();
        }
        sum
    }
}
