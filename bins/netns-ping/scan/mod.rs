//! Which of many addresses answer: ARP and neighbour discovery on-link, ICMP echo beyond.
//!
//! People get one table at the end, sorted: a scan is over before a line of it could be read. Programs get each answer
//! as it comes.

mod address_set;
mod discover;
mod plan;
mod progress;
mod rate;
mod report;
mod results;
mod run;
mod schedule;
mod socket;
mod task;

use std::net::IpAddr;
use std::time::Instant;

use common::failure::{Failure, Status, report_all};
use common::packet::icmp::{EchoOptions, EchoSocket, TOKEN_BYTES};
use common::packet::neighbour::{Listen, NeighbourSocket};
use common::packet::{IpFamily, TxStage, random};
use common::probe::{self, LoopEnd, ProbeSignals};

use crate::network::holders::MacHolders;
use crate::network::neighbours::{ContainerLinks, NeighbourLink};
use crate::network::netns::TargetNetns;
use crate::report::verdict as verdict_event;
use crate::request::{ProbeEndpoints, ScanRequest};
use crate::resolve::{self, ContainerRoutes};
use crate::tool::TOOL;
use address_set::{AddressSet, Block};
use plan::ScanGroup;
use report::Report;
use results::ScanResults;
use run::ScanRun;
use socket::ScanSocket;
use task::{OwnAddresses, ScanTask};

/// Asks for all of them.
pub fn scan(request: &ScanRequest) -> Result<Status, Failure> {
    let endpoints = &request.endpoints;
    let dests: Vec<String> = endpoints.dests.iter().map(ToString::to_string).collect();
    let result = ask_for_all(request, endpoints);
    verdict_event::of_failure(request.json, &endpoints.target.to_string(), [dests.join(" ")], result)
}

fn ask_for_all(request: &ScanRequest, endpoints: &ProbeEndpoints) -> Result<Status, Failure> {
    let began = Instant::now();
    let inside = TargetNetns::find(&endpoints.target, &endpoints.find)?;
    let holders = MacHolders::seen_from(&inside, &endpoints.find.engines);
    let (resolved, net) = resolve::all(endpoints, &inside)?;
    let links = ContainerLinks::take(&inside)?;
    let (mut groups, mut failures, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let routes = net.routes()?;
    for (dest, resolved) in endpoints.dests.iter().zip(resolved) {
        let block = match (dest.is_many(), &resolved) {
            (false, Err(why)) => Err(why.clone()),
            _ => Ok(plan::block(dest, resolved.as_ref().ok())),
        };
        let Some(block) = block? else { continue };
        blocks.push((block, dest.to_string()));
        let sorted = plan::groups(dest, block, &routes, (&links, &net), request.is_arp_only)?;
        groups.extend(sorted.groups);
        failures.extend(sorted.failures);
    }
    // Each part without a route is reported; where there is nothing else, that is all.
    if groups.is_empty() {
        return Err(failures.into_iter().next().unwrap_or_else(|| only_own(&links)));
    }
    let is_whole = failures.is_empty();
    report_all(TOOL, failures);
    let mut results = ScanResults::default();
    let scanned = blocks.iter().map(|(block, _)| *block).collect();
    let opener = Opener { inside: &inside, links: &links, net: &net, holders: &holders, scanned, request };
    let tasks = opener.tasks(groups, &mut results)?;
    let signals = ProbeSignals::block()?;
    let report = Report::new(&inside.name, blocks, &holders, request);
    let mut run = ScanRun::new(tasks, results, report, &holders, request.quiet);
    let deadline = endpoints.deadline.map(|deadline| began + deadline);
    let ended = probe::run(&mut run, &signals, deadline)?;
    let (has_answers, broken) = run.end((ended == LoopEnd::Stopped, is_whole), began.elapsed())?;
    let status = match (broken.is_empty() && is_whole, has_answers) {
        (false, _) => Status::Failed,
        (true, true) => Status::Yes,
        (true, false) => Status::No,
    };
    report_all(TOOL, broken);
    Ok(status)
}

fn only_own(links: &ContainerLinks) -> Failure {
    Failure::failed("DEST", format_args!("has only addresses of {} itself", links.name))
}

/// All that it takes to open a socket for each part.
struct Opener<'a> {
    inside: &'a TargetNetns,
    links: &'a ContainerLinks,
    net: &'a ContainerRoutes,
    holders: &'a MacHolders,
    /// All that was typed.
    scanned: Vec<Block>,
    request: &'a ScanRequest,
}

impl Opener<'_> {
    fn tasks(&self, groups: Vec<ScanGroup>, results: &mut ScanResults) -> Result<Vec<ScanTask>, Failure> {
        let ident = u16::from_ne_bytes(random().map_err(not_random)?);
        let mut asked: Vec<((IpFamily, NeighbourLink), Vec<Block>)> = Vec::new();
        let mut echoed: Vec<(IpFamily, Vec<Block>)> = Vec::new();
        let on_link = self.request.on_link;
        let mut tasks = Vec::new();
        for group in groups {
            match group {
                ScanGroup::Ask(via, block) => {
                    add(&mut asked, (IpFamily::of(block.first_address()), via), block);
                }
                ScanGroup::Echo(block) => add(&mut echoed, IpFamily::of(block.first_address()), block),
                ScanGroup::AllNodes(via, network) => {
                    let mut socket = self.ask_socket(&via, IpFamily::V6, ident)?;
                    let about = (self.links, ident, on_link.tries);
                    let mut all = discover::candidates(&mut socket, (&via, &network), about, results)?;
                    all.extend(self.holders.addresses().filter(|address| network.contains(*address)));
                    all.retain(|address| self.links.own(*address).is_none());
                    let blocks = all.into_iter().map(|address| Block::new(address, address)).collect();
                    let own = self.own(&via, IpFamily::V6);
                    let socket = ScanSocket::Ask(socket, via);
                    tasks.push(ScanTask::new(socket, AddressSet::of(blocks), own, on_link));
                }
            }
        }
        for ((family, via), blocks) in asked {
            let own = self.own(&via, family);
            let socket = ScanSocket::Ask(self.ask_socket(&via, family, ident)?, via);
            tasks.push(ScanTask::new(socket, AddressSet::of(blocks), own, on_link));
        }
        for (family, blocks) in echoed {
            let socket = ScanSocket::Echo(self.echo_socket(family, ident)?, 0);
            let own = OwnAddresses::default();
            tasks.push(ScanTask::new(socket, AddressSet::of(blocks), own, self.request.beyond));
        }
        Ok(tasks)
    }

    /// Its own addresses on that link, of those that are scanned.
    fn own(&self, via: &NeighbourLink, family: IpFamily) -> OwnAddresses {
        let own = self.links.addresses.iter().filter(|own| own.index == via.index).map(|own| own.address);
        let is_scanned = |address: &IpAddr| self.scanned.iter().any(|block| block.contains(*address));
        let addresses =
            own.filter(|address| IpFamily::of(*address) == family && is_scanned(address)).collect();
        OwnAddresses { addresses, macs: self.links.links.iter().filter_map(|link| link.mac).collect() }
    }

    fn ask_socket(
        &self,
        via: &NeighbourLink,
        family: IpFamily,
        ident: u16,
    ) -> Result<NeighbourSocket, Failure> {
        let listen = Listen::Answers { mac: via.sender.mac, ident, stage: TxStage::Scheduled };
        self.inside.open_to_ask(|| NeighbourSocket::open(via.index, family, listen))
    }

    fn echo_socket(&self, family: IpFamily, ident: u16) -> Result<EchoSocket, Failure> {
        let origin = &self.net.origin;
        let source = origin.address.filter(|address| IpFamily::of(*address) == family);
        let options = EchoOptions {
            link: origin.link.as_ref().map(|(link, _)| link.clone()),
            source: source.map(|address| (address, 0)),
            batch: 64,
            ..EchoOptions::default()
        };
        let token = random::<TOKEN_BYTES>().map_err(not_random)?;
        let open = || Ok::<_, Failure>(EchoSocket::open(family, ident, &token, &options));
        self.inside.open(open)?.map_err(|error| Failure::failed(&self.inside.name, error))
    }
}

fn not_random(errno: nix::errno::Errno) -> Failure {
    Failure::failed("random numbers", errno)
}

/// What goes the same way goes together.
fn add<Key: PartialEq>(to: &mut Vec<(Key, Vec<Block>)>, key: Key, block: Block) {
    match to.iter_mut().find(|(known, _)| *known == key) {
        Some((_, blocks)) => blocks.push(block),
        None => to.push((key, vec![block])),
    }
}
