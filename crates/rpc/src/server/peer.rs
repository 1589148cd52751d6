//! Who is calling: for handlers.

use std::net::SocketAddr;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use rustls::NamedGroup;
use tonic::{Request, Status};

use crate::identity::{Identity, Process, ProcessName, Role};

/// The verified other end of a connection. In the extensions of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Who it is, by its certificate.
    pub identity: Identity,
    /// SHA-256 of its certificate (DER), as `openssl x509 -fingerprint -sha256` shows it.
    pub certificate: Digest,
    /// The key exchange of this connection.
    pub key_exchange: NamedGroup,
    /// Where it calls from.
    pub address: SocketAddr,
}

impl Peer {
    /// Who sent `request`.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        let peer = request.extensions().get::<Self>();
        peer.ok_or_else(|| Status::unauthenticated("the caller is not known"))
    }

    /// Its name, if it is a process of the kind `process`; `PERMISSION_DENIED` otherwise.
    pub fn require_process(&self, process: Process) -> Result<ProcessName, Status> {
        match self.identity {
            Identity::Process(name)
                if planted!("process-kind-not-checked", true, name.process == process) =>
            {
                Ok(name)
            }
            _ => {
                Err(self.denied(&format!("this is for a process of the kind {}", process.as_str())))
            }
        }
    }

    /// `PERMISSION_DENIED` unless it is a client with the role `role`.
    pub fn require_role(&self, role: Role) -> Result<(), Status> {
        if planted!("role-not-checked", true, self.identity.has(role)) {
            Ok(())
        } else {
            Err(self.denied(&format!("the role {} is needed", role.as_str())))
        }
    }

    fn denied(&self, why: &str) -> Status {
        Status::permission_denied(format!("{} may not do this: {why}", self.identity))
    }
}
