//! The inside view for a program of the host: where its files come from, and what is shown.

use std::path::Path;

use common::failure::{Failure, say};
use common::netns;
use common::process::Process;
use common::target::{LinkName, Target};
use common::view::{PrivateMounts, Resolver, TargetView};

use crate::tool::TOOL;
use crate::wanted::{NamespaceRef, OtherNamespace, TakenFrom};

/// The target's resolver: from its process or, where it has none, from what the administrator wrote for the name
/// of the network namespace.
pub fn resolver(
    process: Option<&Process>,
    target: Option<&Target>,
    net: Option<&TakenFrom<OtherNamespace>>,
) -> Result<Resolver, Failure> {
    let mut resolver = match (process, named(target, net)) {
        (Some(process), _) => Resolver::of_process(process)?,
        (None, Some(name)) => Resolver::of_netns(&name)?,
        (None, None) => {
            let what =
                "the network namespace has neither a process here nor a name, so there are no files to use";
            return Err(Failure::failed("--dns", what)
                .hint(common::sentence!("name a container or a process: -t NAME, or -t PID")));
        }
    };
    resolver.prepare()?;
    Ok(resolver)
}

/// The name under which `ip netns` knows the network namespace.
fn named(target: Option<&Target>, net: Option<&TakenFrom<OtherNamespace>>) -> Option<LinkName> {
    let of_file = |path: &Path| path.strip_prefix(netns::DIRECTORY).ok()?.to_str()?.parse().ok();
    match (target, net) {
        (_, Some(TakenFrom::Named(OtherNamespace::Named(NamespaceRef::File(path))))) => of_file(path),
        (Some(Target::NamedNetns(name)), _) => Some(name.clone()),
        (Some(Target::NetnsFile(path)), _) => of_file(path),
        (Some(Target::Container { engine: None, within: None, name }), _) => name.as_str().parse().ok(),
        _ => None,
    }
}

/// Shows what can be shown before there is a child, once the namespaces are joined.
pub fn enter(view: TargetView, resolver: Option<&Resolver>) -> Result<Option<PrivateMounts>, Failure> {
    if view == TargetView::default() {
        return Ok(None);
    }
    let mounts = PrivateMounts::unshare()?;
    if let Some(resolver) = resolver {
        mounts.show_resolver(resolver)?;
    }
    if view.sysfs {
        for lost in mounts.show_sysfs()? {
            let what = "is not mounted in the new /sys, which has no such directory";
            say(TOOL, format_args!("{}: {what}", lost.display()));
        }
    }
    Ok(Some(mounts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::namespace::NamespaceKind;

    use crate::wanted::Wanted;

    #[test]
    fn the_name_of_a_network_namespace_is_known_in_each_of_its_spellings() {
        let name = |line| {
            let wanted = Wanted::by(line).unwrap();
            named(wanted.target.as_ref(), wanted.namespaces.get(&NamespaceKind::Net))
                .map(|name| name.to_string())
        };
        for line in [
            "-t netns:blue",
            "-t /run/netns/blue",
            "-t blue",
            "-n=/run/netns/blue",
            "-t 1 -n=/run/netns/blue",
        ] {
            assert_eq!(name(line).as_deref(), Some("blue"), "{line}");
        }
        for line in ["-t docker:blue", "-t /proc/1/ns/net", "-t ip:10.0.0.1", "-n=/run/netns/../x"] {
            assert_eq!(name(line), None, "{line}");
        }
    }
}
