//! Attacks on verification. Unless a test is about signatures, every mutated transaction is signed
//! anew by its rightful owner: the proof alone has to refuse it.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::SigningKey;

use super::*;
use crate::build::Unsigned;
use crate::ids::{AccountId, ChainId, CommitteeId, CreditId, Height, RoundId, Uetr};
use crate::testing::{
    Bank, SUITE, World, asset, institution, resigned, rng, signed, single, terms,
};
use crate::transaction::{
    Action, Body, CreditReturn, Entry, ReturnReason, RoundJoin, RoundOpen, Side,
};

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

type Mutation = (&'static str, fn(&mut Body));

/// Every field of a transfer's body, changed to something well formed.
const MUTATIONS: &[Mutation] = &[
    ("chain", |body| body.chain = ChainId(Digest([8; 32]))),
    ("expiry", |body| body.expiry = Height(101)),
    ("asset", |body| entries(body)[0].asset = "USD".parse().unwrap()),
    ("sequence", |body| entries(body)[0].postings[0].sequence += 1),
    ("absorbed", |body| entries(body)[0].postings[0].absorbed.push(CreditId(Digest::ZERO))),
    ("new balance", |body| {
        let balance = &mut entries(body)[0].postings[0].new_balance;
        *balance = Opening::random(70, &mut rng(77)).commit();
    }),
    ("self note", |body| entries(body)[0].postings[0].self_note[0] ^= 1),
    ("empty self note", |body| entries(body)[0].postings[0].self_note.clear()),
    ("receiver", |body| entries(body)[0].credits[0].institution = institution("BANKNL2A")),
    ("credit", |body| {
        entries(body)[0].credits[0].commitment = Opening::random(30, &mut rng(78)).commit();
    }),
    ("sealed", |body| entries(body)[0].credits[1].sealed[7] ^= 1),
    ("details", |body| entries(body)[0].credits[0].details.0[31] ^= 1),
    ("order of credits", |body| entries(body)[0].credits.swap(0, 1)),
    ("a credit of nothing, which would be padding", |body| {
        let mut credit = entries(body)[0].credits[1].clone();
        credit.commitment = Opening::zero().commit();
        entries(body)[0].credits.push(credit);
    }),
    ("amount moved between credits", |body| {
        let credits = &mut entries(body)[0].credits;
        let moved = Opening::new(1, Blinding::zero()).commit().point();
        credits[0].commitment = (credits[0].commitment.point() - moved).into();
        credits[1].commitment = (credits[1].commitment.point() + moved).into();
    }),
];

#[test]
fn a_proof_serves_no_body_but_its_own() {
    let scene = scene();
    let honest = scene.transfer(1);
    assert!(resigned(&honest, |_| (), &[&scene.a]).verify(&scene.world).is_ok());
    for (what, mutate) in MUTATIONS {
        let changed = resigned(&honest, mutate, &[&scene.a]);
        assert_ne!(changed.body(), honest.body(), "{what}");
        assert!(refused(&scene.error(changed)), "{what}");
    }
    let of_another_size = |expected| VerificationError::RangeProof {
        entry: 0,
        source: RangeProofError::Aggregation { found: 4, expected },
    };
    let larger = |body: &mut Body| {
        let credit = entries(body)[0].credits[0].clone();
        entries(body)[0].credits.extend([credit.clone(), credit]);
    };
    let error = scene.error(resigned(&honest, larger, &[&scene.a]));
    assert_eq!(error, of_another_size(8));
    let smaller = |body: &mut Body| drop(entries(body)[0].credits.pop());
    let error = scene.error(resigned(&honest, smaller, &[&scene.a]));
    assert_eq!(error, of_another_size(2));
}

#[test]
fn a_proof_serves_neither_another_poster_nor_another_sender() {
    let scene = scene();
    let honest = scene.transfer(1);
    let moved = |body: &mut Body| {
        let entry = &mut entries(body)[0];
        let poster = institution("BANKNL2A");
        entry.postings[0].institution = poster;
        entry.credits.iter_mut().for_each(|credit| credit.sender = poster);
    };
    let poster = Bank { id: institution("BANKNL2A"), ..Bank::new("BANKDEFF") };
    let world = World::new(&[&poster]);
    let moved = resigned(&honest, moved, &[&poster]);
    assert!(refused(&moved.verify(&world).unwrap_err()));

    let rekeyed = Bank { id: scene.a.id, ..Bank::new("BANKNL2A") };
    let world = World::new(&[&rekeyed]);
    let changed = resigned(
        &honest,
        |body| entries(body)[0].postings[0].key_fingerprint = rekeyed.fingerprint,
        &[&rekeyed],
    );
    assert!(refused(&changed.verify(&world).unwrap_err()));
}

#[test]
fn the_statement_has_the_issuers_balance_negated() {
    let scene = scene();
    let nothing = Opening::zero();
    let poster = scene.central.poster("EUR", Side::Issuer, 0, &nothing);
    let issue = poster.transfer(&[], &[scene.b.receives(500)], Uetr([1; 16]), &mut rng(1));
    let issue = single(issue.unwrap(), &scene.central, 2);
    assert!(issue.clone().verify(&scene.world).is_ok());

    // The same posting by somebody who is not the issuer would be an overdraft.
    let mut other = World::new(&[&scene.central]);
    other.issuers.insert(asset("EUR"), scene.b.id);
    assert!(refused(&issue.verify(&other).unwrap_err()));

    // And an issuer cannot hold its own asset.
    let holding = Opening::random(500, &mut rng(3));
    let poster = scene.central.poster("EUR", Side::Holder, 0, &holding);
    let spend = poster.transfer(&[], &[scene.b.receives(5)], Uetr([1; 16]), &mut rng(4));
    let spend = single(spend.unwrap(), &scene.central, 5);
    assert!(refused(&scene.error(spend)));
}

#[test]
fn nothing_negative_is_proven() {
    let scene = scene();
    let honest = scene.transfer(1);
    // The balance grows by what the credit lacks: the sums still fit, and no proof can.
    let steal = |body: &mut Body| {
        let entry = &mut entries(body)[0];
        let much = Opening::new(1000, Blinding::zero()).commit().point();
        entry.postings[0].new_balance = (entry.postings[0].new_balance.point() + much).into();
        entry.credits[0].commitment = (entry.credits[0].commitment.point() - much).into();
    };
    assert!(refused(&scene.error(resigned(&honest, steal, &[&scene.a]))));
}

#[test]
fn a_proof_serves_no_other_position() {
    let scene = scene();
    let honest = scene.exchange();
    let proofs: Vec<_> = honest.proofs().iter().rev().cloned().collect();
    let bare = Transaction::new(honest.body().clone(), proofs.clone(), vec![]);
    let signatures = [&scene.a, &scene.b].map(|bank| bank.signs(&bare)).to_vec();
    let swapped = Transaction::new(honest.body().clone(), proofs, signatures);
    let error = scene.error(swapped);
    assert!(matches!(error, VerificationError::RangeProof { entry: 0, .. }) && refused(&error));

    // The first entry alone, and both entries with their assets swapped.
    let first = |body: &mut Body| drop(entries(body).pop());
    let alone = resigned(&honest, first, &[&scene.a]);
    let alone = Transaction::new(
        alone.body().clone(),
        alone.proofs()[..1].to_vec(),
        vec![scene.a.signs(&Transaction::new(
            alone.body().clone(),
            alone.proofs()[..1].to_vec(),
            vec![],
        ))],
    );
    assert!(refused(&scene.error(alone)));
    let swap = |body: &mut Body| {
        let entries = entries(body);
        entries[0].asset = asset("USD");
        entries[1].asset = asset("EUR");
        entries.swap(0, 1);
    };
    assert!(refused(&scene.error(resigned(&honest, swap, &[&scene.a, &scene.b]))));
}

#[test]
fn a_proof_is_bound_to_chain_suite_and_position_also_without_the_body() {
    let body = scene().transfer(1).body().clone();
    let digest = body.digest();
    let contexts = [
        body.proof_context(&digest, 0),
        body.proof_context(&digest, 1),
        body.proof_context(&Digest([1; 32]), 0),
        Body { chain: ChainId(Digest([8; 32])), ..body.clone() }.proof_context(&digest, 0),
        Body { suite: Suite::MlDsa87MlKem1024, ..body.clone() }.proof_context(&digest, 0),
    ];
    for (index, context) in contexts.iter().enumerate() {
        assert!(!contexts[index + 1..].contains(context));
    }
}

#[test]
fn garbage_under_a_signed_body_harms_nobody() {
    let scene = scene();
    let honest = scene.transfer(1);
    let other = scene.transfer(2);
    let signatures = honest.signatures().to_vec();
    let garbage = Transaction::new(honest.body().clone(), other.proofs().to_vec(), signatures);
    assert_ne!(garbage.id(), honest.id());
    let verdicts = verify_batch(vec![garbage, honest.clone()], &scene.world, &mut rng(9));
    assert!(matches!(verdicts[0], Err(VerificationError::Signature { .. })));
    assert_eq!(verdicts[1].as_ref().unwrap().id(), honest.id());
}

#[test]
fn every_changed_byte_is_refused() {
    let scene = scene();
    let honest = scene.transfer(1);
    let bytes = honest.to_bytes();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        if let Ok(transaction) = Transaction::from_bytes(&changed) {
            assert_eq!(transaction.to_bytes(), changed);
            assert_ne!(transaction.id(), honest.id());
            assert!(transaction.verify(&scene.world).is_err(), "byte {place}");
        }
    }
    for end in 0..bytes.len() {
        assert!(Transaction::from_bytes(&bytes[..end]).is_err());
    }
    assert!(Transaction::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn points_and_scalars_have_one_encoding() {
    let scene = scene();
    let honest = scene.transfer(1);
    let bytes = honest.to_bytes();
    let balance = *honest.body().entries()[0].postings[0].new_balance.as_bytes();
    let place = bytes.windows(32).position(|window| window == balance).unwrap();
    // 2^255 - 18 is 1 modulo p, and 1 is negative in ristretto255; both are refused.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    let mut one = [0; 32];
    one[0] = 1;
    for bad in [unreduced, one, [0xff; 32]] {
        let mut changed = bytes.clone();
        changed[place..place + 32].copy_from_slice(&bad);
        assert!(Transaction::from_bytes(&changed).is_err());
    }

    // A proof's last scalar, made larger by l: the same number, another encoding.
    let mut proof = honest.proofs()[0].as_bytes().to_vec();
    let at = proof.len() - 32;
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, added) in proof[at..].iter_mut().zip(order.unwrap()) {
        let sum = u16::from(*byte) + u16::from(added) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let proof = vec![RangeProof::try_from(proof).unwrap()];
    let bare = Transaction::new(honest.body().clone(), proof.clone(), vec![]);
    let signature = vec![scene.a.signs(&bare)];
    let error = scene.error(Transaction::new(honest.body().clone(), proof, signature));
    let VerificationError::RangeProof { source: RangeProofError::NotAScalar(_), .. } = error else {
        panic!("{error}");
    };
}

#[test]
fn each_institution_signs_once_with_the_key_that_the_body_names() {
    let scene = scene();
    let honest = scene.exchange();
    let [of_a, of_b] = honest.signatures() else { panic!("two signatures") };
    let stranger = scene.central.signs(&honest);
    let with = |signatures: &[&InstitutionSignature]| {
        let signatures = signatures.iter().map(|signature| (*signature).clone()).collect();
        let (body, proofs) = (honest.body().clone(), honest.proofs().to_vec());
        scene.error(Transaction::new(body, proofs, signatures))
    };
    use VerificationError as Error;
    assert_eq!(with(&[]), Error::MissingSignature(scene.a.id));
    assert_eq!(with(&[of_a]), Error::MissingSignature(scene.b.id));
    assert_eq!(with(&[of_b]), Error::MissingSignature(scene.a.id));
    assert_eq!(with(&[of_a, of_a, of_b]), Error::DuplicateSignature(scene.a.id));
    assert_eq!(with(&[of_a, of_b, of_b]), Error::DuplicateSignature(scene.b.id));
    assert_eq!(with(&[of_b, of_a]), Error::SignatureOutOfOrder(scene.a.id));
    assert_eq!(with(&[of_a, of_b, &stranger]), Error::UnexpectedSignature(scene.central.id));

    let invalid = |error| matches!(error, Error::Signature { .. });
    let swapped = InstitutionSignature { signature: of_b.signature.clone(), ..of_a.clone() };
    assert!(invalid(with(&[&swapped, of_b])));
    let for_another_purpose = InstitutionSignature {
        signature: scene.a.signing.sign(Purpose::Vote, &honest.signing_digest()),
        ..of_a.clone()
    };
    assert!(invalid(with(&[&for_another_purpose, of_b])));
    let of_body_alone = InstitutionSignature {
        signature: scene.a.signing.sign(Purpose::Transaction, &honest.body_digest()),
        ..of_a.clone()
    };
    assert!(invalid(with(&[&of_body_alone, of_b])));

    let renamed = InstitutionSignature { key_fingerprint: scene.b.fingerprint, ..of_a.clone() };
    assert_eq!(
        with(&[&renamed, of_b]),
        Error::OtherKey {
            institution: scene.a.id,
            found: scene.b.fingerprint,
            expected: scene.a.fingerprint
        }
    );
}

#[test]
fn keys_must_be_the_institutions_own_and_of_the_suite() {
    let scene = scene();
    let honest = scene.transfer(1);
    let fingerprint = scene.a.fingerprint;
    let unknown = honest.clone().verify(&World::new(&[&scene.b])).unwrap_err();
    assert_eq!(unknown, VerificationError::UnknownKey { institution: scene.a.id, fingerprint });

    // Bank b's own key, offered for bank a's posting.
    let forged = resigned(
        &honest,
        |body| entries(body)[0].postings[0].key_fingerprint = scene.b.fingerprint,
        &[],
    );
    let signature = InstitutionSignature { institution: scene.a.id, ..scene.b.signs(&forged) };
    let forged = Transaction::new(forged.body().clone(), forged.proofs().to_vec(), vec![signature]);
    assert!(matches!(scene.error(forged), VerificationError::UnknownKey { .. }));

    let changed = resigned(&honest, |body| body.suite = Suite::MlDsa87MlKem1024, &[&scene.a]);
    assert_eq!(
        scene.error(changed),
        VerificationError::OtherSuite {
            institution: scene.a.id,
            found: SUITE,
            expected: Suite::MlDsa87MlKem1024
        }
    );
    // A signature of the other suite under a key of this one.
    let other = SigningKey::from_seed(Suite::MlDsa87MlKem1024, &[1; 32]);
    let signature = InstitutionSignature {
        signature: other.sign(Purpose::Transaction, &honest.signing_digest()),
        ..honest.signatures()[0].clone()
    };
    let (body, proofs) = (honest.body().clone(), honest.proofs().to_vec());
    let error = scene.error(Transaction::new(body, proofs, vec![signature]));
    assert!(matches!(
        error,
        VerificationError::Signature { source: SignatureError::WrongSuite { .. }, .. }
    ));
}

#[test]
fn proofs_are_one_per_entry_in_known_assets() {
    let scene = scene();
    let honest = scene.exchange();
    let with = |proofs: Vec<RangeProof>| {
        let bare = Transaction::new(honest.body().clone(), proofs.clone(), vec![]);
        let signatures = [&scene.a, &scene.b].map(|bank| bank.signs(&bare)).to_vec();
        scene.error(Transaction::new(honest.body().clone(), proofs, signatures))
    };
    let proofs = honest.proofs();
    let count = |found| VerificationError::ProofCount { found, expected: 2 };
    assert_eq!(with(vec![]), count(0));
    assert_eq!(with(proofs[..1].to_vec()), count(1));
    assert_eq!(with([proofs, &proofs[..1]].concat()), count(3));

    let draft = scene.a.pays("JPY", 5, &[scene.b.receives(1)], 1);
    let unknown = VerificationError::UnknownAsset { entry: 0, asset: asset("JPY") };
    assert_eq!(scene.error(single(draft, &scene.a, 2)), unknown);
}

#[test]
fn acts_without_entries_have_nothing_that_could_be_changed() {
    let scene = scene();
    let returns: &[Mutation] = &[
        ("chain", |body| body.chain = ChainId(Digest([8; 32]))),
        ("expiry", |body| body.expiry = Height(7)),
        ("credit", |body| ret(body).credit = CreditId(Digest::ZERO)),
        ("asset", |body| ret(body).holder.asset = asset("USD")),
        ("both", |body| {
            ret(body).holder.institution = institution("BANKNL2A");
            ret(body).reason = ReturnReason::Refunded;
        }),
    ];
    let opens: &[Mutation] = &[
        ("salt", |body| open(body).salt[0] ^= 1),
        ("asset", |body| open(body).asset = asset("USD")),
        ("program", |body| open(body).program = Digest::ZERO),
        ("committee", |body| open(body).committee = CommitteeId(2)),
        ("roster", |body| open(body).minimum_roster = 3),
        ("attempts", |body| open(body).attempts = 2),
        ("join until", |body| open(body).join_until = Height(11)),
        ("deadline", |body| open(body).deadline = Height(21)),
    ];
    let joins: &[Mutation] = &[
        ("round", |body| join(body).round = RoundId(Digest::ZERO)),
        ("sequence", |body| join(body).sequence = 4),
        ("queue", |body| join(body).queue_root = Digest::ZERO),
        ("bucket", |body| join(body).bucket = 16),
        ("note", |body| join(body).note.push(0)),
    ];
    for (honest, changes) in [
        (scene.acts(Action::Return(returned(&scene)), &scene.b), returns),
        (scene.acts(Action::RoundOpen(opening(&scene)), &scene.a), opens),
        (scene.acts(Action::RoundJoin(joining(&scene)), &scene.a), joins),
    ] {
        for (what, change) in changes {
            let mut body = honest.body().clone();
            change(&mut body);
            let changed = Transaction::new(body, vec![], honest.signatures().to_vec());
            let error = scene.error(changed);
            assert!(matches!(error, VerificationError::Signature { .. }), "{what}: {error}");
        }
    }
}

fn ret(body: &mut Body) -> &mut CreditReturn {
    let Action::Return(credit_return) = &mut body.action else { panic!("a return") };
    credit_return
}

fn open(body: &mut Body) -> &mut RoundOpen {
    let Action::RoundOpen(open) = &mut body.action else { panic!("an opening") };
    open
}

fn join(body: &mut Body) -> &mut RoundJoin {
    let Action::RoundJoin(join) = &mut body.action else { panic!("a joining") };
    join
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
