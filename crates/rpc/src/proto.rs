//! The services and messages of `proto/`, generated.
//!
//! Messages that carry shares, openings or somebody else's amounts have no `Debug`.

/// Generated code of one package.
macro_rules! package {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub mod $name {
            /// Version 1.
            #[allow(missing_docs, clippy::all, clippy::indexing_slicing)]
            pub mod v1 {
                tonic::include_proto!($file);
            }
        }
    };
}

package!(
    /// A bank's own interface to its agent.
    agent,
    "quittance.agent.v1"
);
package!(
    /// The coordinator of rounds.
    coordinator,
    "quittance.coordinator.v1"
);
package!(
    /// The validator.
    node,
    "quittance.node.v1"
);
package!(
    /// The MPC party.
    party,
    "quittance.party.v1"
);
package!(
    /// One bank's agent towards another's.
    peer,
    "quittance.peer.v1"
);

/// The encoded `FileDescriptorSet` of all packages, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
