//! Proofs in places that they were not made for.

use quittance_crypto::commitment::{Blinding, Opening};

use super::*;
use crate::ids::{ChainId, Uetr};
use crate::testing::institution;
use crate::transaction::Side;

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
fn the_proof_of_a_settlement_serves_no_other_round_attempt_or_kind() {
    let scene = scene();
    let banks = [&scene.a, &scene.b];
    let old = [Opening::random(50, &mut rng(1)), Opening::random(20, &mut rng(2))];
    let net = Blinding::random(&mut rng(3));
    let flows = [(0, 30, net.clone()), (30, 0, -&net)];
    let drafts: Vec<_> = banks
        .iter()
        .zip(&old)
        .zip(&flows)
        .map(|((bank, old), (receives, pays, net))| {
            let poster = bank.poster("EUR", Side::Holder, 3, old);
            poster.settle(*receives, *pays, net, 1, &mut rng(4)).unwrap()
        })
        .collect();
    let postings = drafts.iter().map(|draft| draft.posting.clone()).collect();
    let round = RoundId(Digest([4; 32]));
    let body = terms().settlement(round, 0, asset("EUR"), postings, None).unwrap();
    let openings: Vec<_> = drafts.iter().map(|draft| draft.opening.clone()).collect();
    let context = body.proof_context(&body.digest(), 0);
    let proof = range_proof::prove(&context, &openings, &mut rng(5)).unwrap();
    let honest = signed(Unsigned::new(body, vec![proof]).unwrap(), &banks);
    assert!(honest.clone().verify(&scene.world).is_ok());

    fn settlement(body: &mut Body) -> &mut crate::transaction::Settlement {
        let Action::Settlement(settlement) = &mut body.action else { panic!("a settlement") };
        settlement
    }
    let changes: &[Mutation] = &[
        ("round", |body| settlement(body).round = RoundId(Digest([5; 32]))),
        ("attempt", |body| settlement(body).attempt = 1),
        ("attachment", |body| settlement(body).attachment = Some(Digest::ZERO)),
        ("asset", |body| settlement(body).entry.asset = asset("USD")),
        ("kind", |body| body.action = Action::Entries(vec![settlement(body).entry.clone()])),
    ];
    for (what, change) in changes {
        assert!(refused(&scene.error(resigned(&honest, change, &banks))), "{what}");
    }
    let less = |body: &mut Body| drop(settlement(body).entry.postings.pop());
    assert!(scene.error(resigned(&honest, less, &banks[..1])).to_string().contains("the proof"));
}
