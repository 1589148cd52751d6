//! The report: one row for each figure, as a table and as JSON.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One figure, beside that of a peer where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    name: String,
    unit: String,
    ours: f64,
    peer: Option<String>,
    peer_value: Option<f64>,
    /// How many times better ours is; below 1 it is worse.
    ratio: Option<f64>,
}

impl Row {
    /// A figure of which less is better: a time, a length. The peer has a name and a value.
    pub fn lower(name: &str, unit: &str, ours: f64, peer: Option<(&str, f64)>) -> Self {
        Self::new(name, unit, ours, peer, |ours, peer| peer / ours)
    }

    /// A figure of which more is better: so many in a second.
    pub fn higher(name: &str, unit: &str, ours: f64, peer: Option<(&str, f64)>) -> Self {
        Self::new(name, unit, ours, peer, |ours, peer| ours / peer)
    }

    fn new(
        name: &str,
        unit: &str,
        ours: f64,
        peer: Option<(&str, f64)>,
        ratio: fn(f64, f64) -> f64,
    ) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours,
            peer: peer.map(|(name, _)| name.to_owned()),
            peer_value: peer.map(|(_, value)| value),
            ratio: peer.map(|(_, value)| ratio(ours, value)),
        }
    }
}

/// All rows so far, kept in a file so that measurements may be made one after another.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    rows: Vec<Row>,
}

impl Report {
    /// The report in this file, empty if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let rows = match fs::read(path) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), rows })
    }

    /// Adds a row, in place of the one with its name, and writes the file.
    pub fn add(&mut self, row: Row) -> io::Result<()> {
        match self.rows.iter_mut().find(|other| other.name == row.name) {
            Some(other) => *other = row,
            None => self.rows.push(row),
        }
        fs::write(&self.path, serde_json::to_vec_pretty(&self.rows)?)
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["work", "unit", "ours", "peer's", "ratio", "peer"].map(str::to_owned);
        let lines: Vec<[String; 6]> = std::iter::once(heads)
            .chain(self.rows.iter().map(|row| {
                let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), figure);
                [
                    row.name.clone(),
                    row.unit.clone(),
                    figure(row.ours),
                    or_dash(row.peer_value),
                    or_dash(row.ratio),
                    row.peer.clone().unwrap_or("-".to_owned()),
                ]
            }))
            .collect();
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.len().max(*width);
            }
        }
        for [work, unit, numbers @ .., peer] in &lines {
            write!(f, "{work:0$}  {unit:1$}", widths[0], widths[1])?;
            for (number, width) in numbers.iter().zip(&widths[2..]) {
                write!(f, "  {number:>width$}")?;
            }
            writeln!(f, "  {peer}")?;
        }
        Ok(())
    }
}

/// Three significant digits.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_says_that_ours_is_better() {
        assert_eq!(Row::lower("a", "ms", 2.0, Some(("peer", 3.0))).ratio, Some(1.5));
        assert_eq!(Row::higher("a", "1/s", 2.0, Some(("peer", 4.0))).ratio, Some(0.5));
        assert_eq!(Row::higher("a", "1/s", 2.0, None).ratio, None);
    }

    #[test]
    fn rows_are_kept_and_replaced_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut report = Report::open(&path).unwrap();
        report.add(Row::lower("first", "ms", 2.0, Some(("peer", 3.0)))).unwrap();
        report.add(Row::higher("second", "1/s", 1234.5, None)).unwrap();
        let mut report = Report::open(&path).unwrap();
        report.add(Row::lower("first", "ms", 0.25, Some(("peer", 3.0)))).unwrap();

        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let expected = serde_json::json!([
            { "name": "first", "unit": "ms", "ours": 0.25, "peer": "peer", "peer_value": 3.0,
              "ratio": 12.0 },
            { "name": "second", "unit": "1/s", "ours": 1234.5, "peer": null, "peer_value": null,
              "ratio": null },
        ]);
        assert_eq!(json, expected);
        let table = "work    unit   ours  peer's  ratio  peer\n\
                     first   ms    0.250    3.00   12.0  peer\n\
                     second  1/s    1234       -      -  -\n";
        assert_eq!(report.to_string(), table);
    }
}
