//! Seals to others and notes to oneself.

use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::{Sealed, SealingKey, seal};
use quittance_crypto::signature::Suite;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::{Kept, canonical};

const ASSOCIATED: &[u8] = b"where it stands";
const TEXT: &[u8] = b"what nobody else reads";

/// `seals.json`.
pub fn seals(kept: &Kept) -> Value {
    let suites = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];
    let seals: Vec<Value> = suites
        .iter()
        .enumerate()
        .map(|(place, suite)| {
            let works = |bytes: &[u8]| SealingKey::from_secret_bytes(*suite, bytes).is_ok();
            let fresh = || SealingKey::generate(*suite).to_secret_bytes().to_vec();
            let secret = kept.bytes(&format!("/seals/{place}/secret key"), works, fresh);
            let key = SealingKey::from_secret_bytes(*suite, &secret).expect("it works");
            let opens = |bytes: &[u8]| {
                Sealed::from_bytes(bytes)
                    .is_ok_and(|it| key.open(ASSOCIATED, &it).is_ok_and(|text| **text == *TEXT))
            };
            let fresh = || seal(key.public_key(), ASSOCIATED, TEXT).expect("a seal").to_bytes();
            let sealed = kept.bytes(&format!("/seals/{place}/sealed"), opens, fresh);
            json!({
                "suite": suite.name(),
                "secret key": hex::encode(&secret),
                "sealing key": canonical(key.public_key()),
                "fingerprint": key.public_key().fingerprint().to_string(),
                "associated data": hex::encode(ASSOCIATED),
                "text": hex::encode(TEXT),
                "sealed": hex::encode(sealed),
            })
        })
        .collect();
    let key = [7; 32];
    let note = NoteKey::from_bytes(&key).seal(ASSOCIATED, TEXT, &mut ChaCha20Rng::from_seed(key));
    let note = json!({
        "key": hex::encode(key),
        "associated data": hex::encode(ASSOCIATED),
        "text": hex::encode(TEXT),
        "note": hex::encode(note),
    });
    json!({"seals": seals, "note": note})
}
