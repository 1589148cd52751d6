//! Log lines of the daemons, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged when nobody says anything.
const DEFAULT: &str = "info";

/// Begins to log: what `RUST_LOG` says, else what the configuration says, else `info`.
///
/// # Errors
/// When the configuration's setting is malformed.
pub fn begin(configured: Option<&str>) -> Result<(), tracing_subscriber::filter::ParseError> {
    let configured = EnvFilter::builder().parse(configured.unwrap_or(DEFAULT))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or(configured);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
