//! Every running container to every other one on a network that both are on, and to its gateway: in one process, a socket
//! in each network.

mod network;
mod node;
mod report;
mod run;
mod table;

use std::time::{Duration, Instant};

use common::each::{self, Chosen, Pattern};
use common::failure::{self, Failure, Status};
use common::namespace::NamespaceKind;
use common::output::quotable;
use common::packet::icmp::TOKEN_BYTES;
use common::packet::random;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::TOOL;
use crate::cli::Cli;
use crate::inside::Inside;
use crate::signals::Signals;
use node::Node;
use run::{Manner, Run};

/// An answer from this host takes less than a millisecond; a neighbour that is asked for by ARP first, and again, a second.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 2;

/// Of all containers, or of those that `pattern` fits.
pub fn matrix(pattern: Option<&str>, cli: &Cli) -> Result<Status, Failure> {
    let began = Instant::now();
    let word = pattern.unwrap_or("*");
    let pattern: Pattern = word.parse().map_err(|error| Failure::trouble(quotable(word), error))?;
    let what = (TOOL, word, "shares its network namespace with");
    let (chosen, all_were_asked) = each::find(what, &pattern, &cli.find, |_, process| {
        Some(vec![process.namespace_identity(NamespaceKind::Net).ok()?])
    })?;
    // A handful of descriptors each, of which a process has 1,024 where nobody has said anything.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    // All are held before any is entered: from inside an ordinary user's container nothing of the host is within reach.
    let mut held: Vec<(Chosen, Inside)> = Vec::new();
    for one in chosen {
        match node::hold(&one) {
            Ok(inside) => held.push((one, inside)),
            // It has ended since it was listed: then it is none of those that run.
            Err(why) if why.status == Status::No => failure::report(TOOL, &why),
            Err(why) => return Err(why),
        }
    }
    let [a, b, token @ ..] =
        random::<{ TOKEN_BYTES + 2 }>().map_err(|errno| Failure::trouble("random numbers", errno))?;
    let ours = (u16::from_ne_bytes([a, b]), token);
    let wanted = |is_ipv4: bool| if is_ipv4 { !cli.ipv6 } else { !cli.ipv4 };
    let opened = held.into_iter().map(|(chosen, inside)| Node::open(chosen, &inside, ours, wanted));
    let mut nodes = opened.collect::<Result<Vec<Node>, Failure>>()?;
    let mut probes = run::probes(&nodes);
    let signals = Signals::keep()?;
    let tries = cli.count.map_or(TRIES, |count| u32::try_from(count).unwrap_or(u32::MAX));
    let patience = cli.timeout().unwrap_or(PATIENCE) / tries;
    let deadline = cli.deadline().map(|deadline| began + deadline);
    let mut run = Run::new(&mut nodes, &mut probes, Manner { tries, patience });
    let whole =
        run.go_to_the_end(
            deadline,
            &signals,
            |nodes, probe| {
                if cli.json { report::done(nodes, probe) } else { Ok(()) }
            },
        )?;
    let strays = run.strays;
    report::end(&nodes, &probes, strays, began.elapsed(), cli)?;
    Ok(match (probes.iter().any(report::is_lost), whole && all_were_asked) {
        (_, false) => Status::Trouble,
        (true, true) => Status::No,
        (false, true) => Status::Yes,
    })
}
