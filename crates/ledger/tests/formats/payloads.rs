//! What is sealed.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::field::Scalar;
use quittance_ledger::ids::Uetr;
use quittance_ledger::payload::{Act, CreditPayload, Particulars, SelfNote};
use sha2::{Digest as _, Sha512};

use super::{commitment, h, n, preimage};

#[test]
fn credit_payloads() {
    let opening = Opening::new(30, Blinding::from_scalar(Scalar::from(31u64)));
    let particulars = Particulars::new(Uetr([0xee; 16]), "E2E-1", "für Ware").expect("short");
    let payload = CreditPayload { opening, salt: [0xff; 16], particulars };
    let mut blinding = [0; 32];
    blinding[0] = 31;
    let mut bytes = [
        &[1][..],
        &30u64.to_be_bytes(),
        &blinding,
        &[0xff; 16],
        &[0xee; 16],
        &n(5),
        b"E2E-1",
        &n(9),
        "für Ware".as_bytes(),
    ]
    .concat();
    bytes.resize(256, 0);
    assert_eq!(payload.to_bytes(), bytes);
    assert_eq!(payload.details().0, h("quittance/v1/credit-details", &[&bytes]));
}

#[test]
fn notes_to_oneself() {
    let mut blinding = [0; 32];
    blinding[0] = 31;
    let opening = [&[1][..], &30u64.to_be_bytes(), &blinding].concat();
    let parts: [&[u8]; 7] = [
        &opening,
        &[0, 1],
        &[0xee; 16],
        &[0x5e; 32],
        &n(2),
        &12u64.to_be_bytes(),
        &13u64.to_be_bytes(),
    ];
    let note = SelfNote::from_bytes(&parts.concat());
    let note = note.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(note.to_bytes(), parts.concat());
    assert!(note.opening.opens(&commitment(30)));

    // What a restored agent finds again of the second credit that it gave.
    let label = "quittance/v1/credit-blinding";
    let wide = Sha512::digest(preimage(label, &[&[0x5e; 32], &1u32.to_be_bytes()]));
    let blinding = Scalar::from_bytes_mod_order_wide(&wide.into());
    let given = note.credit_opening(1).expect("two credits were given");
    assert_eq!((given.value, *given.blinding.as_scalar()), (13, blinding));
    let Act::Entry { seed, .. } = &note.act else { panic!("an entry") };
    let salt = h("quittance/v1/credit-salt", &[&[0x5e; 32], &1u32.to_be_bytes()]);
    assert_eq!(seed.salt(1), salt[..16]);

    let settled = [&opening[..], &[1], &5u32.to_be_bytes()].concat();
    let note = SelfNote::from_bytes(&settled).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(note.act, Act::Settlement { settled: 5 }));
    assert_eq!(note.to_bytes(), settled);
}
