//! Gives links addresses, and takes them away.

use common::netlink::NewAddress;

use super::{Executor, StepError};
use crate::model::change::AddressSpec;

impl Executor {
    pub(super) fn add_address(&mut self, held: &AddressSpec) -> Result<(), StepError> {
        let address = self.address(held)?;
        Ok(self.socket(held.place)?.add_address(&address)?)
    }

    pub(super) fn delete_address(&mut self, held: &AddressSpec) -> Result<(), StepError> {
        let address = self.address(held)?;
        Ok(self.socket(held.place)?.delete_address(&address)?)
    }

    fn address(&mut self, held: &AddressSpec) -> Result<NewAddress, StepError> {
        let index = self.index(held.place, &held.link)?;
        let usual = NewAddress::usual(index, held.cidr, held.peer);
        Ok(match &held.given {
            Some(given) => NewAddress { given: given.clone(), ..usual },
            None => usual,
        })
    }
}
