//! Compiles `proto/` with a compiler written in Rust: no `protoc` is needed.

use std::path::{Path, PathBuf};

/// Messages that carry shares, openings or amounts of others: they have no `Debug`, so that no log
/// line can show them by accident.
const SECRET: [&str; 8] = [
    "quittance.party.v1.DealRequest",
    "quittance.party.v1.ResultsResponse",
    "quittance.peer.v1.OfferExchangeRequest",
    "quittance.peer.v1.JoinExchangeRequest",
    "quittance.peer.v1.JoinExchangeResponse",
    "quittance.peer.v1.CompleteExchangeRequest",
    "quittance.peer.v1.CompleteExchangeResponse",
    "quittance.peer.v1.AnnouncePaymentsRequest",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let files = ["node", "agent", "peer", "coordinator", "party"]
        .map(|name| root.join(format!("quittance/{name}/v1/{name}.proto")));
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .skip_debug(SECRET)
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
