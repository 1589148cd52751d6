//! `quittance-audit`: verifies a chain, from a node or from a file, receipts, and evidence against
//! validators.
//!
//! Exit status: 0 verified, 1 a fault was found, 2 the audit could not be carried out.

mod command;
mod show;
mod source;

use std::process::ExitCode;

use clap::Parser;
use command::{Arguments, Verdict};

const _: () =
    assert!(!quittance_crypto::planted::COMPILED_IN, "no program that serves may hold defects");

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    match command::run(Arguments::parse()).await {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Faulty) => ExitCode::from(1),
        Err(error) => {
            eprintln!("quittance-audit: {error}");
            ExitCode::from(2)
        }
    }
}
