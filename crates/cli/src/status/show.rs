//! The status as a table with what is not well below it, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::Status;
use super::judge::{self, Finding};
use super::probe::{Asked, Facts};
use crate::table::Table;

/// For people. What is not well comes last, where one looks first.
pub fn text(status: &Status) -> String {
    let several = several(&status.processes);
    let mut titles = vec!["process", "institution", "state", ">block", ">behind", ">its age"];
    titles.extend(several.then_some("peers"));
    titles.extend([">up for", "version", "in hand", "at"]);
    let mut table = Table::new(&titles);
    for asked in &status.processes {
        let Facts { height, block_ms, version, started_ms, work, .. } = &asked.facts;
        let since =
            |then: &Option<u64>| then.map(|then| age(asked.at_ms, then)).unwrap_or_default();
        let behind = lag(asked, several).map(|blocks| blocks.to_string());
        let mut row = vec![
            judge::kind(asked.subject.name.process).to_owned(),
            asked.subject.name.institution.to_string(),
            asked.state.label().to_owned(),
            height.map(|height| height.to_string()).unwrap_or_default(),
            behind.unwrap_or_default(),
            since(block_ms),
        ];
        row.extend(several.then(|| peers(&asked.facts)));
        row.extend([
            since(started_ms),
            version.clone().unwrap_or_default(),
            in_hand(work),
            asked.subject.address.clone(),
        ]);
        table.line(row);
    }
    format!("{}\n\n{table}\n{}", utc(status.at_ms), verdict(status))
}

fn verdict(status: &Status) -> String {
    let processes = status.processes.len();
    let said = match processes {
        0 => "There is no process to ask.".to_owned(),
        1 => "The process is well.".to_owned(),
        _ => format!("All {processes} processes are well."),
    };
    if status.findings.is_empty() {
        return said + "\n";
    }
    let mut text = String::from("NOT WELL:\n");
    for Finding { place, what, advice, .. } in &status.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n  {place}\n    {}", what.replace('\n', "\n    "));
        for line in advice {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// Whether there are several validators.
fn several(processes: &[Asked]) -> bool {
    processes.iter().filter(|asked| asked.is_node()).count() > 1
}

/// With how many of the other validators one is connected: `3 of 3`.
fn peers(facts: &Facts) -> String {
    let of = facts.peers.zip(facts.validators);
    of.map(|(peers, all)| format!("{peers} of {}", all.saturating_sub(1))).unwrap_or_default()
}

/// How many blocks a process lacks; negative if it has more than the node. Of several nodes, the
/// first is meant.
fn lag(asked: &Asked, several: bool) -> Option<i64> {
    let node = asked.node.filter(|_| several || !asked.is_node())?;
    i64::try_from(i128::from(node.height) - i128::from(asked.facts.height?)).ok()
}

fn age(now_ms: u64, then_ms: u64) -> String {
    duration(Duration::from_millis(now_ms.saturating_sub(then_ms)))
}

/// What a process has in hand: `2 transfers, 1 warning`; what there is none of is left out.
fn in_hand(work: &BTreeMap<&'static str, u64>) -> String {
    let some = work.iter().filter(|(_, count)| **count > 0);
    let some = some.map(|(what, count)| match count {
        1 => format!("1 {}", what.strip_suffix("es").unwrap_or(what.trim_end_matches('s'))),
        _ => format!("{count} {what}"),
    });
    some.collect::<Vec<_>>().join(", ")
}

/// `0.4 s`, `12 s`, `3 min`, `2 h 05 min`, `5 d 3 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds, seconds / 60, seconds / 3600) {
        (0..=9, ..) => format!("{:.1} s", duration.as_secs_f64()),
        (10..=119, ..) => format!("{seconds} s"),
        (_, 2..=59, _) => format!("{} min", seconds / 60),
        (_, minutes, hours @ 1..=47) => format!("{hours} h {:02} min", minutes % 60),
        (.., hours) => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// `2026-11-27T23:40:12Z`.
fn utc(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1000).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[derive(Serialize)]
struct Shown<'a> {
    at: String,
    well: bool,
    processes: Vec<Process<'a>>,
    findings: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Process<'a> {
    process: &'static str,
    institution: &'a str,
    address: &'a str,
    state: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    height: Option<u64>,
    behind: Option<i64>,
    block_age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validators: Option<u64>,
    uptime_ms: Option<u64>,
    version: Option<&'a str>,
    in_hand: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Found<'a> {
    place: &'a str,
    what: &'a str,
    advice: &'a [String],
}

/// For programs. What is not known is null.
pub fn json(status: &Status) -> Result<String, serde_json::Error> {
    let several = several(&status.processes);
    let process = |asked| {
        let Asked { subject, state, reason, facts, at_ms, .. }: &Asked = asked;
        let since = |then: Option<u64>| then.map(|then| at_ms.saturating_sub(then));
        Process {
            process: subject.name.process.as_str(),
            institution: subject.name.institution.as_str(),
            address: &subject.address,
            state: state.word(),
            reason,
            height: facts.height,
            behind: lag(asked, several),
            block_age_ms: since(facts.block_ms),
            peers: facts.peers,
            validators: facts.validators,
            uptime_ms: since(facts.started_ms),
            version: facts.version.as_deref(),
            in_hand: &facts.work,
        }
    };
    let found = |finding| {
        let Finding { place, what, advice, .. }: &Finding = finding;
        Found { place, what, advice }
    };
    serde_json::to_string_pretty(&Shown {
        at: utc(status.at_ms),
        well: status.findings.is_empty(),
        processes: status.processes.iter().map(process).collect(),
        findings: status.findings.iter().map(found).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        for (seconds, text) in [
            (0.04, "0.0 s"),
            (0.44, "0.4 s"),
            (12.7, "12 s"),
            (119.0, "119 s"),
            (120.0, "2 min"),
            (3_599.0, "59 min"),
            (3_600.0, "1 h 00 min"),
            (7_500.0, "2 h 05 min"),
            (172_799.0, "47 h 59 min"),
            (442_800.0, "5 d 3 h"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!(utc(1_764_286_812_345), "2025-11-27T23:40:12Z");
    }

    #[test]
    fn only_what_is_in_hand_is_shown() {
        let work = BTreeMap::from([("transfers", 0), ("payments", 5), ("warnings", 1)]);
        assert_eq!(in_hand(&work), "5 payments, 1 warning");
        assert_eq!(in_hand(&BTreeMap::new()), "");
    }
}
