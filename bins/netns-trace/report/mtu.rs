//! The largest packets that pass, for people and as JSON.

use std::io::{self, Write};

use common::failure::Failure;
use common::output::one_line;
use common::sign::CROSS;

use super::text::stop;
use crate::model::{MtuReport, MtuWay};

/// Prints it.
///
/// # Errors
/// What writing to standard output says.
pub fn print_mtu(report: &MtuReport, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        common::json::line(&mut out, report)?;
    } else {
        out.write_all(text(report).as_bytes())?;
    }
    Ok(out.flush()?)
}

fn text(report: &MtuReport) -> String {
    let mut out = way("there:", &report.there);
    match (&report.back, &report.not_measured) {
        (Some(back), _) => out += &way("back: ", back),
        (None, Some(why)) => out += &format!("back:  not measured: {}\n", one_line(why)),
        (None, None) => {}
    }
    out
}

/// ```text
/// there: up to 900 bytes, then ✗ host vb, which says so
/// cause: host: vb: the packet has 901 bytes and may not be split, and the MTU is 900
/// ```
fn way(label: &str, way: &MtuWay) -> String {
    let Some(limit) = &way.limit else {
        return format!("{label} up to {} bytes, the MTU of {}\n", way.first_bytes, one_line(&way.first));
    };
    let at = limit.hop.as_ref().map_or_else(|| "a hop that was not found".to_owned(), stop);
    let mut out = match (way.bytes, way.is_told) {
        (Some(bytes), Some(true)) => {
            format!("{label} up to {bytes} bytes, then {CROSS} {at}, which says so\n")
        }
        (Some(bytes), _) => {
            format!("{label} up to {bytes} bytes, then {CROSS} {at}, without a word: a path MTU black hole\n")
        }
        (None, _) => format!("{label} nothing passes, {CROSS} {at}\n"),
    };
    out += &format!("cause: {}\n", one_line(&limit.text));
    for fix in &limit.fix {
        out += &format!("fix:   {}\n", &**fix);
    }
    if let Some(advice) = &limit.advice {
        out += &format!("note:  {}\n", one_line(advice));
    }
    out
}

#[cfg(test)]
mod tests {
    use common::diagnose::Cause;

    use super::*;
    use crate::model::{EvidenceLevel, HopPlace, TraceReport, TraceVerdict};

    fn limited(bytes: Option<u16>, is_told: Option<bool>) -> MtuWay {
        let limit = TraceReport {
            schema: 1,
            verdict: TraceVerdict::Lost,
            cause: Some(Cause::Mtu),
            text: "host: vb: the MTU is 900".to_owned(),
            hop: Some(HopPlace {
                container: "host".to_owned(),
                netns: 1,
                ifname: Some("vb".to_owned()),
                hook: None,
            }),
            rule: None,
            evidence: vec![EvidenceLevel::State],
            not_seen: Vec::new(),
            fix: common::hint!("ip link set vb mtu 1500").into_iter().collect(),
            advice: None,
            hops: Vec::new(),
        };
        MtuWay { bytes, first: "web eth0".to_owned(), first_bytes: 1500, is_told, limit: Some(limit) }
    }

    #[test]
    fn a_hop_that_says_so_is_told_from_a_black_hole() {
        let free = MtuWay { limit: None, bytes: Some(1500), is_told: None, ..limited(None, None) };
        let report = |there| MtuReport { schema: 1, there, back: Some(free.clone()), not_measured: None };
        let rest = "cause: host: vb: the MTU is 900\nfix:   ip link set vb mtu 1500\nback:  up to 1500 bytes, the MTU of web eth0\n";
        assert_eq!(
            text(&report(limited(Some(900), Some(true)))),
            format!("there: up to 900 bytes, then ✗ host vb, which says so\n{rest}")
        );
        assert_eq!(
            text(&report(limited(Some(900), Some(false)))),
            format!("there: up to 900 bytes, then ✗ host vb, without a word: a path MTU black hole\n{rest}")
        );
        assert!(text(&report(limited(None, None))).starts_with("there: nothing passes, ✗ host vb\n"));
    }
}
