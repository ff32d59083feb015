//! The inside view that the options ask for.

use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::view::TargetView;

use super::origin::{OtherNamespace, TakenFrom};
use crate::cli::Cli;

/// What the options ask for.
///
/// # Errors
/// Where the program finds the container's files anyway, or cannot be in its PID namespace.
pub fn wanted(cli: &Cli) -> Result<TargetView, Failure> {
    let asked = &cli.inside;
    let view = TargetView {
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
        let hint = match all {
            true => {
                common::sentence!(
                    "use -n -p -u -i -C instead: then a program of the host gets the inside view"
                )
            }
            false => common::sentence!("leave it out: then a program of the host gets the inside view"),
        };
        return Err(Failure::failed(option, what).hint(hint));
    }
    if view.procfs && cli.running.no_fork {
        let option = if asked.proc { "--proc" } else { option };
        return Err(Failure::failed(
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
pub fn implied(view: TargetView) -> impl Iterator<Item = (NamespaceKind, TakenFrom<OtherNamespace>)> {
    let kinds = [(view.resolver || view.sysfs, NamespaceKind::Net), (view.procfs, NamespaceKind::Pid)];
    kinds.into_iter().filter_map(|(implied, kind)| implied.then_some((kind, TakenFrom::Target)))
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
        assert_eq!(wanted(&cli("-t 1 -n")), Ok(TargetView::default()));
    }

    #[test]
    fn a_view_brings_the_namespaces_it_is_of() {
        let kinds = |line| implied(wanted(&cli(line)).unwrap()).map(|(kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(kinds("-t 1 --dns"), [NamespaceKind::Net]);
        assert_eq!(kinds("-t 1 --sys"), [NamespaceKind::Net]);
        assert_eq!(kinds("-t 1 --proc"), [NamespaceKind::Pid]);
        assert_eq!(kinds("-t 1 --inside"), [NamespaceKind::Net, NamespaceKind::Pid]);
        assert_eq!(kinds("-t 1 -u"), []);
    }

    #[test]
    fn where_the_containers_files_are_found_anyway_it_is_refused() {
        for given in ["-a", "-m", "-m=/x", "-r", "-r=/x"] {
            let failure = wanted(&cli(&format!("-t 1 {given} --dns"))).unwrap_err();
            let message = failure.text();
            assert!(message.contains(&format!("cannot be used with {}", &given[..2])), "{message}");
            assert_eq!(failure.hint.unwrap().starts_with("use -n "), given == "-a");
        }
        assert!(wanted(&cli("-t 1 -F --proc")).is_err());
        assert!(wanted(&cli("-t 1 -F --dns --sys")).is_ok());
    }
}
