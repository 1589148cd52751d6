//! `docs/limits.md` says what the code does: each value is that of the constant it names, and no
//! bound of a process is missing there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_ledger::state;
use quittance_rpc::limits::{Limits, METHODS, MethodLimit, OTHER};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// The rows of all tables, by their first cell without its quotes.
fn rows() -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(root().join("docs/limits.md")).expect("the page");
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = cells[0].trim_matches('`').to_owned();
        let header = ["limit", "method"].contains(&name.as_str());
        assert!(header || rows.insert(name, cells).is_none(), "twice: {line}");
    }
    rows
}

/// `4 KiB`, `1 MiB + 4 KiB`, `30 s`, `65,536`: bytes, milliseconds, or a number.
fn value(text: &str) -> u64 {
    let one = |text: &str| {
        let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let unit = match unit {
            "" | "ms" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "s" => 1_000,
            "h" => 3_600_000,
            other => panic!("unknown unit {other} in {text}"),
        };
        number.replace(',', "").parse::<u64>().unwrap_or_else(|_| panic!("no value: {text}")) * unit
    };
    text.split('+').map(one).sum()
}

/// A constant of the source, if its value is written in plain numbers.
fn evaluate(expression: &str) -> Option<u64> {
    let expression = expression.replace('_', "");
    let inner = |name: &str| expression.strip_prefix(name)?.strip_suffix(')')?.parse::<u64>().ok();
    if let Some(seconds) = inner("Duration::fromsecs(") {
        return Some(seconds * 1_000);
    }
    if let Some(milliseconds) = inner("Duration::frommillis(") {
        return Some(milliseconds);
    }
    if let Some((one, shift)) = expression.split_once(" << ") {
        return Some(one.parse::<u64>().ok()? << shift.parse::<u32>().ok()?);
    }
    let factors = expression.split(" * ").map(|factor| factor.parse::<u64>().ok());
    factors.product()
}

/// Where the sources of crates are, and those whose every bound must be listed.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.starts_with("test") {
            found.push(path);
        }
    }
}

/// The constants of a file with their expressions, in the page's way of naming them.
fn constants(krate: &str, file: &Path, source: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).expect("a source");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let module = file.strip_prefix(source).expect("inside").with_extension("");
    let module = module.to_str().expect("UTF-8").trim_end_matches("/mod");
    let constant = |line: &str| {
        let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let line = line.trim_start_matches("pub(super) ").strip_prefix("const ")?;
        let (name, rest) = line.split_once(": ")?;
        let (kind, expression) = rest.strip_suffix(';')?.split_once(" = ")?;
        let number = ["usize", "u64", "u32", "u16", "u8", "Duration"].contains(&kind);
        number.then(|| (format!("{krate}/{module}: {name}"), expression.to_owned()))
    };
    text.lines().filter_map(constant).collect()
}

const CRATES: [&str; 12] = [
    "agent",
    "audit",
    "circuit",
    "consensus",
    "coordinator",
    "crypto",
    "ledger",
    "mpc",
    "mpc-party",
    "node",
    "round",
    "rpc",
];

fn all_constants() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for krate in CRATES {
        let source = root().join("crates").join(krate).join("src");
        let mut files = Vec::new();
        sources(&source, &mut files);
        all.extend(files.iter().flat_map(|file| constants(krate, file, &source)));
    }
    all
}

#[test]
fn each_constant_has_the_value_that_the_page_gives() {
    let all = all_constants();
    let mut wrong = Vec::new();
    for (name, cells) in rows().iter().filter(|(name, _)| name.contains(": ")) {
        match all.get(name).map(|expression| (expression, evaluate(expression))) {
            None => wrong.push(format!("{name} does not exist")),
            // Made of other constants: those are listed themselves.
            Some((_, None)) => {}
            Some((_, Some(is))) if is == value(&cells[1]) => {}
            // In the unit that its name says.
            Some((expression, Some(_))) => {
                wrong.push(format!("{name} is {expression}, not {}", cells[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Of each crate, constants that are called a maximum; and whatever waits.
#[test]
fn no_bound_is_missing() {
    let listed = rows();
    let bound = |name: &str| {
        let short = name.split(": ").nth(1).unwrap_or_default();
        short.starts_with("MAX_") || ["WAITING", "PATIENCE", "QUEUE", "WINDOW"].contains(&short)
    };
    // Bounds that follow from others, by their expressions.
    let missing: Vec<_> = all_constants()
        .into_iter()
        .filter(|(name, expression)| {
            bound(name) && evaluate(expression).is_some() && !listed.contains_key(name)
        })
        .collect();
    assert!(missing.is_empty(), "not in docs/limits.md: {missing:#?}");
}

#[test]
fn connections_and_time_are_as_the_page_says() {
    let Limits {
        handshakes,
        handshakes_per_address,
        handshakes_reserved,
        known_addresses,
        known_time,
        handshake_time,
        penalty_time,
        connections,
        connections_per_institution,
        streams,
        resets,
        header_bytes,
        window_bytes,
        turn_bytes,
        reading_share,
        reading_burst,
        bytes_in_flight,
        bytes_reserved,
        request_step,
        body_time,
        request_time,
        keepalive_interval,
        keepalive_time,
        drain_time,
    } = Limits::default();
    let time = |time: Duration| u64::try_from(time.as_millis()).expect("short");
    let fields = [
        ("handshakes", handshakes),
        ("handshakes_per_address", handshakes_per_address),
        ("handshakes_reserved", handshakes_reserved),
        ("known_addresses", known_addresses as u64),
        ("known_time", time(known_time)),
        ("handshake_time", time(handshake_time)),
        ("penalty_time", time(penalty_time)),
        ("connections", connections),
        ("connections_per_institution", connections_per_institution),
        ("streams", streams.into()),
        ("resets", resets as u64),
        ("header_bytes", header_bytes.into()),
        ("window_bytes", window_bytes.into()),
        ("turn_bytes", turn_bytes as u64),
        ("reading_share", time(reading_share)),
        ("reading_burst", time(reading_burst)),
        ("bytes_in_flight", bytes_in_flight),
        ("bytes_reserved", bytes_reserved),
        ("request_step", request_step as u64),
        ("body_time", time(body_time)),
        ("request_time", time(request_time)),
        ("keepalive_interval", time(keepalive_interval)),
        ("keepalive_time", time(keepalive_time)),
        ("drain_time", time(drain_time)),
    ];
    compare("Limits::", &fields);
}

#[test]
fn the_chains_own_limits_are_as_the_page_says() {
    let state::Limits {
        pending_per_sender,
        refund_after,
        max_expiry,
        max_round,
        block_transactions,
        block_bytes,
    } = state::Limits::default();
    let fields = [
        ("pending_per_sender", pending_per_sender.into()),
        ("refund_after", refund_after),
        ("max_expiry", max_expiry),
        ("max_round", max_round),
        ("block_transactions", block_transactions.into()),
        ("block_bytes", block_bytes.into()),
    ];
    compare("state::Limits::", &fields);
}

fn compare(prefix: &str, fields: &[(&str, u64)]) {
    let rows = rows();
    let listed: BTreeSet<_> =
        rows.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    let expected: BTreeSet<_> = fields.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
    assert_eq!(listed, expected);
    for (name, is) in fields {
        assert_eq!(value(&rows[&format!("{prefix}{name}")][1]), *is, "{name}");
    }
}

#[test]
fn messages_are_as_the_page_says() {
    let rows = rows();
    let listed = rows.keys().filter(|name| name.contains('/') && !name.contains(": ")).count();
    assert_eq!(listed, METHODS.len(), "each method of the table is one of the code");
    for MethodLimit { method, request, response, .. } in METHODS.iter().chain([&OTHER]) {
        let name = method.strip_prefix("quittance.").unwrap_or(method);
        let row = rows.get(name).unwrap_or_else(|| panic!("{name} is not in docs/limits.md"));
        assert_eq!(value(&row[1]), *request as u64, "{name}: request");
        assert_eq!(value(&row[2]), *response as u64, "{name}: response");
    }
}

#[test]
fn values_are_read_as_people_read_them() {
    assert_eq!(value("1 MiB + 4 KiB"), (1 << 20) + (4 << 10));
    assert_eq!((value("30 s"), value("65,536"), value("1 h")), (30_000, 65_536, 3_600_000));
    assert_eq!(evaluate("1 << 20"), Some(1 << 20));
    assert_eq!(evaluate("Duration::from_secs(10)"), Some(10_000));
    assert_eq!(evaluate("64 * 1024"), Some(65_536));
    assert_eq!(evaluate("2 * MAX_MESSAGE"), None);
}
