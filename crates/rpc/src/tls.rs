//! Mutual TLS 1.3 with the one hybrid key exchange that belongs to the chain's suite, see [`group`].
//!
//! Both sides present certificates. Who the other side is, is what the URI in its certificate says
//! (see [`crate::identity`]), under an authority that is trusted *for that institution*: the
//! authority of one bank cannot name the agent of another. The DNS name or address by which a
//! server was reached proves nothing and is not looked at.
//!
//! Sessions are never resumed and carry no early data: each connection proves both identities
//! afresh and runs the hybrid key exchange. The provider is passed to rustls explicitly; no global
//! state decides what is spoken.

pub mod group;
pub mod issue;
pub mod trust;

use std::fmt;
use std::sync::Arc;

use quittance_crypto::signature::Suite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig, version::TLS13};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identity::{Identity, IdentityError, ProcessName};
use quittance_crypto::planted;
use trust::{Admission, Trust};

/// The application protocol of gRPC: HTTP/2.
pub const HTTP2: &[u8] = b"h2";

/// The application protocol of [`frames`](crate::frames) between parties.
pub const FRAMES: &[u8] = b"quittance-frames/1";

/// The application protocol between [validators](crate::peers).
pub const VALIDATORS: &[u8] = b"quittance-validators/1";

/// Which key exchanges a listener accepts. Clients of this crate only ever offer hybrid ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyExchange {
    /// Hybrid ones: between institutions the one of the chain's suite, for a bank's own clients that
    /// of any suite, since common gRPC stacks know X25519MLKEM768 alone.
    #[default]
    Hybrid,
    /// Also X25519, P-256 and P-384, for older gRPC stacks. Only for a bank's own clients, and only
    /// on a loopback or private address: who records such a connection today reads it with a
    /// quantum computer.
    Classical,
}

/// Why certificates, keys or authorities cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The PEM text has no certificate in it.
    #[error("no certificate found")]
    NoCertificate,
    /// The PEM text is damaged, or holds no private key.
    #[error("{what} cannot be read: {reason}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Why it was not found.
        reason: String,
    },
    /// Our own certificate does not say who we are.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A certificate that should be an authority's is none.
    #[error("an authority's certificate cannot be used: {0}")]
    Authority(webpki::Error),
    /// The key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// Refused by the TLS library for another reason.
    #[error("TLS: {0}")]
    Rustls(rustls::Error),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            other => Self::Rustls(other),
        }
    }
}

/// A process's own certificate chain and private key.
pub struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    identity: Identity,
}

impl Credentials {
    /// From PEM: the chain with the process's own certificate first, and the key (PKCS #8, SEC1 or
    /// PKCS #1).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain)?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        let identity = trust::identity_of(own)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::Pem { what: "private key", reason: error.to_string() })?;
        let credentials = Self { chain, key, identity };
        // Fails now, and not at the first connection, if key and certificate do not match.
        let provider = provider(&SUITES, KeyExchange::Hybrid);
        rustls::sign::CertifiedKey::from_der(
            credentials.chain.clone(),
            credentials.key.clone_key(),
            &provider,
        )?;
        Ok(credentials)
    }
}

/// The certificates in a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all =
        all.map_err(|error| TlsError::Pem { what: "certificate", reason: error.to_string() })?;
    if all.is_empty() { Err(TlsError::NoCertificate) } else { Ok(all) }
}

/// All that a process needs to speak TLS: who it is and whom it believes. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    credentials: Arc<Credentials>,
    trust: Arc<Trust>,
    suites: &'static [Suite],
}

/// All suites, the default first.
const SUITES: [Suite; 2] = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];

impl Tls {
    /// From the process's own credentials and the authorities it trusts, for a chain of the default
    /// suite.
    pub fn new(credentials: Credentials, trust: Trust) -> Self {
        let (credentials, trust) = (Arc::new(credentials), Arc::new(trust));
        Self { credentials, trust, suites: &[Suite::MlDsa65MlKem768] }
    }

    /// The same for a chain of the suite `suite`: its key exchange and no other.
    pub fn of_suite(self, suite: Suite) -> Self {
        let suites: &[Suite] = match suite {
            Suite::MlDsa65MlKem768 => &[Suite::MlDsa65MlKem768],
            Suite::MlDsa87MlKem1024 => &[Suite::MlDsa87MlKem1024],
        };
        Self { suites, ..self }
    }

    /// The same for chains of any suite: for a bank's own systems and for auditors, and for who
    /// serves them.
    pub fn of_any_suite(self) -> Self {
        Self { suites: &SUITES, ..self }
    }

    /// Who this process is, by its own certificate.
    pub fn identity(&self) -> Identity {
        self.credentials.identity
    }

    /// The configuration of a listener that lets in whom `admission` allows, and speaks `protocols`.
    pub fn server(
        &self,
        key_exchange: KeyExchange,
        admission: Admission,
        protocols: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = provider(self.suites, key_exchange);
        let verifier = trust::ClientVerifier::new(self.trust.clone(), admission, &provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(self.credentials.chain.clone(), self.credentials.key.clone_key())?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Arc::new(config))
    }

    /// The configuration of connections to the server process `expected`, and no other, that speak
    /// `protocol`.
    pub fn client(
        &self,
        expected: ProcessName,
        protocol: &[u8],
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = provider(self.suites, KeyExchange::Hybrid);
        let verifier = trust::ServerVerifier::new(self.trust.clone(), expected, &provider);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(
                self.credentials.chain.clone(),
                self.credentials.key.clone_key(),
            )?;
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.identity())
    }
}

/// Ciphers with 256-bit keys, and the groups of these suites.
fn provider(suites: &[Suite], key_exchange: KeyExchange) -> Arc<CryptoProvider> {
    let mut kx_groups: Vec<_> = suites.iter().map(|suite| group::of_suite(*suite)).collect();
    let classical = key_exchange == KeyExchange::Classical;
    if planted!("classical-key-exchange", true, classical) {
        kx_groups.extend([kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1]);
    }
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups,
        ..default_provider()
    })
}
