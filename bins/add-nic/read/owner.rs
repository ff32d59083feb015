//! The owner of a network, for messages: a container, a process, or a link that keeps a stale network.

use common::cli::FindConfig;
use common::find::{Purpose, find, owner};
use common::hint::Hint;
use common::map::MapEntry;
use common::netns::{self, RecordDir, RecordedContainer};
use common::target::{LinkName, Target};

/// Its description, and a hint if the network is stale.
#[derive(Debug)]
pub struct NetnsOwner {
    pub name: String,
    pub hint: Option<Hint>,
}

/// Describes the owner of the network at `entry`.
pub fn describe_owner(entry: &MapEntry, options: FindConfig) -> NetnsOwner {
    let plain = |name| NetnsOwner { name, hint: None };
    if let Some(process) = entry.tenant() {
        return plain(match owner(&process, None, &options.session().engines) {
            Ok(known) => known.container.full_name(),
            Err(_) => format!("pid {}", process.pid()),
        });
    }
    let Some(file) = entry.name() else { return plain(entry.to_string()) };
    let name = format!("the network namespace that {} keeps", file.display());
    let link = file.strip_prefix(netns::DIRECTORY).ok().and_then(|link| link.to_str()?.parse().ok());
    let Some(link): Option<LinkName> = link else { return plain(name) };
    let Some(owner) = owner_of(&link) else { return plain(name) };
    let had = &owner.name;
    match runs(&owner, options) {
        true => NetnsOwner {
            name: format!("{name}, from before {had} was restarted"),
            hint: common::hint!("netns-link --refresh"),
        },
        false => NetnsOwner {
            name: format!("{name}, of {had}, which no longer exists"),
            hint: common::hint!("netns-link --rm {}", link),
        },
    }
}

/// The container that a link was created for.
fn owner_of(link: &LinkName) -> Option<RecordedContainer> {
    let entry = netns::entry(link).ok()?;
    RecordDir::open().ok()?.record(link, entry)?.container
}

/// Whether the container runs, or another one with its name: then --refresh can repair the link.
fn runs(owner: &RecordedContainer, options: FindConfig) -> bool {
    let names = [&owner.id, &owner.name].into_iter().filter_map(|name| name.parse().ok());
    let mut targets = names.map(|name| Target::Container { engine: Some(owner.engine), within: None, name });
    let session = options.session();
    targets.any(|target| find(&target, Purpose::Look, &session.engines).is_ok())
}
