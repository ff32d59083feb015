//! The tables: a line is a row, a tab stands between columns, and a line that begins with `#` is for people.

use support::tier;

/// A fault. What `given` sets up is there before the first snapshot, and stays.
#[derive(Debug, Clone, Copy)]
pub struct FaultRow {
    pub id: &'static str,
    pub given: &'static str,
    /// Makes the fault; `true` where what is given, or the DEST, is the fault.
    pub seed: &'static str,
    pub undo: &'static str,
    pub probe: ProbeWords,
    /// The verdicts that are right.
    pub verdicts: &'static str,
    pub cause: &'static str,
    /// NETNS, NETNS/IFNAME or NETNS@HOOK.
    pub hop: &'static str,
    /// Whether a command can fix it.
    pub has_fix: bool,
    /// What may differ after the fix from before the seed: a regular expression of perl, or nothing.
    pub may_differ: Option<&'static str>,
    /// Whether `make test` has it; all have it in `make test-all`.
    pub is_short: bool,
}

/// `[OPTIONS] NETNS DEST`.
#[derive(Debug, Clone, Copy)]
pub struct ProbeWords {
    pub options: &'static str,
    pub netns: &'static str,
    pub dest: &'static str,
}

impl ProbeWords {
    fn of(words: &'static str) -> Self {
        let (rest, dest) = words.rsplit_once(' ').unwrap_or_else(|| panic!("no NETNS and DEST: {words}"));
        let (options, netns) = rest.rsplit_once(' ').unwrap_or(("", rest));
        ProbeWords { options, netns, dest }
    }

    /// The TARGET, as the tool takes it: the shell of the lab is the first process in there, and in the host's netns.
    pub fn target(self) -> String {
        if self.netns == "host" { "pid:1".into() } else { format!("netns:{}", self.netns) }
    }

    /// The same probe by plain programs of others, in the shell of the lab. `--size` counts the IP header, ping's `-s` does not.
    pub fn plain(self) -> String {
        let size = self.options.strip_prefix("--size ").map_or(0, |size| size.parse().expect("a size"));
        let headers = if self.dest.contains("::") { 48 } else { 28 };
        let size = if size == 0 { String::new() } else { (size - headers).to_string() };
        format!("plain {} '{}' {size}", self.netns, self.dest)
    }
}

/// Two faults at once.
#[derive(Debug, Clone, Copy)]
pub struct PairRow {
    pub id: &'static str,
    pub given: &'static str,
    pub seeds: [&'static str; 2],
    pub probe: ProbeWords,
    /// Cause and hop, of what is named first.
    pub first: (&'static str, &'static str),
    /// Of what is named once that is fixed; none where the other fault stops this probe no more.
    pub second: Option<(&'static str, &'static str)>,
    pub is_short: bool,
}

/// A scene in which everything works.
#[derive(Debug, Clone, Copy)]
pub struct WorkingRow {
    pub id: &'static str,
    pub given: &'static str,
    pub probe: ProbeWords,
    /// The verdicts that are right.
    pub verdicts: &'static str,
    pub is_short: bool,
}

pub fn faults() -> Vec<FaultRow> {
    lines(include_str!("faults.tsv")).map(|(line, columns)| fault(line, &columns)).collect()
}

pub fn pairs() -> Vec<PairRow> {
    let pair = |(line, columns): (&str, Vec<&'static str>)| match columns[..] {
        [id, given, first_seed, second_seed, probe, first, second, tier] => PairRow {
            id,
            given,
            seeds: [first_seed, second_seed],
            probe: ProbeWords::of(probe),
            first: first.split_once(' ').expect("a cause and a hop"),
            second: (second != "-").then(|| second.split_once(' ').expect("a cause and a hop")),
            is_short: tier == "short",
        },
        _ => panic!("not eight columns: {line}"),
    };
    lines(include_str!("pairs.tsv")).map(pair).collect()
}

pub fn working() -> Vec<WorkingRow> {
    let row = |(line, columns): (&str, Vec<&'static str>)| match columns[..] {
        [id, given, probe, verdicts, tier] => {
            WorkingRow { id, given, probe: ProbeWords::of(probe), verdicts, is_short: tier == "short" }
        }
        _ => panic!("not five columns: {line}"),
    };
    lines(include_str!("working.tsv")).map(row).collect()
}

/// Whether this tier has the row, or `NETNS_TOOLBOX_FAULT` names it.
pub fn is_wanted(id: &str, is_short: bool) -> bool {
    match std::env::var("NETNS_TOOLBOX_FAULT") {
        Ok(named) if !named.is_empty() => named.split(',').any(|name| name == id),
        _ => is_short || tier::is_all(),
    }
}

fn fault(line: &'static str, columns: &[&'static str]) -> FaultRow {
    let [id, given, seed, undo, probe, verdicts, cause, hop, fix, may_differ, tier] = *columns else {
        panic!("not eleven columns: {line}")
    };
    assert!(["+", "-"].contains(&fix) && ["short", "all"].contains(&tier), "{line}");
    FaultRow {
        id,
        given,
        seed,
        undo,
        probe: ProbeWords::of(probe),
        verdicts,
        cause,
        hop,
        has_fix: fix == "+",
        may_differ: (may_differ != "-").then_some(may_differ),
        is_short: tier == "short",
    }
}

/// Each row with its columns.
fn lines(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| (line, line.split('\t').collect()))
}
