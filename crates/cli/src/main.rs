//! The binary `quittance`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quittance_cli::command::run()
}
