//! The end of the way: who takes the packet, and whether its answer has a source that the receiver knows the way to.

use std::collections::HashSet;
use std::net::IpAddr;

use common::diagnose::Cause;
use common::engine::{Container, ContainerState};
use common::firewall::FilterChain;
use common::hint;
use common::hint::Hint;
use common::netlink::ListeningSocket;
use common::output::one_line;
use common::ports::{SocketHolder, SocketHolders};
use common::target::Transport;

use super::packet::TrackedPacket;
use super::routes::network_of;
use super::walker::{StopReason, Walker};
use crate::model::{HopHook, ProbeProtocol, TraceVerdict};

impl Walker<'_> {
    /// Whether somebody in the namespace takes the packet; why not is noted.
    pub fn taken(&mut self, netns: u64) -> bool {
        match self.packet.protocol {
            ProbeProtocol::Echo => self.echoes(netns),
            ProbeProtocol::Tcp(_) => self.listens(netns, Transport::Tcp),
            ProbeProtocol::Udp(_) => self.listens(netns, Transport::Udp),
        }
    }

    fn echoes(&mut self, netns: u64) -> bool {
        let key =
            if self.packet.is_six() { "ipv6/icmp/echo_ignore_all" } else { "ipv4/icmp_echo_ignore_all" };
        if self.state.is_on(netns, key) != Some(true) {
            return true;
        }
        let dotted = format!("net.{}", key.replace('/', "."));
        let text = format!("{}: is set to ignore pings: {dotted}=1", self.who(netns));
        let value = format!("{dotted}=0");
        let reason = StopReason::new(Cause::EchoIgnored, TraceVerdict::Lost, text)
            .fixed_by(self.inside(netns, hint!("sysctl -w {}", value)));
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
        true
    }

    fn listens(&mut self, netns: u64, transport: Transport) -> bool {
        let Some(port) = self.packet.port else { return true };
        let Some(found) = self.state.listeners(netns, transport, port) else {
            self.doubt(format!("the sockets of {} could not be read", self.who(netns)));
            return true;
        };
        let address = self.packet.destination;
        let Some(socket) = found.iter().find(|socket| socket.has(address)) else {
            self.not_listening(netns, transport, port, &found);
            return false;
        };
        let holder = holder_of(socket);
        let proxy = holder.as_ref().and_then(|holder| holder.proxy);
        self.walk.proxy = proxy.map(|proxy| (proxy.container_address, proxy.container_port).into());
        if socket.is_queue_full() {
            self.full_backlog(netns, socket, holder.as_ref());
        } else if socket.is_buffer_full() {
            self.full_buffer(netns, socket, holder.as_ref());
        } else if let Some(paused) = self.paused(netns, holder.as_ref()).cloned() {
            self.is_paused(netns, &paused);
        } else if let Some(holder) = holder.filter(is_stopped) {
            self.frozen(netns, &holder);
        }
        true
    }

    /// The container that has the socket, if it is paused: several can share a network.
    fn paused(&self, netns: u64, holder: Option<&SocketHolder>) -> Option<&Container> {
        let containers = &self.state.map.netns(netns)?.containers;
        let group = holder.and_then(SocketHolder::process).and_then(|process| process.read("cgroup").ok());
        let group = String::from_utf8_lossy(group.as_deref().unwrap_or_default()).into_owned();
        let has_it = |container: &&Container| containers.len() == 1 || group.contains(&container.id);
        containers.iter().filter(|container| container.state == ContainerState::Paused).find(has_it)
    }

    fn is_paused(&mut self, netns: u64, container: &Container) {
        let who = one_line(&container.name).into_owned();
        let text = format!("{who}: is paused: its kernel takes what comes, and no program reads it");
        let reason = StopReason::new(Cause::Frozen, TraceVerdict::Lost, text)
            .fixed_by(container.unpause_hint())
            .or_advised(format!("have {who} go on"));
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }

    fn not_listening(&mut self, netns: u64, transport: Transport, port: u16, found: &[ListeningSocket]) {
        let (who, word) = (self.who(netns), transport.as_str());
        // A socket of IPv6 alone at the same port may be another program's.
        let to = self.packet.destination;
        let same_family: Vec<_> = found.iter().filter(|socket| socket.takes_family_of(to)).collect();
        let told = if same_family.is_empty() { found.iter().collect() } else { same_family };
        let mut addresses: Vec<IpAddr> = told.iter().map(|socket| socket.address.ip()).collect();
        addresses.dedup();
        let listed = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ");
        let (cause, text) = match () {
            () if addresses.is_empty() => {
                (Cause::NobodyListens, format!("{who}: nobody listens at {word} port {port}"))
            }
            () if addresses.iter().all(IpAddr::is_loopback) => (
                Cause::ListensOnLoopbackOnly,
                format!("{who}: listens at {word} port {port} on {listed} only"),
            ),
            () => (
                Cause::ListensElsewhere,
                format!("{who}: listens at {word} port {port} on {listed}, and not on {to}"),
            ),
        };
        let advice = match cause {
            Cause::NobodyListens => {
                format!("start the program in {who} that is to listen there, or use its port")
            }
            _ => format!("let the program in {who} listen on {to}"),
        };
        let reason = StopReason::new(cause, TraceVerdict::Refused, text).advised(advice);
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }

    fn full_backlog(&mut self, netns: u64, socket: &ListeningSocket, holder: Option<&SocketHolder>) {
        if let Some(holder) = holder.filter(|holder| is_stopped(holder)) {
            return self.frozen(netns, holder);
        }
        let text = format!(
            "{}: {} connections wait at port {} to be accepted, as many as may",
            self.who(netns),
            socket.queued,
            socket.address.port()
        );
        let program = holder.map_or_else(|| "the program".to_owned(), SocketHolder::shown);
        let reason = StopReason::new(Cause::BacklogFull, TraceVerdict::Lost, text)
            .advised(format!("{program} does not accept connections: look at what it does"));
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }

    fn full_buffer(&mut self, netns: u64, socket: &ListeningSocket, holder: Option<&SocketHolder>) {
        let text = format!(
            "{}: {} bytes wait at udp port {} to be read, and its buffer has {}",
            self.who(netns),
            socket.queued,
            socket.address.port(),
            socket.most_queued
        );
        let program = holder.map_or_else(|| "the program".to_owned(), SocketHolder::shown);
        let reason = StopReason::new(Cause::ReceiveBufferFull, TraceVerdict::Lost, text)
            .advised(format!("{program} does not read: look at what it does"));
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }

    /// Its kernel takes connections, and the program never sees them.
    fn frozen(&mut self, netns: u64, holder: &SocketHolder) {
        let text = format!("{}: {} is stopped, and reads nothing", self.who(netns), holder.shown());
        let pid = holder.pid;
        let reason =
            StopReason::new(Cause::Frozen, TraceVerdict::Lost, text).fixed_by(hint!("kill -CONT {}", pid));
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }

    /// A router on the way translates the source of others on that way, and not of this packet.
    pub fn not_masqueraded(&mut self) -> bool {
        for router in self.passed.clone() {
            let Some(flow) = self.tracked.iter().find(|flow| flow.netns == router.netns) else { continue };
            let is_translated = flow.before.source != flow.after.source;
            let (source, out) = (flow.before.source, self.link_name(router.out));
            let Ok(visited) = self.state.netns(router.netns) else { continue };
            let chains = &visited.filters().chains;
            if is_translated || !chains.iter().any(|chain| masquerades(chain, &out)) {
                continue;
            }
            let Some(network) = self.network_around(router.netns, source) else { continue };
            let text = format!(
                "{}: translates the source of other networks that leave by {}, and not of {network}: no route leads back",
                self.who(router.netns),
                self.shown(router.out)
            );
            let program = common::hint::Verbatim(if self.packet.is_six() { "ip6tables" } else { "iptables" });
            let name = self.pasted(router.out);
            let command = name.and_then(|name| {
                hint!("{} -t nat -A POSTROUTING -s {} -o {} -j MASQUERADE", program, network, name)
            });
            let reason = StopReason::new(Cause::NoMasquerade, TraceVerdict::Lost, text)
                .fixed_by(self.inside(router.netns, command));
            let place = self.place(router.netns, None, Some(HopHook::Postrouting));
            self.stop(place, reason);
            return true;
        }
        false
    }

    /// The sender takes the answer only if it comes from where the probe was sent to: one that goes past the router that has
    /// replaced the destination does not.
    pub fn recognised(&mut self, sender: u64) {
        let (asked, answers) = (self.probe.destination, self.packet.source);
        let is_from_port = self.packet.source_port == self.probe.protocol.port();
        if asked == answers && is_from_port {
            return;
        }
        let replaced = |flow: &&TrackedPacket| {
            (flow.before.destination, flow.before.port) != (flow.after.destination, flow.after.port)
        };
        let Some(flow) = self.tracked.iter().find(replaced).cloned() else {
            self.doubt(format!("the answer comes from {answers}, and {asked} was asked"));
            return;
        };
        let text = format!(
            "{}: leads {asked} to {}, whose answer goes past it to {}, which knows only {asked}",
            self.who(flow.netns),
            flow.after.destination,
            self.who(sender)
        );
        let reason = StopReason::new(Cause::NoMasquerade, TraceVerdict::Lost, text)
            .fixed_by(self.inside(flow.netns, self.hairpin_rule(&flow)));
        let place = self.place(flow.netns, None, Some(HopHook::Postrouting));
        self.stop(place, reason);
    }

    /// The rule that has the answers to what is led elsewhere come back the same way.
    fn hairpin_rule(&self, flow: &TrackedPacket) -> Option<Hint> {
        let network = self.network_around(flow.netns, flow.before.source)?;
        let program = common::hint::Verbatim(if self.packet.is_six() { "ip6tables" } else { "iptables" });
        let to = flow.after.destination;
        hint!("{} -t nat -A POSTROUTING -s {} -d {} -j MASQUERADE", program, network, to)
    }

    /// The network of one of a namespace's links that has the address in it.
    fn network_around(&self, netns: u64, address: IpAddr) -> Option<common::cidr::Cidr> {
        let links = &self.state.map.netns(netns)?.links;
        let mut networks = links.iter().flat_map(|link| &link.addresses).filter_map(network_of);
        networks.find(|network| network.contains(address))
    }
}

/// Whether a chain has a rule of iptables that translates the source of what leaves by the interface.
fn masquerades(chain: &FilterChain, out: &str) -> bool {
    chain.is_nat
        && chain.rules.iter().any(|rule| {
            let words = common::firewall::iptables_words(&rule.text);
            let has = |option: &str, value: &str| {
                words.windows(2).any(|pair| pair[0] == option && pair[1] == value)
            };
            has("-j", "MASQUERADE") && (has("-o", out) || !words.iter().any(|word| word == "-o"))
        })
}

fn holder_of(socket: &ListeningSocket) -> Option<SocketHolder> {
    if socket.inode == 0 {
        return None;
    }
    let holders = SocketHolders::look(&HashSet::from([socket.inode])).ok()?;
    holders.of(socket.inode).first().cloned()
}

/// Whether the process is stopped: state T in proc(5).
fn is_stopped(holder: &SocketHolder) -> bool {
    let stat = holder.process().and_then(|process| process.read("stat").ok()).unwrap_or_default();
    let behind_name = stat.iter().rposition(|byte| *byte == b')').map(|at| &stat[at + 1..]);
    behind_name.is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'T'))
}
