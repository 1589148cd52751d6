use super::*;
use crate::start::{Roster, Seat, Start};
use crate::testing::{bank, place};
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::RoundId;
use quittance_mpc::Parties;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Note(u64);

impl Content for Note {
    const LABEL: &'static str = "quittance/v1/test-note";
}

impl Encode for Note {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
}

impl Decode for Note {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u64("note").map(Self)
    }
}

/// Of the same form as a note, and signed for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Other(u64);

impl Content for Other {
    const LABEL: &'static str = "quittance/v1/test-other";
}

impl Encode for Other {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
}

impl Decode for Other {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u64("other").map(Self)
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[seed; 32])
}

#[test]
fn only_the_signer_under_this_label_is_believed() {
    let (ours, theirs) = (key(1), key(2));
    let signed = Signed::sign(Note(7), bank(1), &ours);
    assert_eq!(signed.verify(&ours.verifying_key()), Ok(&Note(7)));
    assert_eq!(signed.signer(), bank(1));
    assert!(signed.verify(&theirs.verifying_key()).is_err());

    let other = Signed { signer: bank(1), content: Other(7), signature: signed.signature.clone() };
    assert!(other.verify(&ours.verifying_key()).is_err(), "signed as a note");
    let moved = Signed { signer: bank(2), ..signed.clone() };
    assert!(moved.verify(&ours.verifying_key()).is_err(), "signed by another institution");
    let transaction = ours.sign(Purpose::Transaction, &digest(bank(1), &Note(7)));
    let signed = Signed { signature: transaction, ..signed };
    assert!(signed.verify(&ours.verifying_key()).is_err(), "signed for another purpose");
}

#[test]
fn every_changed_byte_is_refused() {
    let ours = key(1);
    let seat = |number| Seat { institution: bank(number), dealing: Digest([number as u8; 32]) };
    let roster = Roster::new(vec![seat(1), seat(2)]).unwrap();
    let active = Parties::new(3, 1).unwrap().first_active();
    let start = Start { round: place().round, attempt: 0, active, roster };
    let bytes = Signed::sign(start, bank(9), &ours).to_bytes();
    let verifying = ours.verifying_key();
    let accepted = |bytes: &[u8]| {
        let signed = Signed::<Start>::from_bytes(bytes);
        signed.is_ok_and(|signed| signed.to_bytes() == bytes && signed.verify(&verifying).is_ok())
    };
    assert!(accepted(&bytes));
    // Every byte of what is signed, and a few of the signature.
    let signed_part = 1 + 11 + 1 + 32 + 1 + 2 + 4 + 2 * 43;
    for position in (0..signed_part).chain((signed_part..bytes.len()).step_by(97)) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        assert!(!accepted(&changed), "byte {position}");
        assert!(Signed::<Start>::from_bytes(&bytes[..position]).is_err(), "cut at {position}");
    }
    assert!(Signed::<Start>::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn the_signed_digest_is_the_documented_one() {
    let seat = |number| Seat { institution: bank(number), dealing: Digest([number as u8; 32]) };
    let roster = Roster::new(vec![seat(1), seat(2)]).unwrap();
    let active = Parties::new(3, 1).unwrap().first_active();
    let start = Start { round: RoundId(Digest([5; 32])), attempt: 3, active, roster };
    let expected = [
        &b"BANKZZ09\0\0\0"[..],
        &[1],
        &[5; 32],
        &[3],
        &[0, 0b111],
        &[0, 0, 0, 2],
        b"BANKZZ01\0\0\0",
        &[1; 32],
        b"BANKZZ02\0\0\0",
        &[2; 32],
    ]
    .concat();
    assert_eq!(digest(bank(9), &start), Digest::of("quittance/v1/round-start", &[&expected]));
}
