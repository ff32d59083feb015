//! Moves a NIC of the host's into the container, and gives it back.

use std::fs;

use common::failure::Failure;
use common::map::{self, MapEntry};
use common::netlink::{Link, NetlinkError, Socket};
use common::typed::then_again;
use nix::errno::Errno;

use super::{Executor, StepError};
use crate::model::change::{MovedNic, NicIdentity};
use crate::model::netns::Netns;

/// Where an interface is that was moved into the container.
#[derive(Debug)]
enum NicLocation {
    /// On the host: given back already, or the kernel has returned it.
    Host(Link),
    /// In the container: these look like it, and one of them is it.
    Container(Vec<Link>),
    /// In another network namespace.
    Elsewhere(Box<Failure>),
    /// It was deleted.
    Gone,
}

impl Executor {
    pub(super) fn take_nic(&mut self, moved: &MovedNic) -> Result<(), StepError> {
        let Some((_, namespace)) = &self.sockets.inside else { return Err(StepError::gone("link")) };
        let host = &mut self.sockets.host;
        let found = host.link_named(&moved.name)?.filter(|link| moved.matches(link));
        let found = found.ok_or_else(|| StepError::NoLink(moved.name.clone()))?;
        host.move_link(found.index, namespace, &moved.inside_name).map_err(|error| match error {
            NetlinkError::Refused { errno: Errno::EINVAL, .. } => StepError::Explained {
                text: format!("the kernel does not allow {} to be moved", moved.name),
                errno: Errno::EINVAL,
            },
            error => error.into(),
        })?;
        // It arrives under this name. To ask its other end takes so long that the kernel notices that the link was down for a moment,
        // and then it carries nothing for up to a second (linkwatch in net/core/link_watch.c).
        let named = self.socket(Netns::Container)?.link_named(&moved.inside_name)?;
        let index = match named.filter(|link| moved.looks_like(link)) {
            Some(link) => Some(link.index),
            None => self.moved_index(moved)?,
        };
        let index = index.ok_or_else(|| StepError::NoLink(moved.inside_name.clone()))?;
        let inside = self.socket(Netns::Container)?;
        if let Some(mac) = moved.inside_mac {
            inside.set_link_mac(index, mac)?;
        }
        if let Some(mtu_bytes) = moved.inside_mtu_bytes {
            inside.set_link_mtu(index, mtu_bytes)?;
        }
        self.known.insert((Netns::Container, moved.inside_name.clone()), index);
        Ok(())
    }

    /// From the container, or from where the kernel has left it; as far as it is there already, all is made as it was. If it
    /// cannot be given back, no later step is done on a link of its name.
    pub(super) fn give_nic_back(&mut self, moved: &MovedNic) -> Result<(), StepError> {
        self.without.insert((Netns::Host, moved.name.clone()));
        self.refuse_taken_name(moved)?;
        let link = match self.whereabouts(moved)? {
            NicLocation::Host(link) => link,
            NicLocation::Container(seeming) => self.fetch(moved, seeming)?,
            NicLocation::Elsewhere(failure) => return Err(StepError::OutOfReach(failure)),
            NicLocation::Gone => return Err(StepError::NothingToUndo),
        };
        self.restore(&link, moved)?;
        self.without.remove(&(Netns::Host, moved.name.clone()));
        Ok(())
    }

    /// Its index in the container; `None` if it is not there.
    pub(super) fn moved_index(&mut self, moved: &MovedNic) -> Result<Option<u32>, StepError> {
        match self.whereabouts(moved)? {
            NicLocation::Container(seeming) => Ok(seeming.first().map(|link| link.index)),
            _ => Ok(None),
        }
    }

    /// Whether it could be given back now. Changes nothing.
    pub(super) fn can_give_back(&mut self, moved: &MovedNic) -> Result<(), StepError> {
        self.refuse_taken_name(moved)?;
        match self.whereabouts(moved)? {
            NicLocation::Elsewhere(failure) => Err(StepError::OutOfReach(failure)),
            NicLocation::Host(_) | NicLocation::Container(_) | NicLocation::Gone => Ok(()),
        }
    }

    /// The host may have given its name to another interface.
    fn refuse_taken_name(&mut self, moved: &MovedNic) -> Result<(), StepError> {
        let name = &moved.name;
        match self.sockets.host.link_named(name)? {
            Some(link) if !moved.matches(&link) => {
                let why =
                    Failure::failed(name, "the host has another interface of this name").hint(common::sentence!(
                        "give it another name, then repeat this command: ip link set {} down; ip link set {} name NEW",
                        name,
                        name
                    ));
                Err(StepError::OutOfReach(Box::new(why)))
            }
            _ => Ok(()),
        }
    }

    fn whereabouts(&mut self, moved: &MovedNic) -> Result<NicLocation, StepError> {
        if let Some(link) = self.sockets.host.links()?.into_iter().find(|link| moved.matches(link)) {
            return Ok(NicLocation::Host(link));
        }
        let mut seeming = match &mut self.sockets.inside {
            Some((inside, _)) => inside.links()?,
            None => vec![],
        };
        seeming.retain(|link| moved.looks_like(link));
        match moved.told_by {
            NicIdentity::OtherEnd { far_index: Some(far), netnsid, .. } => {
                self.other_end_says(moved, far, netnsid, seeming)
            }
            _ if !seeming.is_empty() => Ok(NicLocation::Container(seeming)),
            NicIdentity::OtherEnd { .. } => Ok(NicLocation::Gone),
            NicIdentity::PermanentMac(_) | NicIdentity::Hardware(_) => {
                let is_it = |link: &Link| moved.looks_like(link);
                let found = netns_where(|visit| {
                    let links = visit.socket.links()?;
                    Ok(links
                        .iter()
                        .find(|link| is_it(link))
                        .map(|link| link.name.to_string_lossy().into_owned()))
                })?;
                Ok(NicLocation::Elsewhere(Box::new(elsewhere(moved, found))))
            }
        }
    }

    /// Of a veth end its other end knows in which namespace it is, and under which index there; no container can change what it
    /// says.
    fn other_end_says(
        &mut self,
        moved: &MovedNic,
        far: u32,
        netnsid: Option<i32>,
        mut seeming: Vec<Link>,
    ) -> Result<NicLocation, StepError> {
        let Some((mut socket, end)) = self.other_end(far, netnsid)? else { return Ok(NicLocation::Gone) };
        let Some(index) = end.other_end() else { return Ok(NicLocation::Gone) };
        let socket = socket.as_mut().unwrap_or(&mut self.sockets.host);
        let inside = match &self.sockets.inside {
            Some((_, namespace)) => socket.nsid(namespace)?,
            None => None,
        };
        seeming.retain(|link| link.index == index);
        if end.link_netnsid.is_some() && end.link_netnsid == inside && !seeming.is_empty() {
            return Ok(NicLocation::Container(seeming));
        }
        let found = netns_where(|visit| {
            if end.link_netnsid.is_none_or(|id| id < 0) || socket.nsid(&visit.namespace)? != end.link_netnsid
            {
                return Ok(None);
            }
            Ok(visit.socket.link(index)?.map(|link| link.name.to_string_lossy().into_owned()))
        })?;
        Ok(NicLocation::Elsewhere(Box::new(elsewhere(moved, found))))
    }

    /// The other end, and a socket in its namespace if that is not the host's; `None` if it was deleted.
    fn other_end(
        &mut self,
        index: u32,
        netnsid: Option<i32>,
    ) -> Result<Option<(Option<Socket>, Link)>, StepError> {
        let host = &mut self.sockets.host;
        let is_veth = |link: &Link| link.is_veth();
        if netnsid.is_none() {
            return Ok(host.link(index)?.filter(is_veth).map(|link| (None, link)));
        }
        let found = map::walk(|mut visit| {
            if host.nsid(&visit.namespace)? != netnsid {
                return Ok(None);
            }
            Ok(visit.socket.link(index)?.filter(is_veth).map(|link| (Some(visit.socket), link)))
        });
        Ok(found.map_err(|error| StepError::OutOfReach(Box::new(error.into())))?.seen.into_iter().next())
    }

    /// Moves it here. A link that was passed off as it has come down and without addresses, and goes at once.
    fn fetch(&mut self, moved: &MovedNic, seeming: Vec<Link>) -> Result<Link, StepError> {
        for link in seeming {
            let Some((inside, _)) = &mut self.sockets.inside else { break };
            inside.set_link_up(link.index, false)?;
            let home = self.sockets.home.namespace();
            inside.move_link(link.index, home, &moved.name).map_err(|error| name_taken(error, moved))?;
            match self.sockets.host.link_named(&moved.name)? {
                Some(back) if moved.matches(&back) => return Ok(back),
                Some(forged) if moved.looks_like(&forged) => self.sockets.host.delete_link(forged.index)?,
                _ => {}
            }
        }
        Err(StepError::OutOfReach(Box::new(elsewhere(moved, None))))
    }

    fn restore(&mut self, link: &Link, moved: &MovedNic) -> Result<(), StepError> {
        let host = &mut self.sockets.host;
        let index = link.index;
        if link.name.to_str() != Some(moved.name.as_str()) {
            host.set_link_up(index, false)?;
            host.set_link_name(index, &moved.name).map_err(|error| name_taken(error, moved))?;
        }
        if link.mac != Some(moved.mac) {
            host.set_link_mac(index, moved.mac)?;
        }
        if link.mtu_bytes != moved.mtu_bytes {
            host.set_link_mtu(index, moved.mtu_bytes)?;
        }
        for (file, value) in &moved.switches {
            fs::write(file, value).map_err(|source| StepError::Sysctl { file: file.clone(), source })?;
        }
        if link.is_set_up() != moved.is_up {
            host.set_link_up(index, moved.is_up)?;
        }
        self.known.insert((Netns::Host, moved.name.clone()), index);
        Ok(())
    }
}

/// The first network namespace, other than our own, in which `look` finds something.
fn netns_where(
    mut look: impl FnMut(&mut map::Visit<'_>) -> Result<Option<String>, NetlinkError>,
) -> Result<Option<(MapEntry, String)>, StepError> {
    let walked = map::walk(|mut visit| {
        let found = if visit.is_own { None } else { look(&mut visit)? };
        Ok(found.map(|name| (visit.entry.clone(), name)))
    });
    Ok(walked.map_err(|error| StepError::OutOfReach(Box::new(error.into())))?.seen.into_iter().next())
}

/// It is still somewhere: where, and how to get it.
fn elsewhere(moved: &MovedNic, found: Option<(MapEntry, String)>) -> Failure {
    let name = &moved.name;
    let Some((entry, now)) = found else {
        return Failure::failed(
            name,
            "neither in the container nor on the host: the kernel has not returned it yet, or it is in a network namespace that has no \
             process and no name",
        );
    };
    let file = match (entry.name(), entry.pids.first()) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(pid)) => format!("/proc/{pid}/ns/net"),
        (None, None) => entry.to_string(),
    };
    let what = format_args!("was moved on from the container: it is {now} in {file} now");
    Failure::failed(name, what).hint(then_again(common::hint!(
        "nsenter --net={} ip link set {} netns $$",
        file,
        now
    )))
}

fn name_taken(error: NetlinkError, moved: &MovedNic) -> StepError {
    match error {
        NetlinkError::Refused { errno: Errno::EEXIST, .. } => StepError::Explained {
            text: format!("the host has another interface named {}: rename it first", moved.name),
            errno: Errno::EBUSY,
        },
        error => error.into(),
    }
}
