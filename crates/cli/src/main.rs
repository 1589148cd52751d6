//! The binary `quittance`.

use std::process::ExitCode;

const _: () =
    assert!(!quittance_crypto::planted::COMPILED_IN, "no program that serves may hold defects");

fn main() -> ExitCode {
    quittance_cli::command::run()
}
