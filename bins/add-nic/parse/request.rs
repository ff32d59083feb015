//! From options to requests: no code below uses the command line.

use std::path::Path;

use common::target::Target;

use crate::cli::{self, Cli};
use crate::model::request::{
    AddMode, AddOptions, AddRequest, DuplicateCheck, ListRequest, OutputForm, RemoveRequest, SearchOptions,
    WatchMode, WatchRequest,
};
use crate::model::wanted::{NicSelector, Wanted};

pub(super) fn add(
    target: Target,
    wanted: Wanted,
    cli: &Cli,
    typed: impl FnOnce() -> Vec<String>,
) -> AddRequest {
    let mode = match (cli.preflight, cli.dry_run) {
        (true, _) => AddMode::Preflight { typed: typed() },
        (false, true) => AddMode::DryRun,
        (false, false) => AddMode::Add,
    };
    let dad = (!cli.no_dad).then_some(match cli.dad {
        cli::DadOption::Quick => DuplicateCheck::Quick,
        cli::DadOption::Full => DuplicateCheck::Full,
    });
    let announcements = if cli.no_announce { 0 } else { cli.announce };
    let options = AddOptions {
        search: search(cli),
        dad,
        announcements,
        quiet: cli.quiet,
        replace: cli.replace,
        names_before: 0,
    };
    AddRequest { target, wanted, options, mode, form: form(cli) }
}

pub(super) fn remove(target: Target, which: Option<NicSelector>, cli: &Cli) -> RemoveRequest {
    RemoveRequest {
        target,
        which,
        search: search(cli),
        dry_run: cli.dry_run,
        force: cli.force,
        form: form(cli),
    }
}

pub(super) fn list(target: Option<Target>, cli: &Cli) -> ListRequest {
    ListRequest { target, search: search(cli), form: form(cli) }
}

pub(super) fn watch(file: &Path, cli: &Cli) -> WatchRequest {
    WatchRequest {
        file: file.to_owned(),
        find: cli.find.config(),
        once: cli.once,
        mode: match (cli.preflight, cli.dry_run) {
            (true, _) => WatchMode::Preflight,
            (false, true) => WatchMode::DryRun,
            (false, false) => WatchMode::Keep,
        },
        form: form(cli),
    }
}

fn search(cli: &Cli) -> SearchOptions {
    SearchOptions { find: cli.find.config(), host: cli.host }
}

fn form(cli: &Cli) -> OutputForm {
    match cli.json {
        true if cli.watch.is_some() => OutputForm::JsonLine,
        true => OutputForm::Json,
        false => OutputForm::Text,
    }
}
