//! Gives links addresses, and takes them away.

use common::netlink::NewAddress;

use super::{Executor, StepError};
use crate::model::change::AddressSpec;

impl Executor {
    pub(super) fn add_address(&mut self, spec: &AddressSpec) -> Result<(), StepError> {
        let address = self.address(spec)?;
        Ok(self.socket(spec.netns)?.add_address(&address)?)
    }

    pub(super) fn delete_address(&mut self, spec: &AddressSpec) -> Result<(), StepError> {
        let address = self.address(spec)?;
        Ok(self.socket(spec.netns)?.delete_address(&address)?)
    }

    fn address(&mut self, spec: &AddressSpec) -> Result<NewAddress, StepError> {
        let index = self.index(spec.netns, &spec.link)?;
        let usual = NewAddress::usual(index, spec.cidr, spec.peer);
        Ok(match &spec.given {
            Some(given) => NewAddress { given: given.clone(), ..usual },
            None => usual,
        })
    }
}
