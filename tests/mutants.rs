//! Changed transactions. Real ones of each kind are mutated in their bytes, in their parts, and by
//! parts of others; none may be accepted, and nothing may panic.
//!
//! Accepted is what verifies and is not one of the originals. The default number is a sample;
//! `make slow` runs 100,000.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::Height;
use quittance_ledger::transaction::{Action, Body, Transaction};
use quittance_ledger::verify::verify_batch;
use quittance_tests::chain;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// Verified together, as a validator does.
const BATCH: usize = 256;

struct Originals {
    all: Vec<Transaction>,
    bytes: Vec<Vec<u8>>,
}

/// The name of a transaction's kind.
fn kind(transaction: &Transaction) -> &'static str {
    let body = transaction.body();
    match &body.action {
        Action::Entries(entries) if entries.len() > 1 => "exchange",
        Action::Entries(entries) if entries.iter().any(|entry| !entry.credits.is_empty()) => {
            "transfer"
        }
        Action::Entries(_) => "absorption",
        Action::Return(_) => "return",
        Action::RoundOpen(_) => "opening",
        Action::RoundJoin(_) => "joining",
        Action::Settlement(_) => "settlement",
        Action::Governance(_) => "decision",
        Action::KeyRotation(_) => "rotation",
    }
}

fn number(rng: &mut ChaCha20Rng, below: usize) -> usize {
    rng.next_u64() as usize % below.max(1)
}

impl Originals {
    fn of(chain: &chain::Chain) -> Self {
        let transactions = chain.blocks.iter().flat_map(|(block, _)| &block.transactions);
        let bytes: Vec<Vec<u8>> = transactions.map(Encode::to_bytes).collect();
        let all: Vec<_> = bytes.iter().map(|it| Transaction::from_bytes(it).unwrap()).collect();
        let kinds: BTreeSet<_> = all.iter().map(kind).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?}");
        Self { all, bytes }
    }

    /// Changes that know nothing of the format: bits, bytes, cuts and splices.
    fn bytes(&self, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let one = number(rng, self.bytes.len());
        let mut bytes = self.bytes[one].clone();
        for _ in 0..=number(rng, 2) {
            let at = number(rng, bytes.len());
            match number(rng, 8) {
                0..4 => bytes[at] ^= 1 << number(rng, 8),
                4 => bytes[at] = number(rng, 256) as u8,
                5 => {
                    let length = 1 + number(rng, 64);
                    let other = &self.bytes[number(rng, self.bytes.len())];
                    let from = number(rng, other.len());
                    let part = &other[from..(from + length).min(other.len())];
                    let to = (at + part.len()).min(bytes.len());
                    bytes.splice(at..to, part.iter().copied());
                }
                6 => drop(bytes.drain(at..(at + 1 + number(rng, 32)).min(bytes.len()))),
                _ => bytes.swap(at, at / 2),
            }
        }
        bytes
    }

    /// Changes that keep the format: signed parts altered, proofs and signatures exchanged.
    fn parts(&self, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let one = &self.all[number(rng, self.all.len())];
        let other = &self.all[number(rng, self.all.len())];
        let mut body = one.body().clone();
        let (mut proofs, mut signatures) = (one.proofs().to_vec(), one.signatures().to_vec());
        match number(rng, 9) {
            0..3 => change(&mut body, other.body(), rng),
            3 => proofs = other.proofs().to_vec(),
            4 => proofs.reverse(),
            8 => {
                if let Some(proof) = proofs.first_mut() {
                    let mut bytes = proof.as_bytes().to_vec();
                    let at = number(rng, bytes.len());
                    bytes[at] ^= 1 << number(rng, 8);
                    *proof = RangeProof::try_from(bytes).expect("of the same length");
                }
            }
            5 => signatures = other.signatures().to_vec(),
            6 => {
                // The same institution's signature under something else.
                for signed in &mut signatures {
                    let theirs = other.signatures().iter();
                    let found = theirs.clone().find(|it| it.institution == signed.institution);
                    found.inspect(|it| *signed = (*it).clone());
                }
            }
            _ => drop(signatures.pop()),
        }
        let unsigned = Transaction::new(body.clone(), proofs.clone(), Vec::new());
        let digest = unsigned.signing_digest();
        // Now and then the owners themselves sign what was changed: then the proofs must tell.
        // Without proofs there would be nothing wrong with it.
        if !one.proofs().is_empty() && digest != one.signing_digest() && number(rng, 3) == 0 {
            for signed in &mut signatures {
                let key = chain::key(signed.institution.as_str(), Purpose::Transaction);
                signed.signature = key.sign(Purpose::Transaction, &digest);
            }
        }
        Transaction::new(body, proofs, signatures).to_bytes()
    }
}

/// One field of a body is another.
fn change(body: &mut Body, other: &Body, rng: &mut ChaCha20Rng) {
    if number(rng, 6) == 0 {
        body.expiry = Height(body.expiry.0 ^ (1 << number(rng, 20)));
        return;
    }
    if number(rng, 6) == 0 {
        body.action = other.action.clone();
        return;
    }
    match &mut body.action {
        Action::Entries(entries) => {
            let count = entries.len();
            let entry = &mut entries[number(rng, count)];
            match (number(rng, 5), other.entries().first()) {
                (0, Some(other)) => entry.credits = other.credits.clone(),
                (1, Some(other)) => entry.postings = other.postings.clone(),
                (2, Some(other)) => entry.asset = other.asset,
                (3, _) => entry.credits.reverse(),
                _ => {
                    let count = entry.postings.len();
                    let posting = &mut entry.postings[number(rng, count)];
                    match number(rng, 3) {
                        0 => posting.sequence += 1,
                        1 => drop(posting.absorbed.pop()),
                        _ => posting.self_note.reverse(),
                    }
                }
            }
        }
        Action::Settlement(settlement) => {
            let postings = &mut settlement.entry.postings;
            let count = postings.len();
            match number(rng, 4) {
                0 => settlement.attempt ^= 1,
                1 => settlement.round.0.0[0] ^= 1,
                2 => {
                    let (one, two) = (number(rng, count), number(rng, count));
                    let balance = postings[one].new_balance;
                    postings[one].new_balance = postings[two].new_balance;
                    postings[two].new_balance = balance;
                }
                _ => postings[number(rng, count)].sequence += 1,
            }
        }
        Action::Return(back) => back.credit.0.0[number(rng, 32)] ^= 1,
        Action::RoundOpen(open) => open.deadline = Height(open.deadline.0 + 1),
        Action::RoundJoin(join) => join.queue_root.0[number(rng, 32)] ^= 1,
        Action::Governance(decision) => match (number(rng, 5), &other.action) {
            (0, _) => decision.effective = decision.effective.next(),
            (1, Action::Governance(other)) => decision.changes = other.changes.clone(),
            (2, _) => drop(decision.changes.pop()),
            (3, _) => decision.approvals[0].key_fingerprint.0[number(rng, 32)] ^= 1,
            _ => decision.number ^= 1,
        },
        Action::KeyRotation(rotation) => match number(rng, 4) {
            0 => rotation.possession = None,
            1 => rotation.key_fingerprint.0[number(rng, 32)] ^= 1,
            2 => rotation.institution = chain::id(chain::BANKS[0]),
            _ => rotation.effective = rotation.effective.next(),
        },
    }
}

/// What became of mutants.
#[derive(Debug, Default)]
struct Fates {
    undecodable: usize,
    refused: BTreeMap<String, usize>,
    accepted: Vec<Vec<u8>>,
}

fn run(mutants: usize) -> Fates {
    let chain = chain::Chain::eventful();
    let originals = Originals::of(&chain);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut fates = Fates::default();
    let mut batch = Vec::new();
    for round in 0..mutants {
        // Most changes of bytes do not survive decoding, or break a signature and nothing else.
        let bytes = loop {
            let bytes = match round % 2 {
                0 => originals.bytes(&mut rng),
                _ => originals.parts(&mut rng),
            };
            if !originals.bytes.contains(&bytes) {
                break bytes;
            }
        };
        match Transaction::from_bytes(&bytes) {
            Err(_) => fates.undecodable += 1,
            Ok(transaction) => {
                let (proofs, signatures) = (transaction.proofs(), transaction.signatures());
                let parts = (transaction.body().clone(), proofs.to_vec(), signatures.to_vec());
                let remade = Transaction::new(parts.0, parts.1, parts.2);
                assert_eq!(remade.bytes(), bytes, "accepted, and encoded otherwise");
                batch.push(transaction);
            }
        }
        if batch.len() == BATCH || round + 1 == mutants {
            for (transaction, verdict) in batch.clone().iter().zip(verify_batch(
                std::mem::take(&mut batch),
                &chain.state,
                &mut rng,
            )) {
                match verdict {
                    Ok(_) => fates.accepted.push(transaction.to_bytes()),
                    Err(error) => {
                        let name = format!("{error:?}");
                        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
                        *fates.refused.entry(name.to_owned()).or_default() += 1;
                    }
                }
            }
        }
    }
    fates
}

fn check(mutants: usize) {
    let fates = run(mutants);
    let refused: usize = fates.refused.values().sum();
    println!(
        "{mutants} mutants: {} not decoded, refused {:?}, {} accepted",
        fates.undecodable,
        fates.refused,
        fates.accepted.len()
    );
    assert!(fates.accepted.is_empty(), "accepted: {:02x?}", fates.accepted);
    assert_eq!(fates.undecodable + refused, mutants);
    // Mutants die in each part of verification, or a part is not tested.
    for name in ["Malformed", "Signature", "RangeProof", "MissingSignature", "ProofCount"] {
        assert!(fates.refused.contains_key(name), "no mutant dies by {name}");
    }
    assert!(fates.undecodable * 2 < mutants);
}

#[test]
fn twenty_thousand_mutated_transactions_are_refused() {
    check(20_000);
}

#[test]
#[ignore = "takes a minute: make slow"]
fn a_hundred_thousand_mutated_transactions_are_refused() {
    check(100_000);
}
