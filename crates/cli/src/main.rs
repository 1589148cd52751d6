//! The binary `quittance`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// Transactions are allocated by one thread and freed by another, thousands in a second.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const _: () =
    assert!(!quittance_crypto::planted::COMPILED_IN, "no program that serves may hold defects");

fn main() -> ExitCode {
    quittance_cli::command::run()
}
