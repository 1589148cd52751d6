//! What the fuzz targets run: the decoders of [`decoders`], which the tests run as well.

#![forbid(unsafe_code)]

pub mod decoders;
// Without the engine, which would be built with the instrumentation of the fuzzer.
#[allow(dead_code, unused_imports, reason = "the engine uses the rest")]
#[path = "../../crates/consensus/src/wire/mod.rs"]
mod wire;

use decoders::TARGETS;

/// Runs the decoder that the first byte of `input` picks from the list of `target` on the rest.
///
/// # Panics
/// If the decoder accepts what it should not: a find.
pub fn run(target: &str, input: &[u8]) {
    let (_, decoders) =
        TARGETS.iter().find(|(name, _)| *name == target).expect("a target of the list");
    let Some((pick, bytes)) = input.split_first() else { return };
    // Any first byte picks one: no input is wasted.
    let (_, decode) = decoders[usize::from(*pick) % decoders.len()];
    decode(bytes);
}
