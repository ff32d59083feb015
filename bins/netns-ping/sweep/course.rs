//! One of the ways that a sweep goes: the addresses that are asked for through one socket, ARP and neighbour discovery on a
//! link, ICMP echo beyond.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::ask::AskSocket;
use common::packet::icmp::{Complaint, EchoSocket, Family, Told, says, since_1970};
use nix::errno::Errno;

use super::addresses::Addresses;
use super::found::{Claim, Found, Is};
use super::pace::{BURST, Pace};
use super::round::{Micros, Next, Round};
use crate::neighbourhood::Neighbourhood;

/// How questions are put.
#[derive(Debug)]
pub enum Voice {
    /// To everybody on a link; and which addresses the last questions were for, counted from which on.
    Ask { socket: AskSocket, hood: Neighbourhood, sent: VecDeque<u32>, first: u32 },
    /// To each address; and which ones the last questions were for.
    Echo { socket: EchoSocket, sent: VecDeque<u32> },
}

impl Voice {
    /// On a link; nothing was sent yet, or it does not matter.
    pub fn ask(mut socket: AskSocket, hood: Neighbourhood) -> Self {
        socket.count_anew();
        Voice::Ask { socket, hood, sent: VecDeque::new(), first: 0 }
    }

    /// Beyond.
    pub fn echo(socket: EchoSocket) -> Self {
        Voice::Echo { socket, sent: VecDeque::new() }
    }
}

/// How a sweep goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Packets a second.
    pub rate: u32,
    /// How often who has not answered is asked.
    pub tries: u32,
    /// How long the last of them is waited for if nobody has answered at all.
    pub patience: Duration,
    /// How long at least if somebody has.
    pub least_silence: Duration,
}

/// An answer that is worth a word.
#[derive(Debug)]
pub struct News {
    pub address: IpAddr,
    pub claim: Claim,
    pub is: Is,
}

/// One way.
#[derive(Debug)]
pub struct Course {
    voice: Voice,
    addresses: Addresses,
    round: Round,
    pace: Pace,
    manner: Manner,
    /// Where microseconds are counted from.
    epoch: Duration,
    last_sent: Instant,
    last_heard: Option<Instant>,
    longest: Duration,
    /// Since when the kernel has had no room for a question.
    full_since: Option<Instant>,
    /// Why nothing is sent any more, if that is not because all is done.
    pub broken: Option<Failure>,
    pub packets_sent: u64,
}

/// Behind a question that nobody has answered yet, the next one comes after so long at least.
const LEAST_GAP: Duration = Duration::from_millis(10);
const MOST_GAP: Duration = Duration::from_millis(100);
/// Questions of which the kernel may still say when they left.
const UNDER_WAY: usize = 4096;
/// When the link's queue is full.
const QUEUE_FULL: Duration = Duration::from_millis(1);
/// Nothing leaves it any more, if it has been full for so long.
const QUEUE_STUCK: Duration = Duration::from_secs(2);

impl Course {
    pub fn new(voice: Voice, addresses: Addresses, manner: Manner) -> Self {
        let now = Instant::now();
        let size = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        Course {
            voice,
            addresses,
            round: Round::new(size, manner.tries),
            pace: Pace::new(manner.rate, now),
            manner,
            epoch: since_1970(),
            last_sent: now,
            last_heard: None,
            longest: Duration::ZERO,
            full_since: None,
            broken: None,
            packets_sent: 0,
        }
    }

    /// How many addresses there are.
    pub fn len(&self) -> u64 {
        self.addresses.len()
    }

    /// How many of them were never asked for.
    pub fn not_asked(&self) -> u64 {
        self.round.not_asked().into()
    }

    pub fn share_done(&self) -> f64 {
        self.round.share_done()
    }

    /// How long it takes if nobody answers.
    pub fn expected(&self) -> Duration {
        let packets = self.len() as f64 * f64::from(self.manner.tries);
        Duration::from_secs_f64(packets / f64::from(self.manner.rate)) + self.manner.patience
    }

    /// Answers that the kernel has thrown away.
    pub fn dropped(&mut self) -> u64 {
        match &mut self.voice {
            Voice::Ask { socket, .. } => socket.dropped(),
            Voice::Echo { socket, .. } => socket.dropped().into(),
        }
    }

    fn micros(&self, at: Duration) -> Micros {
        since(self.epoch, at)
    }

    /// How long who was asked is left alone.
    fn gap(&self) -> Duration {
        match self.last_heard {
            Some(_) => (self.longest * 4).clamp(LEAST_GAP, self.manner.patience.max(LEAST_GAP)),
            None => (self.manner.patience / self.manner.tries.max(1)).clamp(LEAST_GAP, MOST_GAP),
        }
    }

    /// Sends what there is leave for. When there is more to do, or that all is over.
    pub fn go_on(&mut self, now: Instant) -> Option<Instant> {
        loop {
            if self.broken.is_some() {
                return None;
            }
            let leave = self.pace.leave(now);
            if leave == 0 {
                return Some(self.pace.next());
            }
            let at = self.micros(since_1970());
            match self.round.next(leave.min(BURST as usize), at, self.gap()) {
                Next::Ask(numbers) => match self.send(&numbers) {
                    Ok(0) => {
                        if self.full_since.get_or_insert(now).elapsed()
                            > self.manner.patience.max(QUEUE_STUCK)
                        {
                            self.broken = Some(self.stuck());
                        }
                        return Some(now + QUEUE_FULL);
                    }
                    Ok(count) => {
                        self.full_since = None;
                        self.pace.sent(count);
                        self.packets_sent += count as u64;
                        self.last_sent = Instant::now();
                    }
                    Err(failure) => self.broken = Some(failure),
                },
                Next::Wait(left) => return Some(now + left),
                Next::Nothing if self.packets_sent == 0 => return None,
                Next::Nothing => return Some(self.silent_at()).filter(|at| *at > now),
            }
        }
    }

    /// When nothing more is to be expected: when the silence is long compared with the round trips that were seen.
    fn silent_at(&self) -> Instant {
        let Manner { patience, least_silence, .. } = self.manner;
        match self.last_heard {
            None => self.last_sent + patience,
            Some(heard) => {
                let silence = (self.longest * 10).max(least_silence).min(patience);
                (heard.max(self.last_sent) + silence).min(self.last_sent + patience)
            }
        }
    }

    fn stuck(&self) -> Failure {
        let what = "nothing can be sent: the queue of the interface stays full";
        match &self.voice {
            Voice::Ask { hood, .. } => Failure::trouble(&hood.link, what),
            Voice::Echo { .. } => Failure::trouble("DEST", what),
        }
    }

    /// Asks for these; how many of them were.
    fn send(&mut self, numbers: &[u32]) -> Result<usize, Failure> {
        let before = since_1970();
        let count = match &mut self.voice {
            Voice::Ask { socket, hood, sent, first } => {
                let frames: Vec<Vec<u8>> = numbers
                    .iter()
                    .filter_map(|number| Some(hood.asker.question(self.addresses.get(*number)?)))
                    .collect();
                let count = match socket.send(frames.iter().map(Vec::as_slice)) {
                    Ok(count) => count,
                    Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => 0,
                    Err(errno) => return Err(not_asked(hood, errno)),
                };
                sent.extend(&numbers[..count]);
                if count < numbers.len() {
                    socket.count_anew();
                    (*first, *sent) = (0, VecDeque::new());
                }
                count
            }
            Voice::Echo { socket, sent } => {
                let Some((number, address)) =
                    numbers.first().and_then(|number| Some((*number, self.addresses.get(*number)?)))
                else {
                    return Ok(0);
                };
                sent.push_back(number);
                match socket.send(SocketAddr::new(address, 0), number as u16, 1) {
                    Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => 0,
                    // It counts as sent, and lost: others may have another way.
                    Ok(_) | Err(_) => 1,
                }
            }
        };
        // Until the kernel says when each left: one call sends many, evenly in its time.
        let took = since_1970().saturating_sub(before);
        for (nth, number) in (0..).zip(&numbers[..count]) {
            let left_at = self.micros(before + took * nth / u32::try_from(count).unwrap_or(1).max(1));
            self.round.asked(*number, left_at);
        }
        Ok(count)
    }

    /// Reads all that has come. Of a link that is down or gone nothing comes any more; what is sent next says so.
    pub fn receive(&mut self, found: &mut Found) -> Vec<News> {
        let mut heard = Vec::new();
        match &mut self.voice {
            // When questions left is read behind the answers, and not before: those that are answered have left by then.
            Voice::Ask { socket, sent, first, .. } => {
                let _ = socket.receive(|one| match one.answer {
                    Ok(answer) => heard.push((answer.address, None, Some(answer), one.at)),
                    Err(oddity) => found.odd(oddity),
                });
                let (round, epoch) = (&mut self.round, self.epoch);
                socket.sent_at(|question, at| {
                    if let Some(number) = sent.get(question.wrapping_sub(*first) as usize) {
                        round.left(*number, since(epoch, at));
                    }
                });
                let old = sent.len().saturating_sub(UNDER_WAY);
                sent.drain(..old);
                *first = first.wrapping_add(old as u32);
            }
            Voice::Echo { socket, sent } => {
                let _ = socket.receive(|one| match one.answer {
                    Ok(answer) => heard.push((one.from, Some(answer.sequence), None, one.at)),
                    Err(_) => found.strays += 1,
                });
                let (round, epoch) = (&mut self.round, self.epoch);
                socket.told(|told| match told {
                    Told::Stamp { sequence, at, .. } => {
                        let number = sent.iter().rev().find(|number| **number as u16 == sequence);
                        number.into_iter().for_each(|number| round.left(*number, since(epoch, at)));
                    }
                    Told::Complaint { what, .. } => found.complaint(in_words(&what)),
                    Told::Foreign => {}
                });
                sent.drain(..sent.len().saturating_sub(UNDER_WAY));
            }
        }
        let mut news = Vec::new();
        for (address, sequence, answer, at) in heard {
            let Some(took) = self.answered(address, sequence, at) else {
                found.strays += 1;
                continue;
            };
            let claim = Claim { answer, took: Some(took) };
            let is = found.heard(address, claim.clone());
            if is != Is::Known {
                news.push(News { address, claim, is });
            }
        }
        news
    }

    /// How long it took; `None` for what answers no question.
    fn answered(&mut self, address: IpAddr, sequence: Option<u16>, at: Option<Duration>) -> Option<Duration> {
        let number = self.addresses.number_of(address)?;
        if sequence.is_some_and(|sequence| sequence != number as u16) {
            return None;
        }
        let at = self.micros(at.unwrap_or_else(since_1970));
        let took = self.round.answered(number, at)?;
        self.longest = self.longest.max(took);
        self.last_heard = Some(Instant::now());
        Some(took)
    }
}

fn since(epoch: Duration, at: Duration) -> Micros {
    at.saturating_sub(epoch).as_micros() as Micros
}

/// What a router says, or our own kernel.
fn in_words(what: &Complaint) -> String {
    match what.by {
        Some(by) => format!("{by} reports: {}", says(Family::of(by), what.kind, what.code, what.info)),
        None => std::io::Error::from_raw_os_error(what.errno).to_string(),
    }
}

impl AsFd for Course {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.voice {
            Voice::Ask { socket, .. } => socket.as_fd(),
            Voice::Echo { socket, .. } => socket.as_fd(),
        }
    }
}

fn not_asked(hood: &Neighbourhood, errno: Errno) -> Failure {
    let what = match errno {
        Errno::ENETDOWN => "the interface went down".to_owned(),
        Errno::ENXIO | Errno::ENODEV => "the interface no longer exists".to_owned(),
        errno => format!("cannot send requests there: {}", std::io::Error::from(errno)),
    };
    Failure::trouble(&hood.link, what)
}
