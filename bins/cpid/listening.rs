//! `:8080` and `IP:PORT`: the process that listens there. Engines are asked only for the names in an error, and for JSON.

use common::cli::FindSession;
use common::failure::Failure;
use common::find::{FindError, VerifiedContainer, list_ours, owner};
use common::ports::{PortNames, PortOwner, PortsSnapshot, owner_of};
use common::target::SocketPlace;

use crate::request::Request;
use crate::tool::TOOL;
use crate::wait::Waiter;

/// The process that listens at `place`; waited for, if `waiter` does.
pub fn find(
    place: &SocketPlace,
    (request, session): (&Request, &FindSession),
    waiter: Option<&mut Waiter>,
) -> Result<PortOwner, Failure> {
    let names = |snapshot: &PortsSnapshot| {
        let listing = list_ours(&session.engines).unwrap_or_default();
        PortNames::of(&listing, snapshot)
    };
    let found = match waiter {
        // Nobody reads what stands below an error that passes.
        Some(waiter) => waiter.find_port(|| owner_of(place, |_| PortNames::default()))?,
        None => owner_of(place, names)?,
    };
    if request.find.verbose {
        let name = common::output::one_line(&found.name);
        common::failure::say(TOOL, format_args!("{place}: {name} listens there, {}", found.process));
    }
    Ok(found)
}

/// The container that the process is in, where JSON has to say so.
pub fn container(
    found: &PortOwner,
    (request, session): (&Request, &FindSession),
) -> Result<Option<VerifiedContainer>, Failure> {
    if !request.format.json {
        return Ok(None);
    }
    match owner(&found.process, request.engine, &session.engines) {
        Ok(known) => Ok(Some(known)),
        Err(FindError::InNone(_) | FindError::NoEngine { .. }) => Ok(None),
        // It is said, and the PID is right all the same.
        Err(error) => {
            common::failure::say(TOOL, error);
            Ok(None)
        }
    }
}
