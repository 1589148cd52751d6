//! The test vectors in `docs/vectors/`, made again by this code and compared byte by byte.
//!
//! With `QUITTANCE_WRITE_VECTORS=1` in the environment the files are written instead.
//!
//! Signatures, seals and proofs contain fresh entropy, so they cannot be made again. They are kept:
//! taken from the file, shown to hold, and all else is derived from them and from fixed seeds.

mod chain;
mod encodings;
mod receipts;
mod sealed;
mod signed;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Suite;
use serde_json::Value;

/// What a file held before.
pub struct Kept(Value);

impl Kept {
    /// The bytes at a place of the file (a JSON pointer) if they still hold, otherwise fresh ones.
    pub fn bytes(
        &self,
        place: &str,
        holds: impl Fn(&[u8]) -> bool,
        fresh: impl FnOnce() -> Vec<u8>,
    ) -> Vec<u8> {
        let kept = self.0.pointer(place).and_then(Value::as_str);
        let kept = kept.and_then(|text| hex::decode(text).ok());
        kept.filter(|bytes| holds(bytes)).unwrap_or_else(|| {
            let bytes = fresh();
            assert!(holds(&bytes), "{place}: what has just been made does not hold");
            bytes
        })
    }
}

/// Canonical bytes as the files show them.
pub fn canonical(value: &impl Encode) -> String {
    hex::encode(value.to_bytes())
}

type Maker = fn(&Kept) -> Value;

const FILES: [(&str, Maker); 9] = [
    ("encoding.json", |_| encodings::encoding()),
    ("digests.json", |_| encodings::digests()),
    ("commitments.json", |_| encodings::commitments()),
    ("signatures.json", signed::signatures),
    ("range-proofs.json", signed::range_proofs),
    ("seals.json", sealed::seals),
    ("chain.json", |kept| chain::chain(Suite::MlDsa65MlKem768, kept)),
    ("chain-suite-2.json", |kept| chain::chain(Suite::MlDsa87MlKem1024, kept)),
    ("receipts.json", receipts::receipts),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors")
}

#[test]
fn the_vectors_are_what_this_code_makes() {
    let write = std::env::var_os("QUITTANCE_WRITE_VECTORS").is_some();
    let mut different = vec![];
    for (name, make) in FILES {
        let path = folder().join(name);
        let old = fs::read_to_string(&path).unwrap_or_default();
        let kept = Kept(serde_json::from_str(&old).unwrap_or(Value::Null));
        let new = serde_json::to_string_pretty(&make(&kept)).expect("JSON") + "\n";
        if new != old {
            different.push(name);
        }
        if write {
            fs::write(path, new).expect("the folder of the vectors");
        }
    }
    assert!(
        write || different.is_empty(),
        "{different:?} are not what this code makes: either the format has changed without wanting \
         to, or write them anew (QUITTANCE_WRITE_VECTORS=1 cargo test ... --test vectors) and say \
         why in docs/vectors.md"
    );
}

#[test]
fn every_file_is_known_and_explained() {
    let entries = fs::read_dir(folder()).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let found: BTreeSet<String> = names.map(|name| name.expect("a plain name")).collect();
    let page = fs::read_to_string(folder().join("../vectors.md")).expect("the page");
    let json = found.iter().filter(|name| name.ends_with(".json"));
    assert!(json.eq(BTreeSet::from(FILES.map(|(name, _)| name.to_owned())).iter()));
    for name in &found {
        assert!(page.contains(name.as_str()), "docs/vectors.md does not explain {name}");
    }
}
