//! The tables: a line is a row, a tab stands between columns, and a line that begins with `#` is for people.

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

pub fn faults() -> Vec<FaultRow> {
    lines(include_str!("faults.tsv")).map(|(line, columns)| fault(line, &columns)).collect()
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
