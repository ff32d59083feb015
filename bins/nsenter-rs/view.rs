//! The inside view for a program of the host: what was asked for, and where its files come from.

use std::path::Path;

use common::failure::{Failure, say};
use common::namespace::Kind;
use common::netns;
use common::process::Process;
use common::target::{LinkName, Target};
use common::view::{PrivateMounts, Resolver, View};

use crate::cli::{Cli, Given};
use crate::tool::TOOL;
use crate::wanted::{From, Other};

/// What the options ask for.
///
/// # Errors
/// Where the program finds the container's files anyway, or cannot be in its PID namespace.
pub fn wanted(cli: &Cli) -> Result<View, Failure> {
    let asked = &cli.inside;
    let view = View {
        resolver: asked.dns || asked.inside,
        sysfs: asked.sys || asked.inside,
        procfs: asked.proc || asked.inside,
    };
    let options =
        [(asked.inside, "--inside"), (asked.dns, "--dns"), (asked.sys, "--sys"), (asked.proc, "--proc")];
    let Some(option) = first(options) else { return Ok(view) };
    let (all, mount, root) = (cli.namespaces.all, cli.namespaces.mount.is_some(), cli.place.root.is_some());
    if let Some(given) = first([(all, "-a"), (mount, "-m"), (root, "-r")]) {
        let what =
            format!("cannot be used with {given}: the program then sees the container's own files anyway");
        let instead = if all { "use -n -p -u -i -C instead" } else { "leave it out" };
        let hint = common::hint!(
            "{}: then a program of the host gets the inside view",
            common::hint::Hint::say(instead)
        );
        return Err(Failure::trouble(option, what).hint(hint));
    }
    if view.procfs && cli.running.no_fork {
        let option = if asked.proc { "--proc" } else { option };
        return Err(Failure::trouble(
            option,
            "cannot be used with --no-fork: only a child is in the PID namespace",
        ));
    }
    Ok(view)
}

/// The first one that was given.
fn first<const N: usize>(options: [(bool, &'static str); N]) -> Option<&'static str> {
    options.into_iter().find_map(|(given, name)| given.then_some(name))
}

/// The namespaces that are of no use without the view, nor the view without them.
pub fn implied(view: View) -> impl Iterator<Item = (Kind, From<Other>)> {
    let kinds = [(view.resolver || view.sysfs, Kind::Net), (view.procfs, Kind::Pid)];
    kinds.into_iter().filter_map(|(implied, kind)| implied.then_some((kind, From::Target)))
}

/// The target's resolver: from its process or, where it has none, from what the administrator wrote for the name
/// of the network namespace.
pub fn resolver(
    process: Option<&Process>,
    target: Option<&Target>,
    net: Option<&From<Other>>,
) -> Result<Resolver, Failure> {
    let mut resolver = match (process, named(target, net)) {
        (Some(process), _) => Resolver::of_process(process)?,
        (None, Some(name)) => Resolver::of_netns(&name)?,
        (None, None) => {
            let what =
                "the network namespace has neither a process here nor a name, so there are no files to use";
            return Err(Failure::trouble("--dns", what).hint("-t NAME, or -t PID"));
        }
    };
    resolver.prepare()?;
    Ok(resolver)
}

/// The name under which `ip netns` knows the network namespace.
fn named(target: Option<&Target>, net: Option<&From<Other>>) -> Option<LinkName> {
    let of_file = |path: &Path| path.strip_prefix(netns::DIRECTORY).ok()?.to_str()?.parse().ok();
    match (target, net) {
        (_, Some(From::Named(Other::Given(Given::File(path))))) => of_file(path),
        (Some(Target::NamedNetns(name)), _) => Some(name.clone()),
        (Some(Target::NetnsFile(path)), _) => of_file(path),
        (Some(Target::Container { engine: None, within: None, name }), _) => name.as_str().parse().ok(),
        _ => None,
    }
}

/// Shows what can be shown before there is a child, once the namespaces are joined.
pub fn enter(view: View, resolver: Option<&Resolver>) -> Result<Option<PrivateMounts>, Failure> {
    if view == View::default() {
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
    use clap::Parser;

    use super::*;

    fn cli(line: &str) -> Cli {
        Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).unwrap()
    }

    #[test]
    fn inside_is_all_three() {
        assert_eq!(wanted(&cli("-t 1 --inside")), wanted(&cli("-t 1 --dns --sys --proc")));
        assert_eq!(wanted(&cli("-t 1 -n")), Ok(View::default()));
    }

    #[test]
    fn a_view_brings_the_namespaces_it_is_of() {
        let kinds = |line| implied(wanted(&cli(line)).unwrap()).map(|(kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(kinds("-t 1 --dns"), [Kind::Net]);
        assert_eq!(kinds("-t 1 --sys"), [Kind::Net]);
        assert_eq!(kinds("-t 1 --proc"), [Kind::Pid]);
        assert_eq!(kinds("-t 1 --inside"), [Kind::Net, Kind::Pid]);
        assert_eq!(kinds("-t 1 -u"), []);
    }

    #[test]
    fn where_the_containers_files_are_found_anyway_it_is_refused() {
        for given in ["-a", "-m", "-m=/x", "-r", "-r=/x"] {
            let failure = wanted(&cli(&format!("-t 1 {given} --dns"))).unwrap_err();
            let message = failure.message.unwrap();
            assert!(message.contains(&format!("cannot be used with {}", &given[..2])), "{message}");
            assert_eq!(failure.hint.unwrap().starts_with("use -n "), given == "-a");
        }
        assert!(wanted(&cli("-t 1 -F --proc")).is_err());
        assert!(wanted(&cli("-t 1 -F --dns --sys")).is_ok());
    }

    #[test]
    fn the_name_of_a_network_namespace_is_known_in_each_of_its_spellings() {
        let name = |line| {
            let cli = cli(line);
            let given = cli.namespaces.net.iter().flatten().last().cloned();
            let net = given.map(|given| From::Named(Other::Given(given)));
            named(cli.target.as_ref(), net.as_ref()).map(|name| name.to_string())
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
