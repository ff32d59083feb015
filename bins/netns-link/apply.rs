//! Does what the plan says: makes links, and removes them.

use common::engine::Container;
use common::failure::Failure;
use common::namespace::Namespace;
use common::netns::{self, Entry, FoundThrough, NetnsError, Owner, Record, Registry};
use common::process::Process;
use common::target::LinkName;
use jiff::Timestamp;

use crate::links::beneath;
use crate::plan::Plan;

/// What there is to link, pinned.
#[derive(Debug)]
pub struct Wanted {
    pub netns: Namespace,
    pub container: Option<Container>,
    pub process: Option<FoundThrough>,
}

impl Wanted {
    /// What a record says of the process that the namespace was found through.
    pub fn through(process: &Process) -> Option<FoundThrough> {
        let start_time_ticks = process.start_time_ticks().ok()?;
        Some(FoundThrough { pid: process.pid().as_raw(), start_time_ticks })
    }

    fn record(&self) -> Record {
        let owner = |container: &Container| {
            let Container { engine, id, name, .. } = container;
            Owner { engine: *engine, id: id.clone(), name: name.clone() }
        };
        Record {
            made_by: concat!("netns-link ", env!("CARGO_PKG_VERSION")).to_owned(),
            since: Timestamp::now(),
            netns_inode: self.netns.identity().inode,
            netns_handle: self.netns.handle(),
            container: self.container.as_ref().map(owner),
            process: self.process,
        }
    }
}

/// Links `wanted` at `name`; with `force` in the place of a link of ours. Returns what it came to.
pub fn link(name: &LinkName, wanted: &Wanted, force: bool) -> Result<Plan, Failure> {
    let registry = Registry::open()?;
    let entry = registry.entry(name)?;
    let record = match entry {
        Entry::Bound(_) | Entry::Empty => beneath()?.record(name),
        _ => None,
    };
    let plan = Plan::make(name, wanted.netns.identity(), (entry, record.as_ref()), force)?;
    if plan == Plan::Relink {
        registry.unbind(name)?;
    }
    if plan != Plan::Nothing {
        registry.bind(name, &wanted.netns, &wanted.record())?;
    }
    Ok(plan)
}

/// Removes the link at `name`; with `force` also one that is not ours. Returns whether there was one.
pub fn unlink(name: &LinkName, force: bool) -> Result<bool, Failure> {
    // Nothing is made, not even the directory, in order to find nothing in it.
    if netns::entry(name)? == Entry::Free {
        return Ok(false);
    }
    let registry = Registry::open()?;
    if !force && beneath()?.record(name).is_none() && registry.entry(name)? != Entry::Free {
        return Err(Failure::trouble(netns::path(name).display(), "was not made by netns-link")
            .hint(format!("netns-link --rm --force {name}")));
    }
    Ok(registry.unbind(name)?)
}

/// A network namespace that nobody is in, bound at `name`.
pub fn make(name: &LinkName) -> Result<(), Failure> {
    let netns = netns::create()?;
    match link(name, &Wanted { netns, container: None, process: None }, false)? {
        Plan::Link => Ok(()),
        Plan::Relink | Plan::Nothing => {
            Err(NetnsError::Taken { name: name.clone(), what: "was there already" }.into())
        }
    }
}
