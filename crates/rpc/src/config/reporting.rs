//! What every daemon tells about itself: its log lines and its metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::{Check, ListenAddress};
use crate::metrics::MetricsSection;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object in each line.
    Json,
}

/// What a daemon reports, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reporting {
    /// What is logged, such as `info` or `quittance_node=debug`.
    pub log: Option<String>,
    /// How.
    pub log_format: LogFormat,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
}

impl Reporting {
    /// Checks the keys `log`, `log_format` and `metrics`. `listening` are the process's other
    /// listeners with their sections: each needs an address of its own.
    pub fn check(
        log: Option<String>,
        log_format: LogFormat,
        metrics: Option<&MetricsSection>,
        listening: &[(&str, Option<ListenAddress>)],
        check: &mut Check,
    ) -> Self {
        if let Some(log) = &log {
            let filter = EnvFilter::builder().parse(log);
            check.take("log", filter.map_err(|error| format!("{log:?}: {error}")));
        }
        let metrics = metrics.and_then(|section| section.check("metrics", check));
        let sockets = listening
            .iter()
            .filter_map(|(key, it)| Some((format!("{key}.address"), it.as_ref()?.socket)));
        let of_metrics = metrics.map(|socket| ("metrics.listen".to_owned(), socket));
        let mut seen: Vec<(String, SocketAddr)> = Vec::new();
        for (key, socket) in sockets.chain(of_metrics) {
            let clash = seen.iter().find(|(_, other)| clashes(*other, socket));
            if let Some((other, _)) = clash {
                check.problem(&key, format!("{socket} is taken by {other} already"));
            }
            seen.push((key, socket));
        }
        Self { log, log_format, metrics }
    }
}

/// Whether two listeners cannot both have their address. Port 0 lets the system choose.
fn clashes(one: SocketAddr, other: SocketAddr) -> bool {
    let same_place =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_place
}
