//! Shows the results: a table for a terminal, Markdown for docs/benchmarks.md, JSON for programs.

use std::{collections::BTreeSet, fmt::Write as _, fs, process::Command, thread::available_parallelism};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};
use serde::Serialize;

use crate::{
    contest::{Of, Part},
    measure::{Compared, Contestant, Figures, Measured},
    numbers::factor,
    program,
};

const WIDTH_COLUMNS: u16 = 100;
const STYLE: TableStyle = presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));
const LEGEND: &str = "\
Times in µs of wall time, spawn to exit; half of all runs lie in the middle half. Ratio: our median
divided by this one's. RSS (peak, of all that the command runs) and file size in KiB.";

/// Everything that was measured, and on what.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Day of the measurement, UTC.
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// Average number of running processes in the minute before.
    pub(crate) load_before: Option<f64>,
    /// What the rows acted upon.
    pub(crate) entered: &'static str,
    pub(crate) runs: u32,
    pub(crate) rows: Vec<RowReport>,
}

#[derive(Serialize)]
pub(crate) struct RowReport {
    pub(crate) name: &'static str,
    pub(crate) work: &'static str,
    #[serde(flatten)]
    pub(crate) measured: Option<Measured>,
    /// Why the row could not be measured.
    pub(crate) stopped: Option<String>,
}

impl Report {
    pub(crate) fn begin(entered: &'static str, runs: u32) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            date: program::answer(Command::new("date").args(["-u", "+%F"])).unwrap_or_default(),
            cpu: model.map_or("unknown CPU", |(_, model)| model).to_owned(),
            cpus: available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
            entered,
            runs,
            rows: Vec::new(),
        }
    }

    /// 0 all targets met, 1 one was missed, 2 a row could not be measured.
    pub(crate) fn status(&self) -> u8 {
        let mut targets =
            self.rows.iter().filter_map(|row| row.measured.as_ref()).flat_map(|row| &row.targets);
        let missed =
            targets.any(|target| target.outcome.as_ref().is_some_and(|outcome| !outcome.verdict.met));
        match self.rows.iter().any(|row| row.stopped.is_some()) {
            true => 2,
            false => u8::from(missed),
        }
    }

    /// What it was measured on, and how.
    fn circumstances(&self) -> [String; 2] {
        let Self { date, cpu, cpus, kernel, load_before, entered, runs, .. } = self;
        // Waiting for a CPU is added to everyone's time alike, and so pulls ratios towards 1.
        let busy = if *load_before > Some(*cpus as f64) { " (busy: repeat on a quiet machine)" } else { "" };
        let load = load_before.map_or(String::new(), |load| format!(", load {load}{busy}"));
        [
            format!("{date}, {cpus} × {cpu}, Linux {kernel}{load}"),
            format!("{runs} runs each, alternately, entering {entered}"),
        ]
    }

    pub(crate) fn table(&self) -> String {
        let mut text = self.circumstances().join("\n") + "\n";
        for row in &self.rows {
            let _ = write!(text, "\n{}: {}\n", row.name, row.work);
            if let Some(why) = &row.stopped {
                let _ = writeln!(text, "stopped: {why}");
            }
            let Some(measured) = &row.measured else { continue };
            let mut table = Table::new();
            table.load_style(STYLE).set_width(WIDTH_COLUMNS);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(["", "command", "median", "min", "max", "middle half", "ratio", "RSS", "file"]);
            for contestant in &measured.contestants {
                table.add_row(cells(contestant));
            }
            for number in table.column_iter_mut().skip(2) {
                number.set_cell_alignment(CellAlignment::Right);
            }
            let _ = writeln!(text, "{table}");
            for target in &measured.targets {
                let _ = writeln!(text, "  target {}", sentence(target));
            }
        }
        text + "\n" + LEGEND + "\n"
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            if let Some(why) = &row.stopped {
                let _ = writeln!(text, "**{}** stopped: {why}\n", row.name);
            }
            let Some(measured) = &row.measured else { continue };
            let _ = writeln!(text, "**{}**: {}\n", row.name, row.work);
            text +=
                "| | command | median µs | min | max | middle half | ours ÷ it | peak RSS KiB | file KiB |\n";
            text += "|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
            for contestant in &measured.contestants {
                let mut cells = cells(contestant);
                // A pipe would end the cell, even in code.
                cells[1] = format!("`{}`", cells[1].replace('|', "\\|"));
                let _ = writeln!(text, "| {} |", cells.join(" | "));
            }
            let sentences: Vec<_> = measured.targets.iter().map(sentence).collect();
            let _ = writeln!(text, "\nTargets: {}.\n", sentences.join("; "));
        }
        let [machine, how] = self.circumstances();
        let _ = write!(text, "Measured {machine}; {how}. Times are wall time from spawn to exit");
        let versions: Vec<_> = self.peer_versions().into_iter().collect();
        let _ =
            writeln!(text, "{}{}.", if versions.is_empty() { "" } else { "; peers: " }, versions.join(", "));
        text
    }

    /// Each peer's once, however many rows it is in.
    fn peer_versions(&self) -> BTreeSet<&str> {
        let contestants =
            self.rows.iter().filter_map(|row| row.measured.as_ref()).flat_map(|row| &row.contestants);
        let peers = contestants.filter(|contestant| contestant.part == Part::Peer);
        peers.filter_map(|contestant| contestant.result.as_ref()?.version.as_deref()).collect()
    }
}

fn cells(contestant: &Contestant) -> Vec<String> {
    let Contestant { part, command, result } = contestant;
    let mut cells = vec![part.name().to_owned(), (*command).to_owned()];
    let Some(Figures { time, ours_to_this, peak_rss_kib, size_bytes, linkage, .. }) = result else {
        cells.push("missing".to_owned());
        cells.resize(9, String::new());
        return cells;
    };
    cells.extend([time.median_us, time.min_us, time.max_us].map(|us| format!("{us:.0}")));
    cells.push(format!("{:.0}–{:.0}", time.quartile_1_us, time.quartile_3_us));
    cells.push(ours_to_this.map_or(String::new(), |ours| format!("{:.3}", ours.ratio)));
    cells.push(peak_rss_kib.to_string());
    cells.push(format!("{} {}", size_bytes / 1024, linkage.name()));
    cells
}

fn sentence(target: &Compared) -> String {
    let at_most = factor(target.at_most);
    let (wanted, other) = match target.of {
        Of::Contestant(name) => (format!("≤ {at_most} × {name}"), name),
        Of::Row(name) => (format!("≤ {at_most} × ours in the row {name}"), name),
        Of::Added(name) => (format!("≤ {at_most} ms more than ours in the row {name}"), name),
        Of::Milliseconds => (format!("≤ {at_most} ms"), "our own"),
    };
    match &target.outcome {
        None => format!("{wanted}: not measured, {other} is missing"),
        Some(outcome) => {
            let ratio = &outcome.ratio;
            format!("{wanted}: {:.3} ({:.3}–{:.3}), {}", ratio.ratio, ratio.low, ratio.high, outcome.verdict)
        }
    }
}
