//! What travels sealed beside the commitments: a credit's opening and particulars to its receiver,
//! and notes to oneself.

mod credit;
mod particulars;
mod self_note;
#[cfg(test)]
mod tests;

pub use credit::{CREDIT_PAYLOAD_BYTES, CreditPayload, CreditPlace, PayloadError};
pub use particulars::{MAX_END_TO_END_ID, MAX_REMITTANCE, Particulars, ParticularsError};
pub use self_note::{Act, NotePlace, Seed, SelfNote, SelfNoteError};
