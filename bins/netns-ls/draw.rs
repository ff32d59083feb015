//! The job that draws: a look at the host, what a picture says beside it, and the picture.

use std::fs;
use std::io::{self, Write};

use common::diagnose::host::Finding;
use common::failure::{Failure, Status};
use common::map::{MappedNetns, WantedDetails};
use common::namespace::NamespaceKind;
use common::output::one_line;
use common::packet::random;
use common::ports::PortLine;
use common::process::Process;
use common::sign::ARROW;
use jiff::Timestamp;
use nix::unistd::Pid;

use crate::look::{HostLook, look};
use crate::picture::{self, FindingBox, MapPage, MapPicture, PortBox};
use crate::ports;
use crate::request::{PictureFormat, Request};
use crate::stack::NetnsStack;
use crate::view::link_words::NOTHING;
use crate::view::stack::route_rows;
use crate::why::judged;

/// So many processes of a namespace are named in a page; the others are counted.
const MOST_PROCESSES: usize = 20;
/// RT_TABLE_LOCAL: the kernel's own routes to its own addresses.
const LOCAL: u32 = 255;

/// The picture on standard output.
pub fn draw(format: PictureFormat, request: &Request) -> Result<Status, Failure> {
    let session = request.find.session();
    let HostLook { map, status } = look(request, &session)?;
    let mut picture = picture::picture(&map);
    if let Some(own) = map.map.own() {
        say_way_out(&mut picture, own);
    }
    let text = match format {
        PictureFormat::Svg => picture::svg(&picture),
        PictureFormat::Dot => picture::dot(&picture),
        PictureFormat::Html => {
            map.map.namespaces.iter().for_each(|netns| add_facts(&mut picture, netns));
            ports::all(&session)?.iter().for_each(|line| add_port(&mut picture, line));
            let (found, not_read) = judged(&map, &session)?;
            not_read.iter().for_each(|what| picture.add_unseen(&one_line(what)));
            found.iter().for_each(|finding| add_finding(&mut picture, finding));
            page(&picture)?
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(status)
}

fn page(picture: &MapPicture) -> Result<String, Failure> {
    // Not from the environment or a file of a container's: it is of this host.
    let host_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let taken_at = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let nonce: [u8; 16] = random().map_err(|errno| Failure::failed("random bytes", errno))?;
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let host_name = one_line(host_name.trim_end()).into_owned();
    Ok(MapPage { host_name, taken_at, picture }.html(&nonce)?)
}

/// Says at the host's interfaces that the default routes lead there.
fn say_way_out(picture: &mut MapPicture, own: &MappedNetns) {
    let Some(host) = picture.netns_mut(own.inode) else { return };
    let Ok(Some(stack)) = NetnsStack::read(own, WantedDetails { routes: true, ..WantedDetails::default() })
    else {
        return;
    };
    for route in stack.details.routes.iter().flatten().filter(|route| route.destination.prefix_len() == 0) {
        let single = route.index.map(|index| (index, route.gateway));
        // RTN_UNICAST: the others lead nowhere.
        for (index, gateway) in
            single.into_iter().chain(route.hops.iter().map(|hop| (hop.index, hop.gateway)))
        {
            if route.kind == 1 && route.table == 254 {
                let via = gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
                host.add_way_out(index, &format!("default{via}"));
            }
        }
    }
}

/// What a page says of a namespace beside its interfaces.
fn add_facts(picture: &mut MapPicture, netns: &MappedNetns) {
    let Some(one) = picture.netns_mut(netns.inode) else { return };
    let mut processes: Vec<String> =
        netns.processes.iter().take(MOST_PROCESSES).map(|pid| process(*pid, netns.inode)).collect();
    if netns.processes.len() > MOST_PROCESSES {
        processes.push(format!("{} more", netns.processes.len() - MOST_PROCESSES));
    }
    let routes = match NetnsStack::read(netns, WantedDetails { routes: true, ..WantedDetails::default() }) {
        Ok(Some(stack)) => routes(&stack),
        Ok(None) => vec!["not read: the namespace has ended".to_owned()],
        Err(failure) => vec![one_line(&format!("not read: {failure}")).into_owned()],
    };
    for (name, words) in [("processes", processes), ("routes", routes)] {
        if !words.is_empty() {
            one.facts.insert(name, words);
        }
    }
}

fn add_finding(picture: &mut MapPicture, finding: &Finding) {
    let safe = |text: &str| one_line(text).into_owned();
    let shown = FindingBox {
        ifname: finding.ifname.as_deref().map(safe),
        text: safe(&finding.text),
        fix: finding.fix.iter().map(|command| safe(command)).collect(),
        advice: finding.advice.as_deref().map(safe),
    };
    picture.add_finding(finding.netns_inode, shown);
}

fn add_port(picture: &mut MapPicture, line: &PortLine) {
    let Some(one) = picture.netns_mut(line.netns_inode) else { return };
    let place = line.place();
    // For all addresses: the port alone is what people know.
    let short = place.strip_prefix("0.0.0.0:").or_else(|| place.strip_prefix("[::]:"));
    let to = line.leads_to().map(|to| format!("{} {to}", ARROW.utf8));
    let parts = [Some(place.clone()), to, Some(line.by()), Some(line.state.clone())];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    let text = one_line(&parts.collect::<Vec<_>>().join("  ")).into_owned();
    one.ports.push(PortBox { place: short.unwrap_or(&place).to_owned(), text });
}

/// A process with its program, while it is in that namespace.
fn process(pid: Pid, inode: u64) -> String {
    let command = Process::open(pid).ok().and_then(|process| {
        // Another process may have the PID by now.
        process.namespace_identity(NamespaceKind::Net).ok().filter(|now| now.inode == inode)?;
        process.read("comm").ok()
    });
    match command {
        Some(command) => {
            let command = String::from_utf8_lossy(&command);
            format!("{pid} {}", one_line(command.trim_end_matches('\n')))
        }
        None => pid.to_string(),
    }
}

/// Its routes as `ip route` has them: without the kernel's own, and without IPv6's to each link.
fn routes(stack: &NetnsStack<'_>) -> Vec<String> {
    let routes = stack.details.routes.iter().flatten().filter(|route| {
        let address = route.destination.address();
        let is_of_each_link = matches!(address, std::net::IpAddr::V6(address) if address.is_unicast_link_local() || address.is_multicast());
        route.table != LOCAL && !is_of_each_link
    });
    let line = |[destination, gateway, ifname, source, metric, table, _]: [String; 7]| {
        let parts =
            [("via", gateway), ("dev", ifname), ("src", source), ("metric", metric), ("table", table)];
        let said = parts.iter().filter(|(_, value)| ![NOTHING, "0", "main"].contains(&value.as_str()));
        let words = said.map(|(word, value)| format!(" {word} {value}")).collect::<String>();
        one_line(&(destination + &words)).into_owned()
    };
    routes.flat_map(|route| route_rows(stack, route).map(line).collect::<Vec<_>>()).collect()
}
