//! Attacks on verification. Unless a test is about signatures, every mutated transaction is signed
//! anew by its rightful owner: the proof alone has to refuse it.

mod bytes;
mod replay;
mod signatures;

use super::*;
use crate::build::Unsigned;
use crate::ids::{AccountId, CommitteeId, CreditId, Height, RoundId};
use crate::testing::{Bank, World, asset, resigned, rng, signed, single, terms};
use crate::transaction::{Action, Body, CreditReturn, Entry, ReturnReason, RoundJoin, RoundOpen};
use quittance_crypto::encoding::{Decode, Encode};

/// What is changed, and how.
type Mutation = (&'static str, fn(&mut Body));

struct Scene {
    a: Bank,
    b: Bank,
    central: Bank,
    world: World,
}

fn scene() -> Scene {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let central = Bank::new("CENTXX2A");
    let world = World::new(&[&a, &b, &central]);
    Scene { a, b, central, world }
}

impl Scene {
    /// 30 of 100 EUR, and a decoy.
    fn transfer(&self, seed: u64) -> Transaction {
        let receivers = [self.b.receives(30), self.central.receives(0)];
        single(self.a.pays("EUR", 100, &receivers, seed), &self.a, seed)
    }

    fn exchange(&self) -> Transaction {
        let euros = self.a.pays("EUR", 200, &[self.b.receives(100)], 1);
        let dollars = self.b.pays("USD", 300, &[self.a.receives(110)], 2);
        let entries = vec![euros.entry().clone(), dollars.entry().clone()];
        let body = terms().entries(entries).unwrap();
        let proofs = [euros, dollars].map(|draft| draft.prove(&body, &mut rng(3)).unwrap().proof);
        signed(Unsigned::new(body, proofs.to_vec()).unwrap(), &[&self.a, &self.b])
    }

    fn acts(&self, action: Action, by: &Bank) -> Transaction {
        signed(Unsigned::new(terms().act(action).unwrap(), vec![]).unwrap(), &[by])
    }

    fn error(&self, transaction: Transaction) -> VerificationError {
        transaction.verify(&self.world).unwrap_err()
    }
}

fn entries(body: &mut Body) -> &mut Vec<Entry> {
    let Action::Entries(entries) = &mut body.action else { panic!("entries") };
    entries
}

fn returned(scene: &Scene) -> CreditReturn {
    CreditReturn {
        credit: CreditId(Digest([5; 32])),
        holder: AccountId { institution: scene.b.id, asset: asset("EUR") },
        by: scene.b.id,
        key_fingerprint: scene.b.fingerprint,
        reason: ReturnReason::Rejected,
    }
}

fn opening(scene: &Scene) -> RoundOpen {
    RoundOpen {
        salt: [1; 16],
        opener: scene.a.id,
        key_fingerprint: scene.a.fingerprint,
        asset: asset("EUR"),
        program: Digest([2; 32]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: Height(10),
        deadline: Height(20),
    }
}

fn joining(scene: &Scene) -> RoundJoin {
    RoundJoin {
        round: RoundId(Digest([4; 32])),
        institution: scene.a.id,
        key_fingerprint: scene.a.fingerprint,
        sequence: 3,
        queue_root: Digest([6; 32]),
        bucket: 8,
        note: vec![1, 2, 3],
    }
}

fn refused(error: &VerificationError) -> bool {
    matches!(error, VerificationError::RangeProof { source: RangeProofError::Refused, .. })
}

#[test]
fn honest_transactions_of_every_kind_verify() {
    let scene = scene();
    let all = [
        scene.transfer(1),
        scene.exchange(),
        scene.acts(Action::Return(returned(&scene)), &scene.b),
        scene.acts(Action::RoundOpen(opening(&scene)), &scene.a),
        scene.acts(Action::RoundJoin(joining(&scene)), &scene.a),
    ];
    for transaction in all {
        let decoded = Transaction::from_bytes(&transaction.to_bytes()).unwrap();
        assert_eq!(decoded, transaction);
        let verified = decoded.verify(&scene.world).unwrap();
        assert_eq!(verified.id(), transaction.id());
        assert_eq!(verified.into_unverified(), transaction);
    }
}

#[test]
fn a_batch_says_what_each_transaction_alone_would_say() {
    let scene = scene();
    let honest: Vec<_> = (0..6).map(|seed| scene.transfer(seed)).collect();
    // Two whose proofs are swapped, so that whatever each lacks the other has too much of.
    let swap = |body: &Transaction, proof: &Transaction| {
        let proofs = proof.proofs().to_vec();
        let bare = Transaction::new(body.body().clone(), proofs.clone(), vec![]);
        Transaction::new(body.body().clone(), proofs, vec![scene.a.signs(&bare)])
    };
    let mut all = honest.clone();
    all.push(scene.exchange());
    all.push(swap(&honest[0], &honest[1]));
    all.push(swap(&honest[1], &honest[0]));
    all.push(resigned(&honest[2], |body| body.expiry = Height(5), &[&scene.a]));
    all.push(resigned(&honest[2], |body| body.expiry = Height(5), &[]));
    all.push(resigned(&honest[3], |body| entries(body).clear(), &[]));
    all.push(scene.acts(Action::RoundOpen(opening(&scene)), &scene.a));
    all.extend(honest.iter().cloned());

    let batch = verify_batch(all.clone(), &scene.world, &mut rng(1));
    assert_eq!(batch.iter().filter(|verdict| verdict.is_ok()).count(), 14);
    for (together, transaction) in batch.into_iter().zip(all) {
        assert_eq!(together, transaction.verify(&scene.world));
    }
    assert!(verify_batch(vec![], &scene.world, &mut rng(1)).is_empty());
}

#[test]
fn a_verdict_serves_its_transaction_alone() {
    let scene = scene();
    let honest = scene.transfer(1);
    let verdict = honest.clone().verify(&scene.world).unwrap().verdict();
    assert!(honest.clone().recall(&verdict).is_ok());
    // The same body with another proof, rightfully signed, is not what was verified.
    let bare = Transaction::new(honest.body().clone(), scene.transfer(2).proofs().to_vec(), vec![]);
    let signature = vec![scene.a.signs(&bare)];
    let (body, proofs) = (honest.body().clone(), bare.proofs().to_vec());
    assert!(Transaction::new(body, proofs, signature).recall(&verdict).is_err());
    // Signed twice, with other randomness: another transaction, too.
    assert!(resigned(&honest, |_| (), &[&scene.a]).recall(&verdict).is_err());
}

#[test]
fn a_transaction_has_a_largest_size() {
    let scene = scene();
    let mut join = joining(&scene);
    join.note = vec![0; crate::transaction::MAX_QUEUE_NOTE_BYTES];
    let largest = scene.acts(Action::RoundJoin(join), &scene.a);
    assert!(largest.verify(&scene.world).is_ok());

    let blob = vec![0u8; MAX_TRANSACTION_BYTES + 1];
    let error = Transaction::from_bytes(&blob).unwrap_err();
    assert!(error.to_string().contains("above the limit"), "{error}");
}
