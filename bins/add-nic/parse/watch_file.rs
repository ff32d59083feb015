//! From the text of a watch's file to typed requests. The values of an entry are parsed as options of the command line, so
//! that there is one grammar only. Pure.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use common::cidr::Cidr;
use common::cli::parse_words;
use common::failure::{Failure, Status};
use common::hint::Hint;
use common::output::quotable;
use common::target::{IfName, Target};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::{Cli, NOT_OF_A_NIC};
use crate::model::record::WatchEntryId;
use crate::model::request::{AddOptions, AddRequest, Job};
use crate::model::wanted::Wanted;
use crate::tool::TOOL;

/// A NIC that a watch keeps in place.
#[derive(Debug)]
pub struct WatchEntry {
    /// Its line in the file.
    pub line: usize,
    pub target: Target,
    pub wanted: Wanted,
    /// How the journal identifies it.
    pub watched: WatchEntryId,
    /// How it is added.
    pub options: AddOptions,
}

/// What it is called in messages: `/etc/nics.toml:3: nginx`.
impl Display for WatchEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.watched.file.display(), self.line, self.target)
    }
}

/// A file's text, and the engine timeout, which no entry sets.
struct WatchText<'a> {
    file: &'a Path,
    text: &'a str,
    engine_timeout: Duration,
}

/// All entries of `text`, or its first error.
pub fn entries(file: &Path, text: &str, engine_timeout: Duration) -> Result<Vec<WatchEntry>, Failure> {
    let source = WatchText { file, text, engine_timeout };
    let table = DeTable::parse(text)
        .map_err(|error| source.wrong(error.span().unwrap_or_default(), error.message().trim_end()))?;
    let mut entries: Vec<WatchEntry> = Vec::new();
    for (key, value) in table.get_ref() {
        if key.get_ref() != "nic" {
            return Err(source
                .wrong(key.span(), format_args!("unknown key '{}'", quotable(key.get_ref())))
                .hint(common::sentence!("each NIC is a table [[nic]]")));
        }
        let Some(tables) = value.get_ref().as_array() else {
            return Err(source
                .wrong(key.span(), "nic is not an array of tables")
                .hint(common::sentence!("start each NIC with [[nic]]")));
        };
        for table in tables {
            let entry = source.entry(table)?;
            for other in &entries {
                if let Some(what) = entry.shares(other, entry.target == other.target) {
                    let why = format_args!("{what}: already used by the entry in line {}", other.line);
                    return Err(Failure::failed(&entry, why));
                }
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

impl WatchText<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        self.text[..span.start.min(self.text.len())].matches('\n').count() + 1
    }

    fn wrong(&self, span: Range<usize>, what: impl Display) -> Failure {
        Failure::failed(format_args!("{}:{}", self.file.display(), self.line(&span)), what)
    }

    fn entry(&self, value: &Spanned<DeValue<'_>>) -> Result<WatchEntry, Failure> {
        let Some(table) = value.get_ref().as_table() else {
            return Err(self
                .wrong(value.span(), "not a table")
                .hint(common::sentence!("start each NIC with [[nic]]")));
        };
        let container = self.container(table, value)?;
        let line = self.line(&value.span());
        let words = self.words(table, container)?;
        let AddRequest { target, wanted, mut options, .. } =
            *request(container, &words).map_err(|failure| {
                let line = words.culprit(container, &failure).map_or(line, |span| self.line(span));
                failure.map_hints(|hint| in_file(hint, self.file, line)).within(format_args!(
                    "{}:{line}: {}",
                    self.file.display(),
                    quotable(container)
                ))
            })?;
        options.search.find.engine_timeout = self.engine_timeout;
        let watched = WatchEntryId { file: self.file.to_owned(), target: target.to_string() };
        Ok(WatchEntry { line, target, wanted, watched, options })
    }

    /// The words that the keys of a table stand for.
    fn words(&self, table: &DeTable<'_>, container: &str) -> Result<EntryWords, Failure> {
        let mut words = EntryWords::default();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let wrong = |what: &str| {
                let about = format_args!("{}: {} {what}", quotable(container), quotable(name));
                self.wrong(key.span(), about)
            };
            let values = values(value).ok_or_else(|| wrong("is not a string, a number, true or false"))?;
            match name {
                "container" => {}
                "addresses" => {
                    words.addresses = Some((value.span(), values.into_iter().flatten().collect()));
                }
                name => {
                    if let Some(why) = objection(name) {
                        return Err(wrong(why));
                    }
                    let options = values.into_iter().map(|value| match value {
                        Some(value) => format!("--{name}={value}"),
                        None => format!("--{name}"),
                    });
                    words.options.push((value.span(), options.collect()));
                }
            }
        }
        // As they are in the file.
        words.options.sort_by_key(|(span, _)| span.start);
        Ok(words)
    }

    fn container<'t>(
        &self,
        table: &'t DeTable<'_>,
        entry: &Spanned<DeValue<'_>>,
    ) -> Result<&'t str, Failure> {
        let Some(value) = table.get("container") else {
            return Err(self
                .wrong(entry.span(), "[[nic]] has no container")
                .hint(common::sentence!("add a line such as: container = \"nginx\"")));
        };
        let name = value.get_ref().as_str();
        name.ok_or_else(|| self.wrong(value.span(), "container is not a string"))
    }
}

/// The words of one entry, each key with its place in the file.
#[derive(Debug, Default)]
struct EntryWords {
    addresses: Option<(Range<usize>, Vec<String>)>,
    options: Vec<(Range<usize>, Vec<String>)>,
}

impl EntryWords {
    /// The value that an error is about: the first that, together with those before it, causes the same error. None causes
    /// what is wrong without any of them.
    fn culprit(&self, container: &str, failure: &Failure) -> Option<&Range<usize>> {
        let causes = |options: usize, with_addresses: bool| {
            let words = EntryWords {
                addresses: self.addresses.clone().filter(|_| with_addresses),
                options: self.options[..options].to_vec(),
            };
            request(container, &words).is_err_and(|other| other.text() == failure.text())
        };
        match &self.addresses {
            _ if causes(0, false) => None,
            Some((span, _)) if causes(0, true) => Some(span),
            _ => (1..=self.options.len())
                .find(|count| causes(*count, true))
                .map(|count| &self.options[count - 1].0),
        }
    }
}

/// What the words of an entry request.
fn request(container: &str, words: &EntryWords) -> Result<Box<AddRequest>, Failure> {
    let options = words.options.iter().flat_map(|(_, words)| words.clone());
    let addresses = words.addresses.iter().flat_map(|(_, words)| words.clone());
    let all = std::iter::once(TOOL.to_owned()).chain(options);
    let all = all.chain(["--".to_owned(), container.to_owned()]).chain(addresses);
    let cli: Cli = parse_words(all.collect::<Vec<_>>())?;
    match Job::from_cli(&cli, Vec::new)? {
        Job::Add(request) => Ok(request),
        _ => Err(Failure::said(Status::Failed, "adds no NIC")),
    }
}

/// The values of a key as words; `None` for `true`, which needs no word. `false` has no value.
fn values(value: &Spanned<DeValue<'_>>) -> Option<Vec<Option<String>>> {
    Some(match value.get_ref() {
        DeValue::Array(array) => {
            let words = array.iter().map(|value| word(value.get_ref()));
            return words.map(|word| word.map(Some)).collect();
        }
        DeValue::Boolean(false) => vec![],
        DeValue::Boolean(true) => vec![None],
        value => vec![Some(word(value)?)],
    })
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        _ => None,
    }
}

/// What is wrong with a key, if anything: it is no option, or not one that describes a NIC.
fn objection(name: &str) -> Option<&'static str> {
    if NOT_OF_A_NIC.iter().any(|id| id.replace('_', "-") == name) {
        return Some("is not allowed in a watch file");
    }
    let is_option = Cli::command().get_arguments().any(|argument| argument.get_long() == Some(name));
    (!is_option).then_some("is not an option of add-nic")
}

/// What helps, where an entry of a file is what it is about: of an option the key. One that is none of a NIC is the watch's own.
fn in_file(hint: &Hint, file: &Path, line: usize) -> Option<Hint> {
    let Some(key) = hint.as_toml() else { return if hint.is_option() { None } else { Some(hint.clone()) } };
    match key.split(' ').next().and_then(objection) {
        Some(_) => Some(hint.clone()),
        None => common::sentence!("the entry in line {} of {} needs: {}", line, file.display(), key),
    }
}

impl WatchEntry {
    /// What helps, as it is done in the file.
    pub fn hint(&self, hint: &Hint) -> Option<Hint> {
        in_file(hint, &self.watched.file, self.line)
    }

    /// What both entries use, although only one can.
    pub fn shares(&self, other: &WatchEntry, is_one_container: bool) -> Option<String> {
        let (ours, theirs) = (&self.wanted, &other.wanted);
        let is_one_host = ours.other_end.peer().is_none() && theirs.other_end.peer().is_none();
        let shared = |ours: &Option<IfName>, theirs: &Option<IfName>| {
            ours.as_ref().filter(|_| ours == theirs).map(ToString::to_string)
        };
        let mut addresses = ours.addresses.iter().map(Cidr::address);
        let address =
            addresses.find(|address| theirs.addresses.iter().any(|theirs| theirs.address() == *address));
        address
            .filter(|_| is_one_container || is_one_host)
            .map(|address| address.to_string())
            .or_else(|| shared(&ours.name, &theirs.name).filter(|_| is_one_container))
            .or_else(|| shared(&ours.other_name, &theirs.other_name).filter(|_| is_one_host))
            .or_else(|| {
                let theirs = &theirs.firewall.publish;
                let port =
                    ours.firewall.publish.iter().find(|port| theirs.iter().any(|other| port.meets(other)))?;
                Some(format!("port {}/{} of the host", port.host_port, port.protocol.name()))
            })
    }
}
