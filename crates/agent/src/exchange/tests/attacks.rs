//! One side tries to give less, to somebody else, or something else than was agreed.

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::{Purpose, Signature, Suite};
use quittance_ledger::ids::ChainId;
use quittance_ledger::transaction::{Action, Body, Transaction, signing_digest};
use rand_chacha::ChaCha20Rng;

use super::legs::{agreement, funded, money, signing};
use crate::exchange::*;
use crate::wallet::Wallet;
use crate::wallet::tests::world::*;

/// Agreements that differ from the agreed one in what the accepting side gives.
fn other_asked() -> Vec<Agreement> {
    let agreed = agreement();
    vec![
        Agreement { asked: money(usd(), 249), ..agreed },
        Agreement { asked: money(usd(), 251), ..agreed },
        Agreement { asked: money(eur(), 250), ..agreed },
        Agreement { offerer: id(CENTRAL), ..agreed },
        Agreement { uetr: uetr(2), ..agreed },
    ]
}

fn restored(world: &World) -> [Wallet; 2] {
    [ONE, TWO].map(|who| world.restore(who))
}

fn joining(world: &mut World, agreement: &Agreement) -> Joining {
    let two = world.restore(TWO);
    let expiry = two.height().plus(5);
    // TWO has no EUR: what is in another asset comes from ONE's account.
    let mut wallet = if agreement.asked.asset == eur() { world.restore(ONE) } else { two };
    if agreement.asked.asset == eur() {
        let agreement = Agreement { offerer: id(TWO), ..*agreement };
        return Joining::new(&agreement, expiry, &mut wallet, &world.state, &mut world.rng)
            .unwrap();
    }
    Joining::new(agreement, expiry, &mut wallet, &world.state, &mut world.rng).unwrap()
}

/// What the offering side says to a join.
fn answer(world: &mut World, join: &Join) -> Result<Answered, ExchangeError> {
    let mut one = world.restore(ONE);
    let answered = Answered::new(&agreement(), join, &mut one, &world.state, &mut world.rng);
    if answered.is_err() {
        assert!(one.in_flight(eur()).unwrap().is_empty(), "nothing is left under way");
    }
    answered
}

#[test]
fn a_join_must_be_what_was_agreed() {
    let mut world = funded();
    let honest = joining(&mut world, &agreement()).join();
    answer(&mut world, &honest).unwrap();
    for other in other_asked() {
        let join = joining(&mut world, &other).join();
        assert!(answer(&mut world, &join).is_err());
    }
    let twice = [0, 1].map(|_| joining(&mut world, &agreement()).join().entry);
    type Change = Box<dyn Fn(&mut Join)>;
    type Expected = fn(&ExchangeError) -> bool;
    let changes: Vec<(Change, Expected)> = vec![
        (Box::new(|join| join.entry.asset = eur()), |e| {
            matches!(e, ExchangeError::OtherAsset { .. })
        }),
        (Box::new(|join| join.entry.postings.clear()), |e| matches!(e, ExchangeError::Postings(0))),
        (
            Box::new({
                let twice = twice.clone();
                move |join| join.entry.postings.push(twice[0].postings[0].clone())
            }),
            |e| matches!(e, ExchangeError::Postings(2)),
        ),
        (Box::new(|join| join.entry.postings[0].institution = id(CENTRAL)), |e| {
            matches!(e, ExchangeError::OtherPoster { .. })
        }),
        (Box::new(|join| join.entry.postings[0].key_fingerprint = Digest::ZERO), |e| {
            matches!(e, ExchangeError::OtherKey(_))
        }),
        (Box::new(|join| join.entry.credits.clear()), |e| matches!(e, ExchangeError::Credits(0))),
        (Box::new(move |join| join.entry.credits.push(twice[1].credits[0].clone())), |e| {
            matches!(e, ExchangeError::Credits(2))
        }),
        (Box::new(|join| join.entry.credits[0].institution = id(TWO)), |e| {
            matches!(e, ExchangeError::OtherReceiver(_))
        }),
        (Box::new(|join| join.entry.credits[0].sender = id(CENTRAL)), |e| {
            matches!(e, ExchangeError::OtherSender(_))
        }),
        (Box::new(|join| join.entry.credits[0].sealed[40] ^= 1), |e| {
            matches!(e, ExchangeError::Payload(_))
        }),
        (Box::new(|join| join.entry.credits[0].details = Digest::ZERO), |e| {
            matches!(e, ExchangeError::Payload(_))
        }),
        (
            Box::new(|join| {
                join.entry.credits[0].commitment = join.entry.postings[0].new_balance;
            }),
            |e| matches!(e, ExchangeError::Payload(_)),
        ),
        (Box::new(|join| join.expiry = Height(2)), |e| matches!(e, ExchangeError::Expiry { .. })),
        (Box::new(|join| join.expiry = Height(2 + 1 + 1_001)), |e| {
            matches!(e, ExchangeError::Expiry { .. })
        }),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let mut join = honest.clone();
        change(&mut join);
        let error = answer(&mut world, &join).err().unwrap();
        assert!(expected(&error), "change {number}: {error}");
    }
}

/// The accepting side is given a changed body or proof; gives what it says.
fn sign(
    world: &mut World,
    offered: &Agreement,
    change: impl FnOnce(&mut Body),
    proof: Option<RangeProof>,
) -> Result<Signed, ExchangeError> {
    let [mut one, mut two] = restored(world);
    let expiry = two.height().plus(5);
    let (state, rng) = (world.state.clone(), &mut world.rng);
    let joining = Joining::new(&agreement(), expiry, &mut two, &state, rng).unwrap();
    let answered = Answered::new(offered, &joining.join(), &mut one, &state, rng).unwrap();
    let mut body = answered.body().clone();
    change(&mut body);
    let proof = proof.unwrap_or_else(|| answered.range_proof().clone());
    joining.sign(body, proof, &two, &state, &signing(TWO), rng)
}

fn entries(body: &mut Body) -> &mut Vec<Entry> {
    match &mut body.action {
        Action::Entries(entries) => entries,
        _ => panic!("entries"),
    }
}

#[test]
fn the_offering_side_must_give_what_it_offered() {
    let mut world = funded();
    sign(&mut world, &agreement(), |_| (), None).unwrap();
    for offered in [99, 101] {
        let other = Agreement { offered: money(eur(), offered), ..agreement() };
        let error = sign(&mut world, &other, |_| (), None).err();
        assert_eq!(error, Some(ExchangeError::OtherAmount));
    }
}

#[test]
fn the_body_must_be_of_exactly_the_two_entries() {
    let mut world = funded();
    let other_join = joining(&mut world, &agreement()).join();
    type Change = Box<dyn Fn(&mut Body)>;
    let changes: Vec<(Change, ExchangeError)> = vec![
        (Box::new(|body| body.expiry = body.expiry.next()), ExchangeError::OtherTerms),
        (Box::new(|body| body.chain = ChainId(Digest::ZERO)), ExchangeError::OtherTerms),
        (Box::new(|body| body.suite = Suite::MlDsa87MlKem1024), ExchangeError::OtherTerms),
        (
            Box::new(|body| {
                let mut third = entries(body)[0].clone();
                third.asset = "ZZZ".parse().unwrap();
                entries(body).push(third);
            }),
            ExchangeError::NotTheTwoEntries,
        ),
        (Box::new(|body| drop(entries(body).remove(0))), ExchangeError::NotTheTwoEntries),
        (Box::new(|body| drop(entries(body).remove(1))), ExchangeError::NotTheTwoEntries),
        // Another entry of the same account, such as one of an earlier attempt.
        (
            Box::new(move |body| entries(body)[1] = other_join.entry.clone()),
            ExchangeError::OwnEntryChanged,
        ),
        (
            Box::new(|body| entries(body)[1].postings[0].sequence += 1),
            ExchangeError::OwnEntryChanged,
        ),
        (
            Box::new(|body| entries(body)[0].postings[0].key_fingerprint = Digest::ZERO),
            ExchangeError::OtherKey(id(ONE)),
        ),
        (
            Box::new(|body| entries(body)[0].credits[0].institution = id(CENTRAL)),
            ExchangeError::OtherReceiver(id(CENTRAL)),
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let error = sign(&mut world, &agreement(), change, None).err();
        assert_eq!(error, Some(expected), "change {number}");
    }
    // What the own checks do not name, the range proof does: it is bound to the whole body.
    let error =
        sign(&mut world, &agreement(), |body| entries(body)[0].postings[0].sequence += 1, None);
    assert!(matches!(error.err(), Some(ExchangeError::RangeProof { asset, .. }) if asset == eur()));
    // Anything but entries.
    let swapped = |body: &mut Body| entries(body).swap(0, 1);
    assert!(matches!(
        sign(&mut world, &agreement(), swapped, None).err(),
        Some(ExchangeError::Malformed(_))
    ));
}

#[test]
fn proofs_and_signatures_must_hold_on_either_side() {
    let mut world = funded();
    let [mut one, mut two] = restored(&world);
    let expiry = two.height().plus(5);
    let (state, rng) = (world.state.clone(), &mut world.rng);
    let attempt = |one: &mut Wallet, two: &mut Wallet, rng: &mut ChaCha20Rng| {
        let joining = Joining::new(&agreement(), expiry, two, &state, rng).unwrap();
        let answered = Answered::new(&agreement(), &joining.join(), one, &state, rng).unwrap();
        (joining, answered)
    };
    let (joining, answered) = attempt(&mut one, &mut two, rng);
    let [mut other_one, mut other_two] = restored(&world);
    let rng = &mut world.rng;
    let (other_joining, other) = attempt(&mut other_one, &mut other_two, rng);

    let foreign = other.range_proof().clone();
    let error = sign(&mut world, &agreement(), |_| (), Some(foreign)).err();
    assert!(matches!(error, Some(ExchangeError::RangeProof { .. })));

    let rng = &mut world.rng;
    let (body, proof) = (answered.body().clone(), answered.range_proof().clone());
    let signed = joining.sign(body, proof, &two, &state, &signing(TWO), rng).unwrap();
    let (body, proof) = (other.body().clone(), other.range_proof().clone());
    let stranger = other_joining.sign(body, proof, &other_two, &state, &signing(TWO), rng).unwrap();
    let complete = |proof: &RangeProof, signature: &Signature| {
        answered.complete(proof, signature, &one, &state, &signing(ONE))
    };
    let proofs = [answered.range_proof().clone(), signed.range_proof().clone()];
    let digest = signing_digest(answered.body(), &proofs);
    for forged in [
        signing(ONE).sign(Purpose::Transaction, &digest),
        signing(CENTRAL).sign(Purpose::Transaction, &digest),
        key(TWO, Purpose::Round).sign(Purpose::Transaction, &digest),
        signing(TWO).sign(Purpose::Round, &digest),
        stranger.signature().clone(),
    ] {
        let error = complete(signed.range_proof(), &forged).err();
        assert!(matches!(error, Some(ExchangeError::Signature { .. })));
    }
    let error = complete(stranger.range_proof(), signed.signature()).err();
    assert!(matches!(error, Some(ExchangeError::RangeProof { asset, .. }) if asset == usd()));
    let error = complete(answered.range_proof(), signed.signature()).err();
    assert!(matches!(error, Some(ExchangeError::RangeProof { .. })));
    let transaction = complete(signed.range_proof(), signed.signature()).unwrap();

    // What comes back must be what was signed, with the other side's signature.
    let foreign = transaction.clone().into_unverified();
    assert_eq!(stranger.check(foreign, &state).err(), Some(ExchangeError::OtherTransaction));
    let mut signatures = transaction.signatures().to_vec();
    signatures[0].signature = signatures[1].signature.clone();
    let (body, proofs) = (transaction.body().clone(), transaction.proofs().to_vec());
    let bad = Transaction::new(body, proofs, signatures);
    assert!(matches!(signed.check(bad, &state).err(), Some(ExchangeError::Verification(_))));
    signed.check(transaction.into_unverified(), &state).unwrap();
}
