//! Receipts, as the parties of a committee sign them and a bank shows them.

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::encoding::{Decode, Encode, Writer};
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite, VerifyingKey};
use quittance_ledger::ids::{RoundId, TransactionId, Uetr};
use quittance_ledger::merkle;
use quittance_ledger::payload::Particulars;
use quittance_mpc::{Parties, Share, split};
use quittance_round::queue::{Details, Leaf};
use quittance_round::receipt::{Receipt, ReceiptShare, Signers, Subject};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::signed::digest;
use super::{Kept, canonical};

const SUITE: Suite = Suite::MlDsa65MlKem768;

fn key(party: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[party; 32])
}

/// `receipts.json`.
pub fn receipts(kept: &Kept) -> Value {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let uetr = Uetr(*b"\x8b\x1c\x4c\xf2\x5d\x7c\x4b\xd1\x9c\x3b\x0d\x5c\xf4\xf5\xa0\x01");
    let particulars = Particulars::new(uetr, "INVOICE-1", "für Ware").expect("within bounds");
    let details = Details { salt: [4; 16], particulars };
    let amount = Opening::new(1_250, Blinding::random(&mut rng));
    let payee = Opening::new(3, Blinding::random(&mut rng));
    let (amount, payee) = (amount.commit(), payee.commit());
    let leaf = Leaf { amount, payee, details: details.digest() };
    let subject = Subject {
        round: RoundId(digest("round")),
        settlement: TransactionId(digest("settlement")),
        payer: "AAAAZZ01".parse().expect("an id"),
        payee: "BBBBZZ01".parse().expect("an id"),
        place: 0,
        leaf: merkle::leaf_hash(&leaf.to_bytes()),
    };
    let parties = Parties::new(3, 1).expect("a committee");
    let keys: Vec<VerifyingKey> = (1..=3).map(|party| key(party).verifying_key()).collect();
    let outcomes: Vec<Value> = [0u64, 1]
        .map(|bit| {
            let shares = split(Fr::from(bit), parties, &mut rng);
            outcome(bit == 1, subject, &shares, &keys, parties, &leaf, kept)
        })
        .to_vec();
    json!({
        "details": {
            "salt": hex::encode(details.salt),
            "UETR": uetr.to_string(),
            "EndToEndId": "INVOICE-1",
            "remittance": "für Ware",
            "digest": details.digest().to_string(),
        },
        "leaf": canonical(&leaf),
        "leaf hash": subject.leaf.to_string(),
        "threshold": 1,
        "receipt keys": keys.iter().map(canonical).collect::<Vec<_>>(),
        "outcomes": outcomes,
    })
}

fn outcome(
    settled: bool,
    subject: Subject,
    shares: &[Share],
    keys: &[VerifyingKey],
    parties: Parties,
    leaf: &Leaf,
    kept: &Kept,
) -> Value {
    let signed: Vec<(Value, ReceiptShare)> = parties
        .ids()
        .zip(shares)
        .map(|(party, share)| {
            let number = party.number();
            let place = format!("/outcomes/{}/shares/{}/bytes", u8::from(settled), number - 1);
            let mut stem = Writer::new();
            stem.u8(1);
            subject.encode(&mut stem);
            stem.u8(number);
            share.encode(&mut stem);
            let stem = stem.into_bytes();
            let holds = |bytes: &[u8]| {
                bytes.starts_with(&stem)
                    && ReceiptShare::from_bytes(bytes)
                        .is_ok_and(|it| it.verify(&keys[party.position()]).is_ok())
            };
            let bytes = kept.bytes(&place, holds, || {
                ReceiptShare::sign(subject, party, share.clone(), &key(number)).to_bytes()
            });
            let share = ReceiptShare::from_bytes(&bytes).expect("it holds");
            let fields =
                quittance_crypto::digest::Digest::of("quittance/v1/receipt-share", &[&stem[1..]]);
            let shown = json!({
                "party": number,
                "bytes": hex::encode(&bytes),
                "digest": fields.to_string(),
                "message": Purpose::Receipt.message(&fields).to_string(),
                "signature": hex::encode(Signature::as_bytes(&share.signature)),
            });
            (shown, share)
        })
        .collect();
    let (shown, shares): (Vec<Value>, Vec<ReceiptShare>) = signed.into_iter().unzip();
    let receipt = Receipt::new(shares).expect("shares about one payment");
    let verdict = receipt.verify(Signers { parties, keys }, leaf);
    assert_eq!(verdict, Ok(settled));
    json!({"settled": settled, "shares": shown, "receipt": canonical(&receipt)})
}
