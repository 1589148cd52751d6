//! The names of a trial network's own institutions.
//!
//! `ZZ` is a country code that ISO 3166 leaves to its users, so none of them is a real BIC.

use quittance_ledger::ids::InstitutionId;

/// The first validator, which the others use.
pub const VALIDATOR: &str = "VALDZZ01";

/// The coordinator of rounds.
pub const COORDINATOR: &str = "CORDZZ01";

/// The central bank, issuer of all assets.
pub const CENTRAL_BANK: &str = "CBNKZZ01";

/// The auditor: no member of the ledger, only the holder of a certificate.
pub const AUDITOR: &str = "AUDTZZ01";

/// The MPC parties in committee order.
pub const PARTIES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];

/// Whether a bank can not have this name, because the network's own institutions bear it.
pub fn is_reserved(institution: InstitutionId) -> bool {
    let own = [VALIDATOR, COORDINATOR, CENTRAL_BANK, AUDITOR];
    own.iter().chain(&PARTIES).any(|name| *name == institution.as_str())
        || validators(u8::MAX).any(|name| name == institution.as_str())
}

/// The names of `count` validators: `VALDZZ01`, `VALDZZ02` and so on.
pub fn validators(count: u8) -> impl Iterator<Item = String> {
    (1..=count.min(99)).map(|number| format!("VALDZZ{number:02}"))
}

/// Names for `count` banks that have none: `BANKZZ01`, `BANKZZ02` and so on.
pub fn banks(count: u8) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("BANKZZ{number:02}"))
}
