//! Measuring by criterion, into the report.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Bencher, Criterion};
use quittance_benches::report::{Report, Row};
use serde_json::Value;

/// A folder on the disk that holds the target directory, gone when it is dropped.
pub(crate) fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// Where a section measures and reports.
pub(crate) struct Bench {
    criterion: Criterion,
    estimates: PathBuf,
    report: Report,
}

impl Bench {
    /// With the report in the target directory, `bench-report.json`.
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        let target =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
        let estimates = target.join("criterion");
        let criterion = Criterion::default()
            .output_directory(&estimates)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(8))
            .sample_size(20)
            .without_plots();
        let report = Report::open(&target.join("bench-report.json"))?;
        Ok(Self { criterion, estimates, report })
    }

    /// The median time of what `routine` repeats, in milliseconds.
    pub(crate) fn milliseconds(
        &mut self,
        name: &str,
        routine: impl FnMut(&mut Bencher<'_>),
    ) -> Result<f64, Box<dyn Error>> {
        self.criterion.bench_function(name, routine);
        let path = self.estimates.join(name).join("new").join("estimates.json");
        let estimates: Value = serde_json::from_slice(&fs::read(path)?)?;
        let median = estimates["median"]["point_estimate"].as_f64();
        Ok(median.ok_or("criterion wrote no median")? / 1e6)
    }

    /// Adds a row to the report.
    pub(crate) fn row(&mut self, row: Row) -> Result<(), Box<dyn Error>> {
        Ok(self.report.add(row)?)
    }
}

/// The report's table.
impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}
