//! Log lines of the daemons, on standard error.

use std::io::IsTerminal;

use quittance_rpc::config::{LogFormat, Reporting};
use tracing_subscriber::EnvFilter;

/// What is logged when nobody says anything.
const DEFAULT: &str = "info";

/// Begins to log: what `RUST_LOG` says, else what the configuration says, else `info`.
///
/// # Errors
/// When the configuration's setting is malformed.
pub fn begin(reporting: &Reporting) -> Result<(), tracing_subscriber::filter::ParseError> {
    let configured = reporting.log.as_deref().unwrap_or(DEFAULT);
    let configured = EnvFilter::builder().parse(configured)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or(configured);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match reporting.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.with_ansi(false).json().init(),
    }
    Ok(())
}
