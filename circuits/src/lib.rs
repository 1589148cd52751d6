//! Gadgets and statements, written only against `quittance-circuit`.

pub mod netting;

/// The examples of the page on netting.
#[cfg(doctest)]
#[doc = include_str!("../../docs/netting.md")]
struct Page;
