//! Decides what to do about one name, from what stands there, without touching anything.

use common::failure::Failure;
use common::find::Found;
use common::namespace::Identity;
use common::netns::{Entry, NetnsError};
use common::target::{LinkName, Target};

/// What will be done about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Bind the namespace there.
    Link,
    /// It is there already.
    Nothing,
}

impl Plan {
    /// The plan for linking `namespace` at `name`, where `entry` stands now.
    ///
    /// # Errors
    /// `Taken` or `Foreign` when that is anything else.
    pub fn make(name: &LinkName, namespace: Identity, entry: Entry) -> Result<Self, NetnsError> {
        let taken = |what| Err(NetnsError::Taken { name: name.clone(), what });
        match entry {
            Entry::Free => Ok(Plan::Link),
            Entry::Bound(linked) if linked == namespace => Ok(Plan::Nothing),
            Entry::Bound(_) => taken("is another network namespace"),
            Entry::Empty => taken("is a file without a namespace, left by a link that is gone"),
            Entry::Symlink => taken("is a symbolic link"),
            Entry::Foreign => Err(NetnsError::Foreign(name.clone())),
        }
    }
}

/// The name to link `found` under when the user gave none: the container's.
///
/// # Errors
/// A process or a namespace has no name of its own, and one made of a PID would lie as soon as that is
/// somebody else's.
pub fn default_name(target: &Target, found: &Found) -> Result<LinkName, Failure> {
    let Some(container) = &found.container else {
        return Err(Failure::trouble(target, "has no name to link it under")
            .hint(format!("netns-link {target} --as NAME")));
    };
    container.name.parse().map_err(|error| {
        Failure::trouble(format_args!("{}: its name", container), error)
            .hint(format!("netns-link {target} --as NAME"))
    })
}

#[cfg(test)]
mod tests {
    use common::namespace::{Kind, Namespace};

    use super::*;

    fn plan(entry: impl FnOnce(Identity, Identity) -> Entry) -> Result<Plan, String> {
        // Any two different identities will do.
        let [wanted, other] = [Kind::Net, Kind::Uts].map(|kind| Namespace::current(kind).unwrap().identity());
        Plan::make(&"web".parse().unwrap(), wanted, entry(wanted, other)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_free_name_is_linked() {
        assert_eq!(plan(|_, _| Entry::Free), Ok(Plan::Link));
    }

    #[test]
    fn the_same_call_again_changes_nothing() {
        assert_eq!(plan(|wanted, _| Entry::Bound(wanted)), Ok(Plan::Nothing));
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let taken = |entry| plan(|_, _| entry).unwrap_err();
        assert_eq!(
            plan(|_, other| Entry::Bound(other)).unwrap_err(),
            "/run/netns/web: is another network namespace"
        );
        assert_eq!(taken(Entry::Symlink), "/run/netns/web: is a symbolic link");
        assert_eq!(taken(Entry::Foreign), "/run/netns/web: is not a namespace link");
        assert!(taken(Entry::Empty).contains("left by a link that is gone"));
    }
}
