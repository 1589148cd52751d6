//! What the binary `quittance` is made of.
//!
//! - [`args`] and [`command`]: the command line, and carrying it out.
//! - [`testnet`]: networks for trying out.
//! - [`bench`]: a load on validators, and how they take it.
//! - [`demo`]: the demonstration: its input, its steps, and what it shows.
//! - [`supervisor`] and [`parent`]: processes that end whatever happens, seen from above and below.
//! - [`open_files`]: how many files and connections a process may have open.
//! - [`up`]: all processes of a trial network.
//! - [`client`]: a bank's own system on the command line.
//! - [`status`]: how the processes of a network are.
//! - [`keys`]: making key files, looking into them, changing their passphrases and keys.
//! - [`governance`]: what validators decide, made, signed and submitted.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod args;
pub mod bench;
pub mod client;
pub mod command;
pub mod demo;
pub mod governance;
pub mod keys;
pub mod log;
pub mod open_files;
pub mod parent;
pub mod status;
pub mod supervisor;
pub mod table;
pub mod testnet;
pub mod up;
