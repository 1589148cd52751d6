//! Signatures and range proofs.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Writer};
use quittance_crypto::group::Commitment;
use quittance_crypto::range_proof::{self, RangeProof};
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng};
use serde_json::{Value, json};

use super::{Kept, canonical};

const SUITES: [Suite; 2] = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];

/// The digest that stands for a message in these files.
pub fn digest(name: &str) -> Digest {
    Digest::of("quittance/v1/vectors", &[name.as_bytes()])
}

/// `signatures.json`.
pub fn signatures(kept: &Kept) -> Value {
    let suites: Vec<Value> = SUITES
        .iter()
        .enumerate()
        .map(|(place, suite)| {
            let seed = [place as u8 + 1; 32];
            let key = SigningKey::from_seed(*suite, &seed);
            let public = key.verifying_key();
            let signed: Vec<Value> = Purpose::ALL
                .iter()
                .enumerate()
                .map(|(number, purpose)| {
                    let digest = digest(purpose.label());
                    let holds = |bytes: &[u8]| {
                        Signature::from_bytes(bytes)
                            .is_ok_and(|it| public.verify(*purpose, &digest, &it).is_ok())
                    };
                    let place = format!("/{place}/signed/{number}/signature");
                    let signature =
                        kept.bytes(&place, holds, || key.sign(*purpose, &digest).to_bytes());
                    json!({
                        "purpose": purpose.label(),
                        "digest": digest.to_string(),
                        "message": purpose.message(&digest).to_string(),
                        "signature": hex::encode(signature),
                    })
                })
                .collect();
            json!({
                "suite": suite.name(),
                "seed": hex::encode(seed),
                "verifying key": canonical(&public),
                "fingerprint": public.fingerprint().to_string(),
                "signed": signed,
            })
        })
        .collect();
    Value::from(suites)
}

/// `range-proofs.json`.
pub fn range_proofs(kept: &Kept) -> Value {
    let lists: [&[u64]; 4] = [&[u64::MAX], &[0, 1], &[5, 0, u64::MAX], &[1, 2, 3, 4, 5]];
    let proofs: Vec<Value> = lists
        .iter()
        .enumerate()
        .map(|(place, values)| {
            let mut rng = ChaCha20Rng::from_seed([place as u8 + 1; 32]);
            let openings: Vec<Opening> = values
                .iter()
                .map(|value| Opening::new(*value, Blinding::random(&mut rng)))
                .collect();
            let commitments: Vec<Commitment> = openings.iter().map(Opening::commit).collect();
            let context = digest(&format!("context {place}"));
            let holds = |bytes: &[u8]| {
                RangeProof::from_bytes(bytes)
                    .is_ok_and(|it| range_proof::verify(&context, &commitments, &it).is_ok())
            };
            let prove = || range_proof::prove(&context, &openings, &mut OsRng);
            let proof = kept.bytes(&format!("/valid/{place}/proof"), holds, || {
                prove().expect("values in range").to_bytes()
            });
            let shown: Vec<Value> = openings
                .iter()
                .map(|opening| json!([opening.value.to_string(), canonical(&opening.blinding)]))
                .collect();
            json!({
                "openings": shown,
                "commitments": commitments.iter().map(canonical).collect::<Vec<_>>(),
                "context": context.to_string(),
                "proof": hex::encode(proof),
            })
        })
        .collect();
    let invalid: Vec<Value> = spoilt(&proofs[1]);
    json!({"valid": proofs, "invalid": invalid})
}

/// A valid proof with one thing wrong with it.
fn spoilt(valid: &Value) -> Vec<Value> {
    let text = |name: &str| valid[name].as_str().expect("a text").to_owned();
    let proof = hex::decode(text("proof")).expect("hexadecimal digits");
    let commitments: Vec<Commitment> = valid["commitments"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|text| hex::decode(text.as_str().expect("a text")).expect("hexadecimal digits"))
        .map(|bytes| Commitment::from_bytes(&bytes).expect("a commitment"))
        .collect();
    let context: Digest = text("context").parse().expect("a digest");
    let mut cases = vec![];
    let mut case = |why: String, context: Digest, commitments: &[Commitment], proof: &[u8]| {
        let verdict = RangeProof::from_bytes(proof)
            .map(|proof| range_proof::verify(&context, commitments, &proof));
        assert!(!matches!(verdict, Ok(Ok(()))), "{why} is accepted");
        cases.push(json!({
            "why": why,
            "commitments": commitments.iter().map(canonical).collect::<Vec<_>>(),
            "context": context.to_string(),
            "proof": hex::encode(proof),
        }));
    };
    case("another context".to_owned(), digest("another"), &commitments, &proof);
    let swapped = [commitments[1], commitments[0]];
    case("commitments in another order".to_owned(), context, &swapped, &proof);
    case("a commitment too few".to_owned(), context, &commitments[..1], &proof);
    let more = [&commitments[..], &[Commitment::identity()]].concat();
    case("a commitment too many".to_owned(), context, &more, &proof);
    // The length of the encoded byte string is not part of the proof's own bytes.
    const LENGTH: usize = 4;
    for (field, name) in ["A", "S", "T_1", "T_2", "t_x", "t_x~", "e~"].iter().enumerate() {
        let mut changed = proof.clone();
        changed[LENGTH + 32 * field] ^= 2;
        case(format!("a bit of {name} changed"), context, &commitments, &changed);
    }
    let mut out = Writer::new();
    out.bytes(&proof[LENGTH..proof.len() - 32]);
    case("the last scalar cut off".to_owned(), context, &commitments, &out.into_bytes());
    cases
}
