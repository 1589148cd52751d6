//! Everything that is decoded: what is accepted encodes to the very bytes that were read, whatever
//! they are. `fuzz/corpus` holds real objects of every kind: an input is the place of its decoder in
//! the target's list, and then the bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../crates/round/tests/simulation/bank.rs"]
#[allow(dead_code, reason = "the round's own tests use the rest")]
mod bank;
#[path = "../../fuzz/src/decoders.rs"]
mod decoders;
#[path = "../../crates/round/tests/simulation/party.rs"]
#[allow(dead_code, reason = "the round's own tests use the rest")]
mod party;
mod samples;
#[path = "../../crates/round/tests/simulation/world.rs"]
#[allow(dead_code, reason = "the round's own tests use the rest")]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use decoders::TARGETS;
use quittance_consensus::wire;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"))
}

/// A real object.
struct Seed {
    /// Its file, without the folder of its target.
    name: String,
    decode: fn(&[u8]) -> bool,
    bytes: Vec<u8>,
}

/// The real objects of each target, in order of their names. The name of a file is that of its
/// decoder, with a number if there are several.
fn seeds() -> Vec<(&'static str, Vec<Seed>)> {
    let of_target = |(target, decoders): &(&'static str, &[decoders::Decoder])| {
        let files = fs::read_dir(corpus().join(target)).expect("each target has a corpus");
        let mut seeds: Vec<Seed> = files
            .map(|file| {
                let file = file.unwrap();
                let name = file.file_name().into_string().unwrap();
                let input = fs::read(file.path()).unwrap();
                let (pick, bytes) = input.split_first().expect("an input is not empty");
                let (decoder, decode) = decoders[usize::from(*pick)];
                let number = name.strip_prefix(decoder).expect("named after its decoder");
                assert!(number.is_empty() || number[1..].parse::<u8>().is_ok(), "{name}");
                Seed { name, decode, bytes: bytes.to_vec() }
            })
            .collect();
        seeds.sort_by(|one, other| one.name.cmp(&other.name));
        (*target, seeds)
    };
    TARGETS.iter().map(of_target).collect()
}

#[test]
fn every_decoder_has_a_real_object_and_accepts_it() {
    for ((target, seeds), (_, decoders)) in seeds().iter().zip(TARGETS) {
        for seed in seeds {
            assert!((seed.decode)(&seed.bytes), "{target}/{} is refused", seed.name);
        }
        let seeded: BTreeSet<&str> = seeds
            .iter()
            .map(|seed| seed.name.trim_end_matches(|c: char| c.is_ascii_digit()))
            .collect();
        let seeded: BTreeSet<&str> = seeded.iter().map(|name| name.trim_end_matches('-')).collect();
        let all: BTreeSet<&str> = decoders.iter().map(|(name, _)| *name).collect();
        assert_eq!(seeded, all, "{target}");
    }
}

/// The programs of `fuzz/` run these lists, each its own.
#[test]
fn every_target_is_fuzzed() {
    let fuzz = corpus().join("..");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let file = format!("fuzz_targets/{target}.rs");
        let program = fs::read_to_string(fuzz.join(&file)).unwrap();
        assert!(program.contains(&format!("run(\"{target}\", input)")), "{file}");
        assert!(manifest.contains(&format!("name = \"{target}\"\npath = \"{file}\"")), "{target}");
    }
    assert_eq!(fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}

/// One change of a kind that decoders get wrong.
fn mutate(bytes: &[u8], other: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    let mut at = |length: usize| rng.next_u64() as usize % length.max(1);
    let place = at(bytes.len());
    match at(8) {
        0 => bytes.truncate(place),
        1 => bytes.push(at(256) as u8),
        2 => drop(bytes.drain(place..(place + 1 + at(40)).min(bytes.len()))),
        3 => {
            let from = at(other.len());
            let part = &other[from..(from + at(64)).min(other.len())];
            bytes.splice(place..place, part.iter().copied());
        }
        // Lengths, counts and tags are small numbers in few bytes: near the front most of them.
        4 => {
            let front = at(bytes.len().min(64));
            bytes[front] = at(6) as u8;
        }
        5 => {
            let front = at(bytes.len().min(64));
            bytes[front] = 0xff;
        }
        _ => bytes[place] ^= 1 << at(8),
    }
    bytes
}

/// Each decoder panics if it accepts bytes that are not the encoding of what it has read.
#[test]
fn whatever_is_accepted_encodes_to_the_same_bytes() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut tried, mut accepted) = (0, 0);
    for (_, seeds) in seeds() {
        for (place, seed) in seeds.iter().enumerate() {
            let other = &seeds[(place + 1) % seeds.len()].bytes;
            for _ in 0..300 {
                let mut bytes = mutate(&seed.bytes, other, &mut rng);
                if rng.next_u64().is_multiple_of(4) {
                    bytes = mutate(&bytes, other, &mut rng);
                }
                tried += 1;
                accepted += usize::from((seed.decode)(&bytes));
            }
        }
    }
    // Most changes hit keys, signatures and commitments, where many values are valid.
    assert!(accepted * 20 > tried, "only {accepted} of {tried} were accepted: nothing was tested");
    assert!(accepted < tried);
}

/// Writes objects of today's formats, which the other tests here start from: `make corpus`.
#[test]
#[ignore = "writes to fuzz/corpus; run it when a format has changed"]
fn the_corpus_is_written_anew() {
    let samples = samples::all();
    for (target, decoders) in TARGETS {
        let folder = corpus().join(target);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        for (pick, (decoder, decode)) in decoders.iter().enumerate() {
            let of_decoder = samples.iter().filter(|(name, _)| name == decoder);
            let distinct: BTreeSet<&Vec<u8>> = of_decoder.map(|(_, bytes)| bytes).collect();
            assert!(!distinct.is_empty(), "no {decoder}");
            for (number, bytes) in distinct.iter().enumerate() {
                assert!(decode(bytes), "{decoder} {number} is refused");
                let name = match distinct.len() {
                    1 => (*decoder).to_owned(),
                    _ => format!("{decoder}-{number}"),
                };
                fs::write(folder.join(name), [&[pick as u8][..], bytes].concat()).unwrap();
            }
        }
    }
}
