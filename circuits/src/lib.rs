//! Gadgets and statements, written only against `quittance-circuit`.

pub mod netting;
