//! Receipts, as the parties of a committee sign them and a bank shows them.

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::encoding::{Decode, Encode, Writer};
use quittance_crypto::field::{hash_to_scalar, to_field};
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId, TransactionId, Uetr};
use quittance_ledger::merkle;
use quittance_ledger::payload::Particulars;
use quittance_mpc::{Parties, PartyId};
use quittance_round::queue::{Details, Leaf, Pad};
use quittance_round::receipt::{
    Attestation, Disclosure, Queue, Receipt, Signers, Statement, Subject, Verdict,
};
use quittance_round::result::Notices;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::signed::digest;
use super::{Kept, canonical};

const SUITE: Suite = Suite::MlDsa65MlKem768;

/// Places of each of the two queues, and the place of the payment that receipts are about.
const PLACES: usize = 8;
const PLACE: usize = 2;

fn key(party: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[party; 32])
}

fn payer() -> InstitutionId {
    "AAAAZZ01".parse().expect("an id")
}

/// A pad of the payment, by attempt.
fn pad(attempt: u8) -> Pad {
    let scalar = |label| hash_to_scalar(label, &[&[attempt]]);
    Pad::new(scalar("example pad"), Blinding::from_scalar(scalar("example blinding")))
}

fn pad_value(attempt: u8) -> Fr {
    to_field(&hash_to_scalar("example pad", &[&[attempt]]))
}

/// Uniform to who has no pad.
fn other_notice(queue: u8, place: usize) -> Fr {
    to_field(&hash_to_scalar("example notice", &[&[queue, place as u8]]))
}

/// `receipts.json`.
pub fn receipts(kept: &Kept) -> Value {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let uetr = Uetr(*b"\x8b\x1c\x4c\xf2\x5d\x7c\x4b\xd1\x9c\x3b\x0d\x5c\xf4\xf5\xa0\x01");
    let particulars = Particulars::new(uetr, "INVOICE-1", "für Ware").expect("within bounds");
    let details = Details { salt: [4; 16], particulars };
    let amount = Opening::new(1_250, Blinding::random(&mut rng));
    let payee = Opening::new(3, Blinding::random(&mut rng));
    let pads = [pad(0).commit(), pad(1).commit()];
    let leaf =
        Leaf { amount: amount.commit(), payee: payee.commit(), pads, details: details.digest() };
    let hashes: Vec<_> = (0..PLACES)
        .map(|place| match place {
            PLACE => merkle::leaf_hash(&leaf.to_bytes()),
            _ => digest(&format!("leaf {place}")),
        })
        .collect();
    let inclusion = merkle::Proof::new(&hashes, PLACE).expect("it is there");
    let shown = Payment { leaf, inclusion, payee, root: merkle::root(&hashes) };
    let keys: Vec<VerifyingKey> = (1..=3).map(|party| key(party).verifying_key()).collect();
    let outcomes: Vec<Value> =
        [false, true].map(|settled| outcome(settled, &shown, &keys, kept)).to_vec();
    json!({
        "details": {
            "salt": hex::encode(details.salt),
            "UETR": uetr.to_string(),
            "EndToEndId": "INVOICE-1",
            "remittance": "für Ware",
            "digest": details.digest().to_string(),
        },
        "leaf": canonical(&leaf),
        "leaf hash": merkle::leaf_hash(&leaf.to_bytes()).to_string(),
        "queue root": shown.root.to_string(),
        "payee": 3,
        "threshold": 1,
        "receipt keys": keys.iter().map(canonical).collect::<Vec<_>>(),
        "outcomes": outcomes,
    })
}

struct Payment {
    leaf: Leaf,
    inclusion: merkle::Proof,
    payee: Opening,
    root: quittance_crypto::digest::Digest,
}

/// The receipt after the attempt of this number has settled: the second one settles the payment.
fn outcome(settled: bool, payment: &Payment, keys: &[VerifyingKey], kept: &Kept) -> Value {
    let attempt = u8::from(settled);
    let own = pad_value(attempt) + Fr::from(u64::from(settled));
    let notice = |place| if place == PLACE { own } else { other_notice(attempt, place) };
    let own = Notices((0..PLACES).map(notice).collect());
    let other = Notices((0..PLACES).map(|place| other_notice(2 + attempt, place)).collect());
    let queues = [
        Queue { payer: payer(), root: payment.root, notices: &own },
        Queue {
            payer: "BBBBZZ01".parse().expect("an id"),
            root: digest("other queue"),
            notices: &other,
        },
    ];
    let statement = Statement::new(queues);
    let subject = Subject {
        round: RoundId(digest("round")),
        settlement: TransactionId(digest("settlement")),
        attempt,
        notices: statement.root(),
    };
    let parties = Parties::new(3, 1).expect("a committee");
    let signed = parties.ids().map(|party| attestation(subject, party, keys, kept));
    let (shown, words): (Vec<Value>, Vec<Attestation>) = signed.unzip();
    let found = statement.find(&payer(), PLACE as u32).expect("it is there");
    let notice = canonical(&found.0);
    let disclosure = Disclosure {
        leaf: payment.leaf,
        inclusion: payment.inclusion.clone(),
        payee: payment.payee.clone(),
        pad: pad(attempt),
    };
    let receipt = Receipt::new(&words, found, disclosure).expect("words about one settlement");
    let verdict = receipt.verify(Signers { parties, keys });
    assert_eq!(verdict, Ok(Verdict { payee: 3, settled }));
    json!({
        "settled": settled,
        "notices": subject.notices.to_string(),
        "notice": notice,
        "attestations": shown,
        "receipt": canonical(&receipt),
    })
}

/// The word of one party, kept.
fn attestation(
    subject: Subject,
    party: PartyId,
    keys: &[VerifyingKey],
    kept: &Kept,
) -> (Value, Attestation) {
    let number = party.number();
    let place = format!("/outcomes/{}/attestations/{}/bytes", subject.attempt, number - 1);
    let mut stem = Writer::new();
    stem.u8(1);
    subject.encode(&mut stem);
    stem.u8(number);
    let stem = stem.into_bytes();
    let holds = |bytes: &[u8]| {
        bytes.starts_with(&stem)
            && Attestation::from_bytes(bytes)
                .is_ok_and(|it| it.verify(&keys[party.position()]).is_ok())
    };
    let bytes =
        kept.bytes(&place, holds, || Attestation::sign(subject, party, &key(number)).to_bytes());
    let word = Attestation::from_bytes(&bytes).expect("it holds");
    let fields = quittance_crypto::digest::Digest::of("quittance/v1/notices", &[&stem[1..]]);
    let shown = json!({
        "party": number,
        "bytes": hex::encode(&bytes),
        "digest": fields.to_string(),
        "message": Purpose::Receipt.message(&fields).to_string(),
        "signature": hex::encode(Signature::as_bytes(&word.signature)),
    });
    (shown, word)
}
