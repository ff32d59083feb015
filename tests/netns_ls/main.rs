//! netns-ls, end to end.
//!
//! Observers: `ip -j -d`, `bridge -j`, `lsns`, tmux(1) for what does not fit a terminal, and the JSON Schema in `docs/`.

#![cfg(test)]

mod attached;
mod churn;
mod docker;
mod faults;
mod guide;
mod hostile;
mod json;
mod many;
mod scenes;
mod schema;
mod stack;
mod views;
mod watch;
mod why;
mod widths;
mod words;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::Missing;

/// A host with a bridge `br0` (198.18.0.1/24), and containers that are plugged into it: `eth0`, the host's end `veth-NAME`.
pub struct Bridged {
    /// The host.
    pub lab: Lab,
    /// In the order of their names as given.
    pub containers: Vec<Container>,
}

impl Bridged {
    /// With containers of these names.
    pub fn new(names: &[&str]) -> Result<Self, Missing> {
        let lab = Lab::new()?;
        lab.shell("ip link add br0 type bridge; ip address add 198.18.0.1/24 dev br0; ip link set br0 up")
            .run()
            .ok();
        let containers = names.iter().map(|name| lab.container(name, Options::only(&["net"])));
        let bridged = Bridged { containers: containers.collect(), lab };
        for (at, container) in bridged.containers.iter().enumerate() {
            bridged.plug(container, &format!("198.18.0.{}/24", at + 2));
        }
        for container in &bridged.containers {
            settle(&bridged.lab, "br0", &format!("veth-{}", container.name), container);
        }
        Ok(bridged)
    }

    /// Gives the container an `eth0` on the bridge.
    pub fn plug(&self, container: &Container, address: &str) {
        let (name, pid) = (&container.name, container.pid);
        self.lab
            .shell(&format!(
                "ip link add veth-{name} type veth peer name eth0 netns {pid}; ip link set veth-{name} master br0 up"
            ))
            .run()
            .ok();
        container.ip(&format!("address add {address} dev eth0"));
        container.ip("link set eth0 up");
    }
}

/// Waits until the container's `eth0`, the host's end of it and the bridge carry packets, and have the addresses that the kernel gives
/// them.
pub fn settle(lab: &Lab, bridge: &str, veth: &str, container: &Container) {
    let script = format!(
        "up() {{ ip -o link show $1 | grep -q 'state UP' && ip -o -6 address show dev $1 | grep -q fe80; }}
         for i in $(seq 200); do
             up {bridge} && up {veth} && nsenter -t {} -n ip -o -6 address show dev eth0 | grep -q fe80 && break
             sleep 0.05
         done",
        container.pid
    );
    lab.shell(&script).run().ok();
}
