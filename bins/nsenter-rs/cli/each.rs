//! One command in many containers.

use clap::{Args, ValueHint, value_parser};

/// Which containers, how many at a time, and how what they say is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "In many containers")]
pub struct Each {
    /// Run PROGRAM in matching containers: 'web-*' (in quotes)
    ///
    /// Runs PROGRAM in every running container, of every engine, whose name matches PATTERN: *, ? and [abc] as in a
    /// shell. Quote PATTERN, so that the shell does not expand it. 'docker:web-*' asks only that engine;
    /// 'pod:prod/*' means the pods of a Kubernetes namespace, 'pod:prod/*/app' the containers in them. Containers
    /// that share all requested namespaces are entered once. See EACH.
    #[arg(long, value_name = "PATTERN", conflicts_with = "target", requires = "program")]
    #[arg(value_hint = ValueHint::Other, group = "shown")]
    pub each: Option<String>,

    // clap does not ask for what contradicts something that is there: hence both requires and conflicts_with.
    /// With --each: at most N containers at a time
    ///
    /// The default is all at once. With N, containers are entered in the order of engines and then of names, and the next
    /// one starts when one has ended; after two seconds a line on standard error says how many wait. With 1, the output is in that
    /// order too.
    #[arg(short, long, value_name = "N", requires = "each", conflicts_with = "target")]
    #[arg(value_parser = value_parser!(u16).range(1..=1024), value_hint = ValueHint::Other)]
    pub jobs: Option<u16>,
}
