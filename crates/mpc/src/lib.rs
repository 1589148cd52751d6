//! Secret sharing and multi-party computation over the field of the commitments.
