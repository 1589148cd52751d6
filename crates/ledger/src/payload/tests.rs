use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};

use super::*;
use crate::ids::{ChainId, Uetr};
use crate::testing::{Bank, asset, chain, institution, rng};
use crate::transaction::{Condition, Credit, MAX_CREDITS, MAX_SELF_NOTE_BYTES, Posting, Side};

fn particulars(end_to_end_id: &str, remittance: &str) -> Result<Particulars, ParticularsError> {
    Particulars::new(Uetr([3; 16]), end_to_end_id, remittance)
}

fn payload(end_to_end_id: &str, remittance: &str) -> CreditPayload {
    CreditPayload {
        opening: Opening::random(5, &mut rng(1)),
        salt: [2; 16],
        particulars: particulars(end_to_end_id, remittance).unwrap(),
    }
}

#[test]
fn particulars_are_bounded_and_printable() {
    assert!(particulars("", "").is_ok());
    assert!(particulars(&"x".repeat(35), &"ü".repeat(70)).is_ok());
    for bad in [&"x".repeat(36), "é", "a\n"] {
        assert_eq!(particulars(bad, ""), Err(ParticularsError::EndToEndId));
    }
    for bad in [&"x".repeat(141), &"ü".repeat(71), "two\nlines", "\u{7f}"] {
        assert_eq!(particulars("", bad), Err(ParticularsError::Remittance));
    }
}

#[test]
fn every_payload_is_equally_long_and_has_one_encoding() {
    for (one, two) in [("", ""), ("x", "ü"), (&*"x".repeat(35), &*"y".repeat(140))] {
        let bytes = payload(one, two).to_bytes();
        assert_eq!(bytes.len(), CREDIT_PAYLOAD_BYTES);
        let again = CreditPayload::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.to_bytes(), bytes);
        assert_eq!(again.particulars, particulars(one, two).unwrap());
        for end in 0..bytes.len() {
            assert!(CreditPayload::from_bytes(&bytes[..end]).is_err());
        }
    }
    let mut padded = payload("x", "").to_bytes();
    padded[255] = 1;
    let error = CreditPayload::from_bytes(&padded).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("padding is zeros"), "{error}");
}

fn credit(payload: &CreditPayload, to: &Bank) -> Credit {
    let commitment = payload.opening.commit();
    let (sender, receiver) = (institution("BANKDEFF"), to.id);
    let place = CreditPlace { chain: chain(), asset: asset("EUR"), sender, receiver, commitment };
    let sealed = payload.seal(&place, to.sealing.public_key()).unwrap();
    let (details, condition) = (payload.details(), Condition::None);
    Credit { sender, institution: receiver, commitment, sealed, details, condition }
}

#[test]
fn a_sealed_payload_opens_in_its_place_only() {
    let bank = Bank::new("BANKFRPP");
    let honest = credit(&payload("E2E", "text"), &bank);
    let open = |credit: &Credit| {
        CreditPayload::open(chain(), asset("EUR"), credit, &bank.sealing).map(|_| ())
    };
    assert_eq!(open(&honest), Ok(()));

    let elsewhere = [
        Credit { sender: institution("BANKNL2A"), ..honest.clone() },
        Credit { institution: institution("BANKNL2A"), ..honest.clone() },
        Credit { commitment: Opening::random(5, &mut rng(2)).commit(), ..honest.clone() },
    ];
    for moved in elsewhere {
        assert!(matches!(open(&moved), Err(PayloadError::Seal(_))));
    }
    let other = ChainId(Digest([8; 32]));
    let moved = [
        CreditPayload::open(other, asset("EUR"), &honest, &bank.sealing).map(|_| ()),
        CreditPayload::open(chain(), asset("USD"), &honest, &bank.sealing).map(|_| ()),
    ];
    assert!(moved.iter().all(|error| matches!(error, Err(PayloadError::Seal(_)))));

    let other_details = Credit { details: Digest::ZERO, ..honest.clone() };
    assert_eq!(open(&other_details), Err(PayloadError::OtherDetails));
    for garbage in [vec![], vec![0; 100], honest.sealed[..honest.sealed.len() - 1].to_vec()] {
        let garbage = Credit { sealed: garbage, ..honest.clone() };
        assert!(matches!(open(&garbage), Err(PayloadError::Decode(_))));
    }
}

#[test]
fn a_payload_that_lies_about_the_commitment_is_found_out() {
    let bank = Bank::new("BANKFRPP");
    let lie = payload("E2E", "text");
    let commitment = Opening::random(6, &mut rng(2)).commit();
    let (sender, receiver) = (institution("BANKDEFF"), bank.id);
    let place = CreditPlace { chain: chain(), asset: asset("EUR"), sender, receiver, commitment };
    let sealed = lie.seal(&place, bank.sealing.public_key()).unwrap();
    let credit = Credit { commitment, sealed, ..credit(&lie, &bank) };
    let error = CreditPayload::open(chain(), asset("EUR"), &credit, &bank.sealing).map(|_| ());
    assert_eq!(error, Err(PayloadError::OtherCommitment));
}

#[test]
fn details_cover_every_byte_of_the_payload() {
    let honest = payload("E2E", "text");
    let changed = [
        CreditPayload { salt: [9; 16], ..payload("E2E", "text") },
        CreditPayload {
            opening: Opening::new(6, honest.opening.blinding.clone()),
            ..payload("E2E", "text")
        },
        CreditPayload { opening: Opening::new(5, Blinding::zero()), ..payload("E2E", "text") },
        payload("E2", "text"),
        payload("E2E", "test"),
        // The same letters on either side of the border.
        payload("E2Et", "ext"),
    ];
    for changed in changed {
        assert_ne!(changed.details(), honest.details());
    }
}

fn note(amounts: usize) -> SelfNote {
    let amounts = zeroize::Zeroizing::new((1..=amounts as u64).collect());
    let (instruction, seed) = (Some(Uetr([1; 16])), Seed::random(&mut rng(3)));
    let act = Act::Entry { instruction, seed, amounts };
    SelfNote { opening: Opening::random(77, &mut rng(4)), act }
}

fn posting(note: &SelfNote, bank: &Bank, side: Side) -> Posting {
    let new_balance = side.proven(note.opening.commit());
    let place = NotePlace {
        chain: chain(),
        asset: asset("EUR"),
        institution: bank.id,
        sequence: 9,
        new_balance,
    };
    Posting {
        institution: bank.id,
        key_fingerprint: bank.fingerprint,
        sequence: 9,
        absorbed: vec![],
        new_balance,
        self_note: note.seal(&place, &bank.note, &mut rng(5)),
    }
}

#[test]
fn the_longest_note_fits_a_posting() {
    let bank = Bank::new("BANKDEFF");
    let posting = posting(&note(MAX_CREDITS), &bank, Side::Holder);
    assert!(posting.self_note.len() <= MAX_SELF_NOTE_BYTES, "{}", posting.self_note.len());
    assert!(SelfNote::open(chain(), asset("EUR"), &posting, Side::Holder, &bank.note).is_ok());
}

#[test]
fn notes_have_one_encoding() {
    let settled = SelfNote { act: Act::Settlement { settled: 12 }, ..note(0) };
    for note in [note(0), note(3), settled] {
        let bytes = note.to_bytes();
        let again = SelfNote::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.to_bytes(), bytes);
        for end in 0..bytes.len() {
            assert!(SelfNote::from_bytes(&bytes[..end]).is_err());
        }
        assert!(SelfNote::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_note_opens_for_its_owner_in_its_place_only() {
    let (bank, other) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    for side in [Side::Holder, Side::Issuer] {
        let honest = posting(&note(2), &bank, side);
        let open = |posting: &Posting, bank: &Bank, side| {
            SelfNote::open(chain(), asset("EUR"), posting, side, &bank.note).map(|_| ())
        };
        assert_eq!(open(&honest, &bank, side), Ok(()));
        assert!(matches!(open(&honest, &other, side), Err(SelfNoteError::Note(_))));
        let changed = [
            Posting { institution: other.id, ..honest.clone() },
            Posting { sequence: 10, ..honest.clone() },
            Posting { new_balance: Opening::zero().commit(), ..honest.clone() },
            Posting { self_note: vec![], ..honest.clone() },
        ];
        for changed in changed {
            assert!(matches!(open(&changed, &bank, side), Err(SelfNoteError::Note(_))));
        }
        let usd = SelfNote::open(chain(), asset("USD"), &honest, side, &bank.note).map(|_| ());
        assert!(usd.is_err());
    }
    let holder = posting(&note(2), &bank, Side::Holder);
    let wrong_side =
        SelfNote::open(chain(), asset("EUR"), &holder, Side::Issuer, &bank.note).map(|_| ());
    assert_eq!(wrong_side, Err(SelfNoteError::OtherBalance));
}

#[test]
fn blindings_and_salts_differ_by_seed_and_index() {
    let (one, two) = (Seed::random(&mut rng(1)), Seed::random(&mut rng(2)));
    let blindings = [one.blinding(0), one.blinding(1), two.blinding(0)];
    let blindings: Vec<_> = blindings.iter().map(|blinding| *blinding.as_scalar()).collect();
    assert!(blindings[0] != blindings[1] && blindings[0] != blindings[2]);
    let salts = [one.salt(0), one.salt(1), two.salt(0)];
    assert!(salts[0] != salts[1] && salts[0] != salts[2]);
}
