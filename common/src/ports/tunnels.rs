//! UDP ports at which the kernel itself listens, for tunnels: no process has their sockets.

use std::collections::HashMap;

use crate::map::HostWalk;
use crate::netlink::{Link, NetlinkError, Socket};

/// The links for which the kernel listens at a port, as `vxlan vx0`.
pub(super) type TunnelPorts = HashMap<u16, String>;

/// Those of each network namespace, by its inode. What cannot be read is left out.
pub(super) fn tunnels(walk: &mut HostWalk) -> HashMap<u64, TunnelPorts> {
    let seen = walk.visit_again(
        |_| true,
        |entry, _| {
            let links = Socket::open()?.links()?;
            let ports = links.iter().filter_map(|link| Some((link.tunnel_port?, shown(link))));
            Ok::<_, NetlinkError>(Some((entry.identity.inode, ports.collect())))
        },
    );
    seen.into_iter().collect()
}

fn shown(link: &Link) -> String {
    format!("{} {}", link.kind.as_deref().unwrap_or("tunnel"), link.name.to_string_lossy())
}
