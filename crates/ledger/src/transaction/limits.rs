//! Bounds of the transaction format. They belong to the version of the format, not to a chain:
//! decoding refuses what is above them before anything is allocated.

/// Complete bytes of a transaction.
pub const MAX_TRANSACTION_BYTES: usize = 1 << 20;
/// Entries of a transaction, each in an asset of its own.
pub const MAX_ENTRIES: usize = 8;
/// Postings of an entry.
pub const MAX_POSTINGS: usize = 128;
/// Credits of an entry.
pub const MAX_CREDITS: usize = 32;
/// Postings and credits of an entry together: what one aggregated range proof covers.
pub const MAX_STATEMENT: usize = 128;
/// Credits that one posting absorbs.
pub const MAX_ABSORBED: usize = 256;
/// Bytes of the note to oneself in a posting.
pub const MAX_SELF_NOTE_BYTES: usize = 512;
/// Bytes of the sealed payload of a credit.
pub const MAX_SEALED_BYTES: usize = 4096;
/// Bytes of the note to oneself in the joining of a round: a whole queue.
pub const MAX_QUEUE_NOTE_BYTES: usize = 1 << 18;

/// Attempts of a round. Members commit to what hides their results in each of them when they join.
pub const MAX_ATTEMPTS: u8 = 2;
/// Changes of a decision.
pub const MAX_CHANGES: usize = 64;
/// Validators that approve a decision: all of a set.
pub const MAX_APPROVALS: usize = crate::certificate::MAX_VALIDATORS;
/// Blocks that may lie between the inclusion of a decision, or of a new key, and its effect.
pub const MAX_LEAD: u64 = 1_000_000;
/// Signatures of a transaction: each posting of each entry by another institution.
pub const MAX_SIGNATURES: usize = MAX_ENTRIES * MAX_POSTINGS;
