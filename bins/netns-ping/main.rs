//! netns-ping: pings from inside a container: by ICMP echo, by ARP, by a port, a whole network, all containers.
#![forbid(unsafe_code)]

mod arp;
mod cli;
mod echo;
mod evidence;
mod matrix;
mod network;
mod parse;
mod port;
mod report;
mod request;
mod resolve;
mod scan;
mod tool;

use std::process::ExitCode;

use cli::{Cli, STATUS_ONE};
use common::cli::parse_as_another;
use common::failure::{self, Failure, Status};
use request::Job;
use tool::{MANUAL, TOOL};

fn main() -> ExitCode {
    failure::exit(TOOL, run())
}

fn run() -> Result<Status, Failure> {
    let cli: Cli = parse_as_another(MANUAL, &STATUS_ONE)?;
    let job = match Job::of(&cli) {
        Ok(job) => job,
        Err(failure) => {
            let (target, dests) = cli.endpoints();
            return report::verdict::of_failure(cli.json, target, dests, Err(failure));
        }
    };
    match job {
        Job::Echo(request) => echo::echo(&request),
        Job::Arp(request) => arp::arp(&request),
        Job::Port(request) => port::port(&request),
        Job::Scan(request) => scan::scan(&request),
        Job::Matrix(request) => matrix::matrix(&request),
    }
}
