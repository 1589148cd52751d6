use std::collections::BTreeSet;

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::encoding::Encode;
use quittance_crypto::group::Point;
use quittance_crypto::range_proof::joint::{Aggregator, Prover};

use super::*;
use crate::ids::{CreditId, RoundId, Uetr};
use crate::payload::{Act, CreditPayload, SelfNote};
use crate::testing::{Bank, World, asset, chain, rng, signed, single, terms};
use crate::transaction::{Entry, Side, Transaction};

/// What is left of an entry: `sum(new) - sum(old) - sum(absorbed) + sum(credits)`.
fn imbalance(entry: &Entry, old: &[(Side, &Opening)], absorbed: &[Absorbed]) -> Point {
    let new: Point = entry.postings.iter().map(|posting| posting.new_balance.point()).sum();
    let old: Point = old.iter().map(|(side, old)| side.proven(old.commit()).point()).sum();
    let absorbed: Point = absorbed.iter().map(|credit| credit.opening.commit().point()).sum();
    let credits: Point = entry.credits.iter().map(|credit| credit.commitment.point()).sum();
    new - old - absorbed + credits
}

fn pending(number: u8, value: u64) -> Absorbed {
    let id = CreditId(quittance_crypto::digest::Digest([number; 32]));
    Absorbed { id, opening: Opening::random(value, &mut rng(u64::from(number))) }
}

#[test]
fn a_transfer_sums_to_zero_and_tells_each_side_what_it_needs() {
    let (a, b, c) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"), Bank::new("BANKNL2A"));
    let world = World::new(&[&a]);
    let balance = Opening::random(100, &mut rng(1));
    let absorbed = [pending(8, 30), pending(3, 5)];
    let receivers = [b.receives(120), c.receives(0), b.receives(1)];
    let poster = a.poster("EUR", Side::Holder, 4, &balance);
    let draft = poster.transfer(&absorbed, &receivers, Uetr([1; 16]), &mut rng(2)).unwrap();
    let entry = draft.entry().clone();
    assert_eq!(imbalance(&entry, &[(Side::Holder, &balance)], &absorbed), Point::identity());
    assert_eq!(entry.postings[0].sequence, 5);
    assert_eq!(entry.postings[0].absorbed, [pending(3, 5).id, pending(8, 30).id]);

    let transaction = single(draft, &a, 3).verify(&world).unwrap();
    assert_eq!(transaction.proofs()[0].aggregation(), 4);

    let credit = &entry.credits[0];
    let payload = CreditPayload::open(chain(), asset("EUR"), credit, &b.sealing).unwrap();
    assert_eq!((payload.opening.value, payload.particulars.end_to_end_id()), (120, "INVOICE-1"));
    assert!(CreditPayload::open(chain(), asset("EUR"), credit, &c.sealing).is_err());

    let posting = &entry.postings[0];
    let note = SelfNote::open(chain(), asset("EUR"), posting, Side::Holder, &a.note).unwrap();
    assert_eq!(note.opening.value, 14);
    for (index, credit) in (0..).zip(&entry.credits) {
        assert!(note.credit_opening(index).unwrap().opens(&credit.commitment));
    }
    assert!(note.credit_opening(3).is_none());
    assert!(matches!(note.act, Act::Entry { instruction: Some(Uetr(id)), .. } if id == [1; 16]));
}

#[test]
fn the_proven_balance_is_the_next_starting_point() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let world = World::new(&[&a]);
    let mut balance = Opening::random(50, &mut rng(1));
    for sequence in 0..3 {
        let poster = a.poster("EUR", Side::Holder, sequence, &balance);
        let draft = poster.transfer(&[], &[b.receives(10)], Uetr([1; 16]), &mut rng(sequence));
        let draft = draft.unwrap();
        assert_eq!(imbalance(draft.entry(), &[(Side::Holder, &balance)], &[]), Point::identity());
        let body = terms().entries(vec![draft.entry().clone()]).unwrap();
        let Proven { proof, new_balance } = draft.prove(&body, &mut rng(9)).unwrap();
        let transaction = signed(Unsigned::new(body, vec![proof]).unwrap(), &[&a]);
        transaction.verify(&world).unwrap();
        balance = new_balance;
    }
    assert_eq!(balance.value, 20);
}

#[test]
fn an_issuers_liability_grows_by_what_it_gives_and_shrinks_by_what_comes_back() {
    let (central, b) = (Bank::new("CENTXX2A"), Bank::new("BANKFRPP"));
    let world = World::new(&[&central]);
    let nothing = Opening::zero();
    let poster = central.poster("EUR", Side::Issuer, 0, &nothing);
    let issue = poster.transfer(&[], &[b.receives(500)], Uetr([1; 16]), &mut rng(1)).unwrap();
    assert_eq!(imbalance(issue.entry(), &[(Side::Issuer, &nothing)], &[]), Point::identity());
    let body = terms().entries(vec![issue.entry().clone()]).unwrap();
    let Proven { proof, new_balance } = issue.prove(&body, &mut rng(2)).unwrap();
    assert_eq!(new_balance.value, 500);
    signed(Unsigned::new(body, vec![proof]).unwrap(), &[&central]).verify(&world).unwrap();

    let back = [pending(1, 200)];
    let poster = central.poster("EUR", Side::Issuer, 1, &new_balance);
    let redeem = poster.absorb(&back, &mut rng(3)).unwrap();
    assert_eq!(
        imbalance(redeem.entry(), &[(Side::Issuer, &new_balance)], &back),
        Point::identity()
    );
    let note = SelfNote::open(
        chain(),
        asset("EUR"),
        &redeem.entry().postings[0],
        Side::Issuer,
        &central.note,
    );
    assert_eq!(note.unwrap().opening.value, 300);
    single(redeem, &central, 4).verify(&world).unwrap();

    let too_much = poster.absorb(&[pending(1, 501)], &mut rng(5)).map(|_| ());
    assert!(matches!(too_much, Err(BuildError::InsufficientFunds { needed: 501, .. })));
}

#[test]
fn a_posting_may_change_nothing() {
    let a = Bank::new("BANKDEFF");
    let balance = Opening::random(7, &mut rng(1));
    let draft = a.poster("EUR", Side::Holder, 0, &balance).absorb(&[], &mut rng(2)).unwrap();
    assert_eq!(draft.entry().postings[0].new_balance, balance.commit());
    single(draft, &a, 3).verify(&World::new(&[&a])).unwrap();
}

#[test]
fn impossible_transfers_are_refused_with_their_reason() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let balance = Opening::random(10, &mut rng(1));
    let poster = a.poster("EUR", Side::Holder, 0, &balance);
    let account = poster.account;
    let pay = |absorbed: &[Absorbed], amounts: &[u64]| {
        let receivers: Vec<_> = amounts.iter().map(|amount| b.receives(*amount)).collect();
        poster.transfer(absorbed, &receivers, Uetr([1; 16]), &mut rng(2)).map(|_| ())
    };
    assert_eq!(pay(&[], &[]), Err(BuildError::NoReceivers { account }));
    assert_eq!(pay(&[], &[10]), Ok(()));
    let insufficient =
        |needed| Err(BuildError::InsufficientFunds { account, needed, available: 10 });
    assert_eq!(pay(&[], &[11]), insufficient(11));
    assert_eq!(pay(&[], &[u64::MAX, u64::MAX]), insufficient(2 * u128::from(u64::MAX)));
    let most = [pending(1, u64::MAX)];
    let balance = u128::from(u64::MAX) + 1;
    assert_eq!(pay(&most, &[9]), Err(BuildError::BalanceTooLarge { account, balance }));
    assert_eq!(pay(&most, &[10]), Ok(()));

    let full = Opening::new(u64::MAX, Blinding::zero());
    let issuer = a.poster("EUR", Side::Issuer, 0, &full);
    let issued = issuer.transfer(&[], &[b.receives(1)], Uetr([1; 16]), &mut rng(3)).map(|_| ());
    assert_eq!(issued, Err(BuildError::BalanceTooLarge { account, balance }));

    let last = a.poster("EUR", Side::Holder, u64::MAX, &full);
    let used_up = last.absorb(&[], &mut rng(4)).map(|_| ());
    assert_eq!(used_up, Err(BuildError::SequenceUsedUp { account }));
}

/// Runs of 16 bytes that nobody but chance could have in common.
fn fragments(transaction: &Transaction) -> BTreeSet<Vec<u8>> {
    let body = &transaction.body().entries()[0];
    let mut fields = vec![
        body.postings[0].new_balance.to_bytes(),
        body.postings[0].self_note.clone(),
        transaction.proofs()[0].as_bytes().to_vec(),
    ];
    for credit in &body.credits {
        fields.extend([credit.commitment.to_bytes(), credit.details.to_bytes()]);
        // The seal begins with its suite and lengths, and ends with the cipher's own bytes.
        fields.push(credit.sealed[9..].to_vec());
    }
    fields.iter().flat_map(|field| field.windows(16).map(<[u8]>::to_vec)).collect()
}

#[test]
fn two_candidates_for_one_sequence_share_no_randomness() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let balance = Opening::random(100, &mut rng(1));
    let poster = a.poster("EUR", Side::Holder, 4, &balance);
    let mut rng = rng(2);
    let mut candidate = || {
        let receivers = [b.receives(10), b.receives(0)];
        let draft = poster.transfer(&[], &receivers, Uetr([1; 16]), &mut rng).unwrap();
        let body = terms().entries(vec![draft.entry().clone()]).unwrap();
        let proof = draft.prove(&body, &mut rng).unwrap().proof;
        signed(Unsigned::new(body, vec![proof]).unwrap(), &[&a])
    };
    let (one, two) = (fragments(&candidate()), fragments(&candidate()));
    // The test can fail: a candidate shares everything with itself.
    assert!(one.len() > 1000);
    assert_eq!(one.intersection(&two).count(), 0);
}

#[test]
fn equal_credits_of_one_transfer_share_no_randomness() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let draft = a.pays("EUR", 100, &[b.receives(5), b.receives(5)], 1);
    let [one, two] = draft.entry().credits.as_slice() else { panic!("two credits") };
    assert_ne!(one.commitment, two.commitment);
    assert_ne!(one.details, two.details);
}

#[test]
fn two_banks_exchange_by_the_same_pieces() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let world = World::new(&[&a, &b]);
    // Bank b is asked for dollars first: the body sorts by asset.
    let dollars = b.pays("USD", 300, &[a.receives(110)], 1);
    let euros = a.pays("EUR", 200, &[b.receives(100)], 2);
    let shown = vec![dollars.entry().clone(), euros.entry().clone()];
    let body_of_a = terms().entries(shown.clone()).unwrap();
    let body_of_b = terms().entries(shown.into_iter().rev().collect()).unwrap();
    assert_eq!(body_of_a, body_of_b);

    let proof_of_a = euros.prove(&body_of_a, &mut rng(3)).unwrap().proof;
    let proof_of_b = dollars.prove(&body_of_b, &mut rng(4)).unwrap().proof;
    let proofs = vec![proof_of_a.clone(), proof_of_b.clone()];
    let unsigned = Unsigned::new(body_of_a.clone(), proofs).unwrap();
    let transaction = signed(unsigned, &[&b, &a]);
    transaction.verify(&world).unwrap();

    let swapped = Unsigned::new(body_of_a.clone(), vec![proof_of_b, proof_of_a.clone()]).unwrap();
    assert!(signed(swapped, &[&a, &b]).verify(&world).is_err());
    let missing = Unsigned::new(body_of_a, vec![proof_of_a]).map(|_| ());
    assert_eq!(missing, Err(BuildError::ProofCount { found: 1, expected: 2 }));
}

#[test]
fn banks_settle_a_round_with_one_proof_that_they_build_together() {
    let banks = ["BANKDEFF", "BANKFRPP", "BANKNL2A"].map(Bank::new);
    let world = World::new(&banks.each_ref());
    let old = [100u64, 0, 30].map(|value| Opening::random(value, &mut rng(value)));
    // Nets -70, +90, -20; their blindings sum to zero.
    let (one, two) = (Blinding::random(&mut rng(1)), Blinding::random(&mut rng(2)));
    let three = -&(&one + &two);
    let flows = [(10, 80, one, 2), (90, 0, two, 0), (0, 20, three, 1)];
    let drafts: Vec<_> = banks
        .iter()
        .zip(&old)
        .zip(&flows)
        .map(|((bank, balance), (receives, pays, blinding, settled))| {
            let poster = bank.poster("EUR", Side::Holder, 1, balance);
            poster.settle(*receives, *pays, blinding, *settled, &mut rng(5)).unwrap()
        })
        .collect();
    let values: Vec<_> = drafts.iter().map(|draft| draft.opening.value).collect();
    assert_eq!(values, [30, 90, 10]);

    let postings = drafts.iter().rev().map(|draft| draft.posting.clone()).collect();
    let round = RoundId(quittance_crypto::digest::Digest([3; 32]));
    let body = terms().settlement(round, 0, asset("EUR"), postings, None).unwrap();
    let entry = &body.entries()[0];
    let old: Vec<_> = old.iter().map(|old| (Side::Holder, old)).collect();
    assert_eq!(imbalance(entry, &old, &[]), Point::identity());

    let proof = joint_proof(&body, &drafts, &world);
    let unsigned = Unsigned::new(body, vec![proof]).unwrap();
    signed(unsigned.clone(), &banks.each_ref()).verify(&world).unwrap();

    let two_of_three: Vec<_> =
        banks.iter().take(2).map(|bank| unsigned.sign(bank.id, &bank.signing).unwrap()).collect();
    let refused = unsigned.assemble(two_of_three).map(|_| ());
    assert_eq!(refused, Err(BuildError::NotSigned(banks[2].id)));
}

fn joint_proof(
    body: &crate::transaction::Body,
    drafts: &[PostingDraft],
    world: &World,
) -> quittance_crypto::range_proof::RangeProof {
    let context = body.proof_context(&body.digest(), 0);
    let statement = body.entries()[0].statement(world.issuers[&asset("EUR")]);
    let (provers, bits): (Vec<_>, Vec<_>) = drafts
        .iter()
        .enumerate()
        .map(|(position, draft)| {
            let mut rng = rng(position as u64);
            Prover::start(&context, &statement, position, &draft.opening, &mut rng).unwrap()
        })
        .unzip();
    let aggregator = Aggregator::new(&context, &statement, &mut rng(19)).unwrap();
    let (aggregator, bits) = aggregator.receive(bits, &mut rng(20)).unwrap();
    let (provers, polynomials): (Vec<_>, Vec<_>) =
        provers.into_iter().map(|prover| prover.receive(&bits, &mut rng(30)).unwrap()).unzip();
    let (aggregator, polynomials) = aggregator.receive(polynomials).unwrap();
    let shares: Vec<_> =
        provers.into_iter().map(|prover| prover.receive(&polynomials).unwrap()).collect();
    aggregator.receive(shares, &mut rng(50)).unwrap()
}

#[test]
fn settling_is_refused_to_issuers_and_to_those_who_cannot_pay() {
    let a = Bank::new("BANKDEFF");
    let balance = Opening::random(10, &mut rng(1));
    let zero = Blinding::zero();
    let holder = a.poster("EUR", Side::Holder, 0, &balance);
    let short = holder.settle(5, 16, &zero, 0, &mut rng(2)).map(|_| ());
    assert!(matches!(short, Err(BuildError::InsufficientFunds { needed: 16, available: 15, .. })));
    let large = holder.settle(u128::MAX, 0, &zero, 0, &mut rng(2)).map(|_| ());
    assert!(matches!(large, Err(BuildError::BalanceTooLarge { .. })));
    let issuer = a.poster("EUR", Side::Issuer, 0, &balance);
    let refused = issuer.settle(0, 0, &zero, 0, &mut rng(2)).map(|_| ());
    assert_eq!(refused, Err(BuildError::IssuerSettles { account: holder.account }));
}

#[test]
fn signing_and_assembling_take_the_right_keys_only() {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let draft = a.pays("EUR", 100, &[b.receives(5)], 1);
    let body = terms().entries(vec![draft.entry().clone()]).unwrap();
    let other = a.pays("EUR", 100, &[b.receives(5)], 1);
    let not_in_body = other.prove(&body, &mut rng(2)).map(|_| ());
    assert_eq!(not_in_body, Err(BuildError::EntryNotInBody { asset: asset("EUR") }));
    let proof = draft.prove(&body, &mut rng(2)).unwrap().proof;
    let unsigned = Unsigned::new(body, vec![proof]).unwrap();

    assert_eq!(unsigned.sign(b.id, &b.signing), Err(BuildError::NotASigner(b.id)));
    assert_eq!(unsigned.sign(a.id, &b.signing), Err(BuildError::OtherKey(a.id)));
    let good = unsigned.sign(a.id, &a.signing).unwrap();
    let mut renamed = good.clone();
    renamed.institution = b.id;
    let mut rekeyed = good.clone();
    rekeyed.key_fingerprint = b.fingerprint;
    for (signatures, error) in [
        (vec![], BuildError::NotSigned(a.id)),
        (vec![good.clone(), good.clone()], BuildError::SignedTwice(a.id)),
        (vec![good.clone(), renamed], BuildError::NotASigner(b.id)),
        (vec![rekeyed], BuildError::OtherKey(a.id)),
    ] {
        assert_eq!(unsigned.clone().assemble(signatures).map(|_| ()), Err(error));
    }
    assert!(unsigned.assemble(vec![good]).is_ok());
}
