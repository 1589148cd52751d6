//! What the measurements of `make bench` share: the report that they write, and transfers to
//! measure with.
//!
//! The measurements themselves stand beside `main.rs` and are compiled with the feature `measure`.

pub mod report;
pub mod transfers;
