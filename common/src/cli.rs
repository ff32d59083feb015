//! The options that tools share, and what their help says alike.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Parser, ValueHint};

use crate::engine::{EngineSession, is_called_by_lxc};
use crate::failure::{Failure, Status, say};
use crate::find::{FindError, FoundTarget, Purpose, find, hint_for_refused};
use crate::manual::show as show_manual;
use crate::map;
use crate::output::quotable;
use crate::sign;
use crate::target::{Target, TargetError};

/// What every tool's `-h` says about a TARGET.
pub const TARGETS_IN_SHORT: &str = "\
TARGET: nginx, an ID prefix, docker:nginx, pod:POD, a PID, netns:NAME,
        ip:ADDR, veth:IF; --help has all forms";

/// What every tool's `--help` says about a TARGET: the table of [`crate::target`], which the manuals have too.
pub const TARGETS: &str = "\
TARGET:
  nginx, 3f2a9c         a container's name or ID prefix
  docker:X podman:X containerd:[NS/]X nerdctl:[NS/]X crio:X oci:X lxc:X
  incus:[PROJECT/]X lxd:[PROJECT/]X machine:X     that engine only
  podman@alice:X        the same of one user, by name or UID
  pod:POD pod:NAMESPACE/POD pod:NAMESPACE/POD/CONTAINER
                        a Kubernetes pod (its sandbox), or a container in it
  123 123:INODE pid:123 pid:123:INODE
                        a process; INODE is its pidfs inode
  netns:blue /run/netns/blue /proc/123/ns/net
                        a namespace without a process
  ip:172.17.0.5 ip:172.17.0.5/16 ip:[fd00::5] ip:fe80::5%br0
  mac:02:42:ac:11:00:05 veth:veth12ab veth:veth12ab@if2 veth:98 veth:if98
                        the owner of that address, or of the veth's other end";

/// The rows of [`DESTS`] that mean one host.
macro_rules! one_dest {
    () => {
        "\
DEST:
  10.1.0.1 fe80::1%eth0
                        an address
  db www.example.com    a name, resolved as in the container
  gateway               the container's default gateway
  docker:db pod:web     another container: a TARGET with its kind
  tcp:db:5432 udp:[fd00::1]:53 tcp:docker:db:80
                        a port of any of these"
    };
}

/// What the `--help` of a tool that takes several DESTs says about them: the table of [`Dest`](crate::target::Dest)'s
/// grammar, which the manuals have too.
pub const DESTS: &str = concat!(
    one_dest!(),
    "
  10.1.0.0/24 10.1.0.5-10.1.0.9
                        all of these addresses: a scan"
);

/// The same of a tool that takes a single one.
pub const ONE_DEST: &str = one_dest!();

/// What `-h` of a tool that takes one DEST says about it.
pub const ONE_DEST_IN_SHORT: &str = "\
DEST:   an address, a name, gateway, docker:db, tcp:db:5432, udp:ADDR:53";

/// What `-h` of a tool that takes several DESTs says about them.
pub const DESTS_IN_SHORT: &str = "\
DEST:   an address, a name, gateway, docker:db, tcp:db:5432, udp:ADDR:53, a
        network: 10.1.0.0/24";

/// How to find what a TARGET means, and the help.
#[derive(Debug, Clone, Args)]
pub struct FindOptions {
    /// Wait for an engine this long
    ///
    /// From connecting to the last byte of its answer: 300ms, 2s, 1m. If an engine does not answer in time, its state
    /// on disk is read. If it has none that can be read, that is an error.
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = duration)]
    #[arg(value_hint = ValueHint::Other, hide_short_help = true)]
    pub engine_timeout: Duration,

    /// Report on stderr what was found, and how
    #[arg(short, long)]
    pub verbose: bool,

    // Of our own, because clap's --help would print the manual's text.
    /// Print help: --help has all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,

    /// Show the manual
    ///
    /// With man(1) where it is installed, otherwise as plain text. No manual has to be installed: it is part of the
    /// program, and what all tools share, netns-toolbox(7), follows.
    #[arg(long, exclusive = true)]
    man: bool,
}

/// How to find a target: what [`FindOptions`] say, without clap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindConfig {
    /// How long an engine may take to answer.
    pub engine_timeout: Duration,
    /// Whether stderr says what was found, and how.
    pub verbose: bool,
}

/// All that one job finds: an engine that did not answer in time is not waited for again. What waits or watches begins a new
/// one for each look.
#[derive(Debug, Clone)]
pub struct FindSession {
    /// The engines, and which of them were silent.
    pub engines: EngineSession,
    /// Whether stderr says what was found, and how.
    pub verbose: bool,
}

impl FindOptions {
    /// What they say, for the code below the command line.
    pub fn config(&self) -> FindConfig {
        FindConfig { engine_timeout: self.engine_timeout, verbose: self.verbose }
    }
}

impl FindConfig {
    /// The beginning of a job, in which no engine was asked yet.
    pub fn session(self) -> FindSession {
        FindSession { engines: EngineSession::new(self.engine_timeout), verbose: self.verbose }
    }
}

impl FindSession {
    /// Finds what `target` means, and with `verbose` says on stderr, for `tool`, which engine answered.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find(&self, tool: &str, target: &Target) -> Result<FoundTarget, FindError> {
        self.find_for(tool, target, Purpose::Look)
    }

    /// The same to change it, or to run something in it.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find_to_act(&self, tool: &str, target: &Target) -> Result<FoundTarget, FindError> {
        self.find_for(tool, target, Purpose::Act)
    }

    /// Says which engines were asked since the last time, and how each of them answered.
    pub fn say_heard(&self, tool: &str) {
        let heard: Vec<String> = self.engines.take_heard().iter().map(ToString::to_string).collect();
        if !heard.is_empty() {
            say(tool, format_args!("asked: {}", heard.join(", ")));
        }
    }

    fn find_for(&self, tool: &str, target: &Target, purpose: Purpose) -> Result<FoundTarget, FindError> {
        let found = find(target, purpose, &self.engines);
        if self.verbose {
            self.say_heard(tool);
        }
        let found = found.map_err(|error| error.with_nearest(&self.engines));
        // What was asked for the nearest names is no part of the answer.
        drop(self.engines.take_heard());
        let found = found.inspect_err(|error| match error {
            FindError::NotFound { search, .. } if self.verbose => {
                search.silent.iter().chain(&search.unasked).for_each(|why| say(tool, why))
            }
            _ => {}
        })?;
        if self.verbose {
            found.api_errors.iter().for_each(|why| say(tool, why));
        }
        if let Some(user) = found.stranger {
            say(
                tool,
                format_args!("{target} is a network of user {user}, and that user can give it any address"),
            );
        }
        if let (true, Some(container)) = (self.verbose, &found.container) {
            say(tool, format_args!("{target} is {container}, according to its {}", container.source));
        }
        if let Target::Process { pid, inode: None } = target {
            note_of_number(tool, *pid);
        }
        // A user who types an address does not expect the network of the caller itself.
        let by_wire = matches!(target, Target::Ip(_) | Target::Mac(_) | Target::Veth(_));
        if by_wire && found.is_own_network() {
            say(tool, format_args!("{target} is in the network namespace of this host itself"));
        }
        Ok(found)
    }
}

/// Says that a bare number, which is taken for a PID, is what a container is called.
fn note_of_number(tool: &str, pid: u32) {
    let fronts = ["", "-t", "--target="];
    let is_bare = |word: OsString| fronts.iter().any(|front| word == format!("{front}{pid}").as_str());
    if std::env::args_os().any(is_bare) && is_called_by_lxc(&pid.to_string()) {
        say(tool, format_args!("{pid} is taken for a PID, but an lxc container is called so too: lxc:{pid}"));
    }
}

/// Why a word is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number, or an unknown unit.
    #[error("is not a number with a unit: 300ms, 2s, 1m")]
    Unit,
    /// Less than zero.
    #[error("a duration cannot be negative")]
    Negative,
}

/// A duration as people write it: `300ms`, `2s`, `1m`.
///
/// # Errors
/// [`DurationError`].
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|_| DurationError::Unit)?;
    Duration::try_from(parsed).map_err(|_| DurationError::Negative)
}

/// What the user said, or why it makes no sense, as a failure like all others: with the tool's name in front,
/// and nothing of what was typed able to drive a terminal. `--help`, `--version` and `--man`, which shows `manual`, end the
/// process.
///
/// # Errors
/// A failure with status 2, with the usage below it.
pub fn parse<Cli: Parser>(manual: &str) -> Result<Cli, Failure> {
    parse_from(manual, std::env::args_os())
}

/// As [`parse`], for a tool that scripts know under another name: a value of one of `options` (`--count`) that is refused
/// ends with status 1 there, and so it does here.
///
/// # Errors
/// As [`parse`], but for that status.
pub fn parse_as_another<Cli: Parser>(manual: &str, options: &[&str]) -> Result<Cli, Failure> {
    parsed(manual, std::env::args_os()).map_err(|error| {
        let is_value = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
        let is_one = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => {
                options.iter().any(|one| option.strip_prefix(one).is_some_and(|rest| rest.starts_with(' ')))
            }
            _ => false,
        };
        let mut failure = usage_or_end::<Cli>(error);
        if is_value && is_one {
            failure.status = Status::No;
        }
        failure
    })
}

/// As [`parse`], from these words; the first is the tool's name.
///
/// # Errors
/// As [`parse`].
pub fn parse_from<Cli: Parser>(
    manual: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Cli, Failure> {
    parsed(manual, arguments).map_err(usage_or_end::<Cli>)
}

/// As clap's own, but for `--man`, for which the rest of the line need not be there.
fn parsed<Cli: Parser>(
    manual: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Cli, clap::Error> {
    sign::use_locale();
    let matches = Cli::command().try_get_matches_from(arguments)?;
    if matches.try_get_one::<bool>("man").is_ok_and(|man| man == Some(&true)) {
        process::exit(match show_manual(manual) {
            Ok(()) => 0,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(_) => Status::Failed as i32,
        });
    }
    map::put_back_loggers(Cli::command().get_name());
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut Cli::command()))
}

fn usage_or_end<Cli: Parser>(error: clap::Error) -> Failure {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let help = help::<Cli>(&error);
            let is_written = io::stdout().lock().write_all(sign::spelled(&help).as_bytes()).is_ok();
            process::exit(if is_written { 0 } else { Status::Failed as i32 })
        }
        _ if error.use_stderr() => usage(error),
        _ => error.exit(),
    }
}

/// `-h` as clap has it. `--help` has every option, each in one line: what is more is the manual's.
fn help<Cli: Parser>(error: &clap::Error) -> String {
    let asked = error.render().to_string();
    if asked == Cli::command().render_help().to_string() {
        return asked;
    }
    let mut command = Cli::command().mut_args(|argument| argument.hide_short_help(false));
    if let Some(after) = command.get_after_long_help().cloned() {
        command = command.after_help(after);
    }
    command.render_help().to_string()
}

/// As [`parse_from`], for the words of a file: what is wrong with them, without the usage of the command line.
///
/// # Errors
/// A failure with status 2.
pub fn parse_words<Cli: Parser>(arguments: impl IntoIterator<Item = String>) -> Result<Cli, Failure> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let text = rendered(error);
        Failure::in_lines(Status::Failed, text.split("\n\n").next().unwrap_or(&text))
    })
}

fn usage(error: clap::Error) -> Failure {
    let hint = match (error.source().and_then(|source| source.downcast_ref::<TargetError>()), typed(&error)) {
        (Some(_), Some(word)) => hint_for_refused(&word),
        _ => None,
    };
    Failure::in_lines(Status::Failed, &rendered(error)).hint(hint)
}

/// The value that was refused.
fn typed(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    }
}

/// What the standard library and clap say of a number that is none, or too great, as people say it.
fn number_in_words(said: &str) -> String {
    match (said, said.split_once(" is not in ").and_then(|(_, range)| range.split_once("..="))) {
        ("invalid digit found in string" | "cannot parse integer from empty string", _) => {
            "is not a whole number".to_owned()
        }
        (_, Some((from, to))) => format!("must be {from} to {to}"),
        (_, None) if said.starts_with("number too ") => "is too great".to_owned(),
        (_, None) => said.to_owned(),
    }
}

/// What clap says, with nothing of what was typed able to drive a terminal.
fn rendered(mut error: clap::Error) -> String {
    let typed: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in typed {
        if let (ContextKind::InvalidValue | ContextKind::InvalidArg, ContextValue::String(text)) =
            (kind, value)
        {
            error.insert(kind, ContextValue::String(quotable(&text)));
        }
    }
    // `-- -t` is no better a TARGET than `-t`.
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    let mut text = error.render().to_string();
    if let Some(said) = error.source().map(ToString::to_string) {
        text = text.replacen(&said, &number_in_words(&said), 1);
    }
    let text = text.trim_end();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::EngineName;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long)]
        number: u8,
    }

    fn said(value: &str) -> String {
        let failure = parse_from::<Cli>("", ["tool", "--number", value].map(OsString::from)).unwrap_err();
        assert_eq!(failure.status, Status::Failed);
        failure.text().to_owned()
    }

    #[test]
    fn what_was_typed_is_quoted_harmlessly_and_in_short() {
        assert!(said("a\nb\x1b").starts_with("invalid value 'a\\nb\\u{1b}' for '--number <NUMBER>'"));
        assert!(said(&"9".repeat(4096)).len() < 300);
    }

    #[test]
    fn every_engine_is_in_the_help_and_in_the_table_of_targets() {
        let table = include_str!("target/mod.rs").lines().find(|line| line.contains("that engine only"));
        for engine in EngineName::ALL {
            let within = engine.partition().map_or(String::new(), |within| format!("[{within}/]"));
            let form = format!("{engine}:{within}X");
            let is_in = |text: &str| text.split([' ', '\n', '`']).any(|word| word == form);
            assert!(is_in(TARGETS), "{form} is not in TARGETS");
            assert!(table.is_some_and(is_in), "{form} is not in the table of common::target");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_told_what_one_looks_like() {
        assert_eq!(duration("5"), Err(DurationError::Unit));
        assert_eq!(duration("-5s"), Err(DurationError::Negative));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
    }

    #[test]
    fn an_option_that_does_not_exist_is_not_offered_as_a_value() {
        let failure = parse_from::<Cli>("", ["tool", "-x"].map(OsString::from)).unwrap_err();
        assert!(!failure.text().contains("tip"));
    }
}
