//! Moves a NIC of the host's into the container, and gives it back.

use std::fs;

use common::netlink::{Link, NetlinkError};
use nix::errno::Errno;

use super::{Executor, StepError};
use crate::model::change::MovedNic;
use crate::model::netns::Netns;

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
        let inside = self.socket(Netns::Container)?;
        let found = inside.links()?.into_iter().find(|link| moved.looks_like(link));
        let index = found.ok_or_else(|| StepError::NoLink(moved.inside_name.clone()))?.index;
        if let Some(mac) = moved.inside_mac {
            inside.set_link_mac(index, mac)?;
        }
        if let Some(mtu_bytes) = moved.inside_mtu_bytes {
            inside.set_link_mtu(index, mtu_bytes)?;
        }
        self.known.insert((Netns::Container, moved.inside_name.clone()), index);
        Ok(())
    }

    /// From the container, or from where the kernel has left it; as far as it is there already, all is made as it was.
    pub(super) fn give_nic_back(&mut self, moved: &MovedNic) -> Result<(), StepError> {
        let here = self.sockets.host.links()?;
        let back = match here.into_iter().find(|link| moved.matches(link)) {
            Some(link) => Some(link),
            None => self.fetch(moved)?,
        };
        match back {
            Some(link) => self.restore(&link, moved),
            None if moved.ends_with_its_namespace() => Ok(()),
            None => Err(StepError::Explained {
                text: format!(
                    "{} is neither in the container nor on the host: the kernel has not returned it yet, or returned it to the initial network namespace",
                    moved.name
                ),
                errno: Errno::EAGAIN,
            }),
        }
    }

    /// Moves it here. A link that was passed off as it has come down and without addresses, and goes at once.
    fn fetch(&mut self, moved: &MovedNic) -> Result<Option<Link>, StepError> {
        let Some((inside, _)) = &mut self.sockets.inside else { return Ok(None) };
        let seeming: Vec<Link> = inside.links()?.into_iter().filter(|link| moved.looks_like(link)).collect();
        for link in seeming {
            let Some((inside, _)) = &mut self.sockets.inside else { return Ok(None) };
            inside.set_link_up(link.index, false)?;
            let home = self.sockets.home.namespace();
            inside.move_link(link.index, home, &moved.name).map_err(|error| name_taken(error, moved))?;
            match self.sockets.host.link_named(&moved.name)? {
                Some(back) if moved.matches(&back) => return Ok(Some(back)),
                Some(forged) if moved.looks_like(&forged) => self.sockets.host.delete_link(forged.index)?,
                _ => {}
            }
        }
        Ok(None)
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

fn name_taken(error: NetlinkError, moved: &MovedNic) -> StepError {
    match error {
        NetlinkError::Refused { errno: Errno::EEXIST, .. } => StepError::Explained {
            text: format!("the host has another interface named {}: rename it first", moved.name),
            errno: Errno::EBUSY,
        },
        error => error.into(),
    }
}
