use std::sync::Arc;

use quittance_crypto::signature::{SigningKey, Suite, VerifyingKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::engine::Engine;
use crate::memory::Network;
use crate::parties::Parties;
use crate::session::{Binding, EvidenceError, Frame, Machine, Signer};

struct Keys {
    own: SigningKey,
    all: Arc<Vec<VerifyingKey>>,
}

impl Signer for Keys {
    fn sign(&self, statement: &Digest) -> Signature {
        self.own.sign(Purpose::Round, statement)
    }

    fn key(&self, party: PartyId) -> Option<&VerifyingKey> {
        self.all.get(party.position())
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[number; 32])
}

/// Parties 1, 3 and 4 of a committee of four.
fn binding() -> Binding {
    let [chain, circuit, roster, dealings] = [Digest::ZERO; 4];
    let active = Parties::new(4, 1).unwrap().active(&[1, 3, 4]).unwrap();
    let committee = (1..=4).map(|number| key(number).verifying_key().fingerprint()).collect();
    let (round, attempt, threshold) = (Digest([7; 32]), 0, 1);
    Binding { chain, round, attempt, circuit, roster, dealings, committee, threshold, active }
}

/// A session that agrees on seeds, opens something and ends, with somebody on the wire.
fn run<'a>(interfere: impl FnMut(Frame) -> Vec<Frame> + 'a) -> Vec<Result<usize, Abort>> {
    let all = Arc::new((1..=4).map(|number| key(number).verifying_key()).collect::<Vec<_>>());
    let machine = |me: PartyId| {
        let keys = Keys { own: key(me.number()), all: all.clone() };
        let entropy = ChaCha20Rng::seed_from_u64(me.number().into());
        Machine::new(&binding(), me.number(), |session| async move {
            let mut engine = Engine::start(session.signed(keys), entropy).await?;
            let shares = engine.random(2);
            let opened = engine.open(&shares.iter().collect::<Vec<_>>()).await?;
            engine.compare_transcripts().await?;
            Ok(opened.len())
        })
        .unwrap()
    };
    let machines = binding().parties().unwrap().ids().map(machine).collect();
    Network::new(machines, 1).interfering(interfere).run().results
}

/// What `from` says instead in this frame, properly signed.
fn say_otherwise(frame: &mut Frame, length: usize) {
    let place = Place { session: frame.session, exchange: frame.exchange, kind: frame.kind };
    frame.payload[0] ^= 1;
    let content = hash(&frame.payload[..length]);
    let signature = key(frame.from).sign(Purpose::Round, &place.statement(frame.from, &content));
    let mut out = Writer::new();
    out.list(&[signature]);
    frame.payload.truncate(length);
    frame.payload.extend_from_slice(&out.into_bytes());
}

/// The evidence when party 3 tells party 4 something else than party 1 in messages of this kind.
fn contradicted(kind: Kind, length: usize) -> Vec<Evidence> {
    let mut revealed = false;
    let results = run(|mut frame| {
        revealed |= frame.kind == Kind::Reveal;
        if (frame.kind, frame.from, frame.to) == (kind, 3, 4) {
            say_otherwise(&mut frame, length);
        }
        vec![frame]
    });
    assert_eq!(revealed, kind != Kind::Commit, "nothing is revealed before all agree");
    let evidence = |result: Result<usize, Abort>| result.unwrap_err().evidence().cloned();
    results.into_iter().map(|result| evidence(result).unwrap()).collect()
}

#[test]
fn signed_sessions_end_well_among_honest_parties() {
    assert!(run(|frame| vec![frame]).iter().all(|result| *result == Ok(2)));
}

/// Of three active parties with t = 1 each belongs to two sets.
const COMMITMENTS: usize = 64;

#[test]
fn whoever_says_two_things_is_named_by_evidence_that_convinces_anybody() {
    for (kind, length) in [(Kind::Commit, COMMITMENTS), (Kind::Transcript, 32)] {
        for evidence in contradicted(kind, length) {
            assert_eq!((evidence.party(), *evidence.session()), (3, binding().session()));
            let carried = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
            assert_eq!(carried, evidence);
            assert_eq!(carried.verify(&key(3).verifying_key()), Ok(()));
            assert!(carried.verify(&key(1).verifying_key()).is_err());
            assert!(carried.to_string().starts_with("party 3 of session"), "{carried}");
        }
    }
}

#[test]
fn nobody_is_accused_by_changed_or_borrowed_statements() {
    let evidence = contradicted(Kind::Commit, COMMITMENTS).remove(0);
    let verifying = key(3).verifying_key();
    let proves = |evidence: &Evidence| evidence.verify(&verifying);
    let bytes = evidence.to_bytes();
    // Every byte of what is signed, and some of the signatures.
    let header = 32 + 4 + 1 + 1 + 32;
    for position in (0..header).chain((header..bytes.len()).step_by(311)) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        assert!(Evidence::from_bytes(&changed).map_or(true, |it| proves(&it).is_err()));
    }
    let (place, party) = (evidence.place(), Parties::new(4, 1).unwrap().id(3).unwrap());
    let said = |place: Place, content: Digest| Said {
        content,
        signature: key(3).sign(Purpose::Round, &place.statement(3, &content)),
    };
    let [one, other] = [Digest([1; 32]), Digest([2; 32])];
    let genuine = Evidence::new(place, party, [said(place, one), said(place, other)]);
    assert_eq!(proves(&genuine), Ok(()));
    let same = Evidence::new(place, party, [said(place, one), said(place, one)]);
    assert_eq!(proves(&same), Err(EvidenceError::Same));
    // Different things are said in different sessions, exchanges and kinds of exchange.
    let elsewhere = [
        Place { session: Digest([3; 32]), ..place },
        Place { exchange: place.exchange + 1, ..place },
        Place { kind: Kind::Publish, ..place },
    ];
    for elsewhere in elsewhere {
        let mixed = Evidence::new(place, party, [said(place, one), said(elsewhere, other)]);
        assert!(matches!(proves(&mixed), Err(EvidenceError::Signature(_))));
    }
    // What another party has said, or what is signed for another purpose.
    let foreign = Evidence::new(
        place,
        Parties::new(4, 1).unwrap().id(4).unwrap(),
        [said(place, one), said(place, other)],
    );
    assert!(foreign.verify(&key(4).verifying_key()).is_err());
    let statement = place.statement(3, &other);
    let receipt = Said { content: other, signature: key(3).sign(Purpose::Receipt, &statement) };
    assert!(proves(&Evidence::new(place, party, [said(place, one), receipt])).is_err());
}

/// Party 4 echoes what party 3 has not said: that speaks against party 4.
#[test]
fn a_false_echo_names_who_sends_it() {
    let results = run(|mut frame| {
        if (frame.kind, frame.from, frame.exchange) == (Kind::Echo, 4, 1) {
            // The hash of party 1's message comes first.
            frame.payload[0] ^= 1;
        }
        vec![frame]
    });
    for result in &results[..2] {
        let abort = result.as_ref().unwrap_err();
        assert!(matches!(abort, Abort::Malformed { kind: Kind::Echo, .. }), "{abort}");
        assert_eq!(abort.culprit().map(PartyId::number), Some(4));
        assert_eq!(abort.evidence(), None);
    }
}

#[test]
fn what_is_not_signed_is_not_taken() {
    for (kind, length) in [(Kind::Commit, COMMITMENTS), (Kind::Transcript, 32)] {
        for unsigned in [true, false] {
            let results = run(|mut frame| {
                if (frame.kind, frame.from) == (kind, 3) {
                    match unsigned {
                        true => {
                            frame.payload.truncate(length);
                            frame.payload.extend_from_slice(&[0; 4]);
                        }
                        false => frame.payload[0] ^= 1,
                    }
                }
                vec![frame]
            });
            let abort = results[0].as_ref().unwrap_err();
            assert!(matches!(abort, Abort::Malformed { .. }), "{abort}");
            assert_eq!(abort.culprit().map(PartyId::number), Some(3));
        }
    }
}
