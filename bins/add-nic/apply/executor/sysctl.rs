//! Sets switches under /proc/sys/net, which are those of the namespace that the writer is in.

use std::fs::OpenOptions;
use std::io::{self, Write};

use common::failure::say;
use common::target::IfName;

use super::{Executor, StepError};
use crate::apply::{filter, sysctl};
use crate::model::change::ipv6_switch;
use crate::model::netns::Netns;
use crate::model::sysctl::{SwitchWitness, SysctlChange, SysctlKey, SysctlReading, is_same};
use crate::read::sockets::enter;
use crate::read::sysctl::read;
use crate::tool::TOOL;

impl Executor {
    pub(super) fn allow_ipv6(&mut self, netns: Netns, link: &IfName) -> Result<(), StepError> {
        self.set_ipv6_switch(netns, link, b"0\n")
    }

    pub(super) fn forbid_ipv6(&mut self, netns: Netns, link: &IfName) -> Result<(), StepError> {
        self.set_ipv6_switch(netns, link, b"1\n")
    }

    fn set_ipv6_switch(&mut self, netns: Netns, link: &IfName, value: &[u8]) -> Result<(), StepError> {
        let file = ipv6_switch(link.as_str());
        let write = || OpenOptions::new().write(true).open(&file).and_then(|mut file| file.write_all(value));
        self.there(netns, write)?.map_err(|source| StepError::Sysctl { file: file.clone(), source })
    }

    pub(super) fn set_sysctl(&mut self, sysctl: &SysctlChange) -> Result<(), StepError> {
        let done = self.there(sysctl.netns, || sysctl::write(&sysctl.key, &sysctl.value))?;
        let as_error = |source| StepError::Sysctl { file: sysctl.key.to_string(), source };
        done.map_err(as_error)?;
        if sysctl.netns == Netns::Host && sysctl.key.is_forwarding() {
            let witness = SwitchWitness {
                written: sysctl::written(&sysctl.key).map_err(as_error)?,
                chains: filter::chains_of_others()?,
            };
            self.witnesses.push((sysctl.key.clone(), witness));
        }
        Ok(())
    }

    pub(super) fn reset_sysctl(&mut self, sysctl: &SysctlChange) -> Result<(), StepError> {
        if let Some(why) = doubt(sysctl) {
            let SysctlChange { key, value, .. } = sysctl;
            say(TOOL, format_args!("{key} stays {value}: {why}"));
            return Err(StepError::NothingToUndo);
        }
        let Some(key) = self.key_now(sysctl.netns, &sysctl.key)? else {
            return Err(StepError::NothingToUndo);
        };
        let mut along = Vec::new();
        for (key, value) in &sysctl.along {
            along.extend(self.key_now(sysctl.netns, key)?.map(|key| (key, value.clone())));
        }
        let sysctl = SysctlChange { key, along, ..sysctl.clone() };
        let done = self.there(sysctl.netns, || sysctl::reset(&sysctl))?;
        let is_reset = done.map_err(|source| StepError::Sysctl { file: sysctl.key.to_string(), source })?;
        if is_reset { Ok(()) } else { Err(StepError::NothingToUndo) }
    }

    /// The key, if its link has another name by now; `None` if that link is gone.
    fn key_now(&mut self, netns: Netns, key: &SysctlKey) -> Result<Option<SysctlKey>, StepError> {
        let Some(name) = key.link() else { return Ok(Some(key.clone())) };
        let Ok(name) = name.parse::<IfName>() else { return Ok(None) };
        match self.link(netns, &name) {
            Ok(Some(link)) => Ok(link.name.to_str().map(|name| key.with_link(name))),
            Ok(None) => Ok(None),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does it in that netns.
    fn there<T>(
        &self,
        netns: Netns,
        what: impl FnOnce() -> io::Result<T>,
    ) -> Result<io::Result<T>, StepError> {
        match (netns, self.sockets.namespace(netns)) {
            (Netns::Host, _) => Ok(what()),
            (_, Some(namespace)) => enter(&self.sockets.home, namespace, what)
                .map_err(|failure| StepError::Entering(Box::new(failure))),
            // With a namespace its settings go.
            (_, None) => Err(StepError::gone("setting")),
        }
    }
}

/// Why another program may need a switch as it is. What cannot be found out is a reason too.
fn doubt(sysctl: &SysctlChange) -> Option<&'static str> {
    let witness = sysctl.witness.as_ref()?;
    if !matches!(read(&sysctl.key), SysctlReading::Is(now) if is_same(&now, &sysctl.value)) {
        return None;
    }
    if sysctl::written(&sysctl.key).ok() != Some(witness.written) {
        return Some("another program or a user may have set it too");
    }
    match filter::chains_of_others() {
        Ok(chains) if chains.iter().all(|chain| witness.chains.contains(chain)) => None,
        Ok(_) => Some("another program has firewall rules that it had not before"),
        Err(_) => Some("whether another program needs it could not be read"),
    }
}
