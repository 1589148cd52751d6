//! Signatures that are missing, too many, by others or over something else.

use quittance_crypto::signature::SigningKey;

use super::*;
use crate::ids::ChainId;
use crate::testing::{SUITE, institution};

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
fn a_transaction_above_its_size_is_refused_before_its_signatures_are_verified() {
    let scene = scene();
    let honest = scene.transfer(1);
    let count = MAX_TRANSACTION_BYTES / honest.signatures()[0].to_bytes().len() + 1;
    let signatures = vec![honest.signatures()[0].clone(); count];
    let stuffed = Transaction::new(honest.body().clone(), honest.proofs().to_vec(), signatures);
    let size = stuffed.to_bytes().len();
    assert_eq!(scene.error(stuffed), VerificationError::TooLarge(size));
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
