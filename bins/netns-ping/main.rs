//! netns-ping: asks from inside a container who answers: by ICMP echo, by ARP, a whole network, all containers.
#![forbid(unsafe_code)]

mod arp;
mod cli;
mod dest;
mod destination;
mod echo;
mod event;
mod holder;
mod inside;
mod matrix;
mod neighbourhood;
mod resolve;
mod signals;
mod sweep;
mod tool;
mod wanted;

use std::process::ExitCode;

use cli::Cli;
use common::cli::parse;
use common::failure::{self, Failure, Status};
use tool::TOOL;
use wanted::Job;

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse()?;
    match Job::of(&cli)? {
        Job::Echo(from) => echo::echo(&from, &cli),
        Job::Arp(arp, from) => arp::arp(arp, &from, &cli),
        Job::Sweep(from) => sweep::sweep(&from, &cli),
        Job::Matrix(pattern) => matrix::matrix(pattern.as_deref(), &cli),
    }
}
