//! The wire of Quittance: the generated protobuf, mutual TLS with post-quantum key exchange, limits,
//! and the servers and clients that every process is built from.
//!
//! - [`proto`]: the services and messages of `proto/`.
//! - [`identity`]: who a process is, as its certificate says.
//! - [`tls`]: mutual TLS 1.3 with X25519MLKEM768 and nothing else; making certificates.
//! - [`limits`]: every bound on what a peer may cost us, in one table.
//! - [`metrics`]: what a process counts, served to Prometheus.
//! - [`server`] and [`client`]: gRPC servers and channels with all of the above, and no way around.
//! - [`config`]: the parts of configuration files that the daemons share.
//! - [`directory`]: where everybody listens.
//! - [`peers`]: validators among themselves.
//! - [`ports`]: free ports for processes on this machine.
//! - [`nodes`]: the validators that a process uses, in order.
//! - [`follow`]: certified blocks from one of them, whatever becomes of a connection.
//! - [`frames`]: joint computations over the streams between MPC parties.
//! - [`genesis`]: the genesis of a node's chain, in parts.
//! - [`submit`]: transactions to one of them, and what became of them.
//! - [`pushback`]: refusing what there is no room for now.
//! - [`decimal`]: amounts as people write them, exactly.
//! - [`convert`]: canonical bytes and ledger types in protobuf fields.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod client;
pub mod config;
pub mod convert;
pub mod decimal;
pub mod directory;
pub mod follow;
pub mod frames;
pub mod genesis;
pub mod identity;
pub mod limits;
pub mod metrics;
pub mod nodes;
pub mod peers;
pub mod ports;
pub mod proto;
pub mod pushback;
pub mod receipt;
pub mod server;
pub mod submit;
pub mod tls;
