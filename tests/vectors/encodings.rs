//! Encoding, digests, ids, commitments: what follows from fixed inputs alone.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::hash_to_scalar;
use quittance_crypto::group::{Commitment, Point, blinding_base, value_base};
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::{
    AccountId, AssetId, ChainId, CreditId, Height, InstitutionId, RoundId, TransactionId, Uetr,
};
use quittance_ledger::merkle;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::canonical;

/// Values that are read and written again, and bytes that are refused.
const ACCEPTED: [(&str, &str); 31] = [
    ("u8", "00"),
    ("u8", "ff"),
    ("u16", "0102"),
    ("u32", "01020304"),
    ("u64", "0000000000000001"),
    ("u64", "ffffffffffffffff"),
    ("[4]", "00ff1020"),
    ("bytes<=4", "00000000"),
    ("bytes<=4", "0000000161"),
    ("bytes<=4", "0000000461626364"),
    ("list<=3 of u64", "00000000"),
    ("list<=3 of u64", "0000000100000000000000ff"),
    ("list<=3 of u64", "00000003000000000000000100000000000000020000000000000003"),
    ("option of u64", "00"),
    ("option of u64", "010000000000000007"),
    ("tag<3", "02"),
    ("institution id", "4141414142424343000000"),
    ("institution id", "4141414142424343585858"),
    ("asset id", "455552000000000000000000"),
    ("asset id", "474f4c44424152534c4f4e44"),
    ("UETR", "8b1c4cf25d7c4bd19c3b0d5cf4f5a001"),
    ("suite", "01"),
    ("suite", "02"),
    ("scalar", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("scalar", "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
    ("commitment", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("commitment", "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"),
    ("opening", "00000000000000010000000000000000000000000000000000000000000000000000000000000000"),
    ("opening", "ffffffffffffffff0100000000000000000000000000000000000000000000000000000000000000"),
    ("height", "0000000000000009"),
    ("committee id", "00000001"),
];

const REFUSED: [(&str, &str); 34] = [
    ("u8", ""),
    ("u16", "01"),
    ("u32", "0102030405"),
    ("u64", "00000000000001"),
    ("bytes<=4", "000000"),
    ("bytes<=4", "0000000261"),
    ("bytes<=4", "000000016162"),
    ("bytes<=4", "000000056162636465"),
    ("bytes<=4", "ffffffff"),
    ("list<=3 of u64", "00000001"),
    ("list<=3 of u64", "00000004"),
    ("list<=3 of u64", "000000010000000000000001ff"),
    ("option of u64", ""),
    ("option of u64", "02"),
    ("option of u64", "01"),
    ("option of u64", "000000000000000007"),
    ("tag<3", "03"),
    ("institution id", "4141414142424300000000"),
    ("institution id", "4141414132424343000000"),
    ("institution id", "6141414142424343000000"),
    ("institution id", "4141414142424343580000"),
    ("institution id", "4141414142424343000058"),
    ("asset id", "455500000000000000000000"),
    ("asset id", "457552000000000000000000"),
    ("asset id", "455552000000000000000041"),
    ("suite", "00"),
    ("suite", "03"),
    // l itself, and the largest number.
    ("scalar", "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
    ("scalar", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    // RFC 9496, appendix A.3: not reduced, negative, not a square.
    ("commitment", "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ("commitment", "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("commitment", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("commitment", "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    ("opening", "0000000000000001edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
];

/// The value in these bytes as the files show it, and its encoding.
fn read(kind: &str, bytes: &[u8]) -> Result<(Value, Vec<u8>), DecodeError> {
    fn whole<T: Decode + Encode>(
        bytes: &[u8],
        show: fn(&T) -> Value,
    ) -> Result<(Value, Vec<u8>), DecodeError> {
        T::from_bytes(bytes).map(|value| (show(&value), value.to_bytes()))
    }
    let (mut input, mut out) = (Reader::new(bytes), Writer::new());
    let value = match kind {
        "u8" => input.u8(WHAT).map(|number| (out.u8(number), json!(number)).1)?,
        "u16" => input.u16(WHAT).map(|number| (out.u16(number), json!(number)).1)?,
        "u32" => input.u32(WHAT).map(|number| (out.u32(number), json!(number)).1)?,
        "u64" => {
            let number = input.u64(WHAT)?;
            out.u64(number);
            json!(number.to_string())
        }
        "[4]" => {
            let array: [u8; 4] = input.array(WHAT)?;
            out.array(&array);
            json!(hex::encode(array))
        }
        "bytes<=4" => {
            let string = input.bytes(4, WHAT)?;
            out.bytes(string);
            json!(hex::encode(string))
        }
        "list<=3 of u64" => {
            let items: Vec<u64> = input.list(3, WHAT)?;
            out.list(&items);
            items.iter().map(u64::to_string).collect()
        }
        "option of u64" => {
            let item: Option<u64> = input.option(WHAT)?;
            out.option(item.as_ref());
            item.map_or(Value::Null, |item| json!(item.to_string()))
        }
        "tag<3" => input.tag(3, WHAT).map(|tag| (out.u8(tag), json!(tag)).1)?,
        "institution id" => return whole(bytes, |id: &InstitutionId| json!(id.as_str())),
        "asset id" => return whole(bytes, |id: &AssetId| json!(id.as_str())),
        "UETR" => return whole(bytes, |uetr: &Uetr| json!(uetr.to_string())),
        "suite" => return whole(bytes, |suite: &Suite| json!(suite.name())),
        "scalar" => return whole(bytes, |scalar: &Blinding| json!(canonical(scalar))),
        "commitment" => return whole(bytes, |point: &Commitment| json!(canonical(point))),
        "opening" => {
            return whole(bytes, |opening: &Opening| {
                json!([opening.value.to_string(), canonical(&opening.blinding)])
            });
        }
        "height" => return whole(bytes, |height: &Height| json!(height.0.to_string())),
        "committee id" => {
            return whole(bytes, |id: &quittance_ledger::ids::CommitteeId| json!(id.0));
        }
        other => panic!("{other} is no kind of value"),
    };
    input.finish()?;
    Ok((value, out.into_bytes()))
}

/// What errors name.
const WHAT: &str = "value";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal digits")
}

/// `encoding.json`.
pub fn encoding() -> Value {
    let accepted = ACCEPTED.map(|(kind, text)| {
        let (value, again) = read(kind, &unhex(text)).expect(text);
        assert_eq!(hex::encode(again), text, "{kind}");
        json!({"type": kind, "value": value, "bytes": text})
    });
    let refused = REFUSED.map(|(kind, text)| {
        let error = read(kind, &unhex(text)).expect_err(text);
        json!({"type": kind, "bytes": text, "why": error.problem.to_string()})
    });
    json!({"accepted": accepted.to_vec(), "refused": refused.to_vec()})
}

/// `digests.json`.
pub fn digests() -> Value {
    let cases: [(&str, &[&[u8]]); 6] = [
        ("", &[]),
        ("a", &[]),
        ("a", &[b""]),
        ("quittance/v1/example", &[b"settled", b"and proven so"]),
        ("quittance/v1/example", &[b"settledand proven so"]),
        ("quittance/v1/example", &[&[0; 100], &[255; 3]]),
    ];
    let digests = cases.map(|(label, parts)| {
        let shown: Vec<String> = parts.iter().map(hex::encode).collect();
        json!({"label": label, "parts": shown, "digest": Digest::of(label, parts).to_string()})
    });
    let lists = [0usize, 1, 2, 3, 5, 8].map(|length| {
        let items: Vec<Vec<u8>> = (0..length).map(|index| vec![index as u8; index]).collect();
        let leaves: Vec<Digest> = items.iter().map(|item| merkle::leaf_hash(item)).collect();
        let paths: Vec<Vec<String>> = (0..length)
            .map(|index| {
                let proof = merkle::Proof::new(&leaves, index).expect("an index of the list");
                proof.path.iter().map(Digest::to_string).collect()
            })
            .collect();
        let items: Vec<String> = items.iter().map(hex::encode).collect();
        json!({"items": items, "root": merkle::root(&leaves).to_string(), "paths": paths})
    });
    json!({"digests": digests.to_vec(), "lists": lists.to_vec(), "ids": ids()})
}

fn ids() -> Value {
    let digest = |name: &str| Digest::of("quittance/v1/vectors", &[name.as_bytes()]);
    let (chain, body) = (ChainId(digest("chain")), digest("body"));
    let transaction = TransactionId(digest("transaction"));
    let account = AccountId {
        institution: "AAAABBCC".parse().expect("an id"),
        asset: "EUR".parse().expect("an id"),
    };
    let credits = [(0u32, 0u32), (0, 1), (1, 0), (7, 31)].map(|(entry, credit)| {
        let id = CreditId::of(transaction, entry, credit);
        json!({"entry": entry, "credit": credit, "id": canonical(&id)})
    });
    json!({
        "account": {"institution": "AAAABBCC", "asset": "EUR", "bytes": canonical(&account)},
        "credits": {"transaction": canonical(&transaction), "ids": credits.to_vec()},
        "round": {
            "chain": canonical(&chain),
            "body digest": body.to_string(),
            "id": canonical(&RoundId::of(chain, &body)),
        },
    })
}

/// `commitments.json`.
pub fn commitments() -> Value {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let values = [0, 1, 2, 1_000_000, u64::MAX];
    let mut openings: Vec<Opening> =
        values.iter().map(|value| Opening::random(*value, &mut rng)).collect();
    openings.push(Opening::zero());
    let sum: Point = openings.iter().map(|opening| opening.commit().point()).sum();
    let shown: Vec<Value> = openings
        .iter()
        .map(|opening| {
            json!({
                "value": opening.value.to_string(),
                "blinding": canonical(&opening.blinding),
                "commitment": canonical(&opening.commit()),
            })
        })
        .collect();
    let seed = [9u8; 32];
    let scalars = [0u32, 1, 31].map(|index| {
        let parts = [&seed[..], &index.to_be_bytes()];
        let scalar = hash_to_scalar("quittance/v1/credit-blinding", &parts);
        json!({"index": index, "scalar": canonical(&Blinding::from_scalar(scalar))})
    });
    json!({
        "B": hex::encode(value_base().compress()),
        "B~": hex::encode(blinding_base().compress()),
        "openings": shown,
        "sum of all": canonical(&Commitment::from(sum)),
        "credit blindings": {"seed": hex::encode(seed), "scalars": scalars.to_vec()},
    })
}
