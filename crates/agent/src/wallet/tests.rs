//! Wallets on real chains.

mod books;
mod once;
mod pipeline;
mod rounds;
pub(crate) mod world;
