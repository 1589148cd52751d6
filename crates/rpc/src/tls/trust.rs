//! Whom we believe: certification authorities, each for the institutions it may speak for.
//!
//! One function, [`Trust::verify`], decides for servers and clients alike. The verifiers below only
//! hand it to rustls.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use quittance_ledger::ids::InstitutionId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage};

use super::{TlsError, certificates};
use crate::identity::{Identity, IdentityError, ProcessName};
use quittance_crypto::planted;

/// Why a peer's certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Untrusted {
    /// Not a certificate.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// It does not say who holds it.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No authority is trusted for the institution that it names.
    #[error("{0}: no certification authority is trusted for this institution")]
    NoAuthority(Identity),
    /// Signed by somebody else than the authorities trusted for the institution.
    #[error("{0}: not issued by a certification authority that is trusted for this institution")]
    UnknownIssuer(Identity),
    /// Its time is over.
    #[error("{identity}: the certificate expired at {not_after} (Unix time); it is {now} now")]
    Expired {
        /// Whose it is.
        identity: Identity,
        /// Its end, in seconds since the Unix epoch.
        not_after: u64,
        /// The time now.
        now: u64,
    },
    /// Its time has not come.
    #[error("{identity}: the certificate is valid from {not_before} (Unix time); it is {now} now")]
    NotYetValid {
        /// Whose it is.
        identity: Identity,
        /// Its beginning, in seconds since the Unix epoch.
        not_before: u64,
        /// The time now.
        now: u64,
    },
    /// Refused by path validation (RFC 5280) for another reason.
    #[error("{identity}: the certificate is not valid: {reason}")]
    Invalid {
        /// Whose it is.
        identity: Identity,
        /// As the library puts it.
        reason: String,
    },
    /// A server, and not the one that was called.
    #[error("the server is {found}, but {expected} was called")]
    WrongServer {
        /// Who was called.
        expected: ProcessName,
        /// Who answered.
        found: Identity,
    },
    /// Somebody that this listener does not serve.
    #[error("{0} is not admitted here")]
    NotAdmitted(Identity),
}

/// The institutions that an authority may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Any: the one authority of a test network, or of an operator that all agreed to.
    Any,
    /// These only: a bank's own authority.
    Institutions(BTreeSet<InstitutionId>),
}

impl Scope {
    fn covers(&self, institution: InstitutionId) -> bool {
        match self {
            Self::Any => true,
            Self::Institutions(these) => these.contains(&institution),
        }
    }
}

/// The trusted authorities.
#[derive(Default)]
pub struct Trust {
    authorities: Vec<(TrustAnchor<'static>, Scope)>,
}

/// What a certificate is presented for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// By a server.
    Server,
    /// By a client.
    Client,
}

impl Trust {
    /// Nobody is trusted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in a PEM text for `scope`.
    pub fn add_pem(&mut self, pem: &[u8], scope: Scope) -> Result<(), TlsError> {
        for certificate in certificates(pem)? {
            let anchor =
                webpki::anchor_from_trusted_cert(&certificate).map_err(TlsError::Authority)?;
            self.authorities.push((anchor.to_owned(), scope.clone()));
        }
        Ok(())
    }

    /// The identity in a certificate, if an authority that is trusted for its institution vouches
    /// for it (RFC 5280), directly or through `intermediates`, now and for this usage.
    pub fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<Identity, Untrusted> {
        let certificate = parse(certificate)?;
        // Unproven until the path below is verified; until then it only selects the authorities.
        let identity = Identity::from_uris(certificate.valid_uri_names())?;
        let institution = identity.institution();
        let anchors: Vec<TrustAnchor<'_>> = self
            .authorities
            .iter()
            .filter(|(_, scope)| {
                planted!("authority-scope-not-checked", true, scope.covers(institution))
            })
            .map(|(anchor, _)| anchor.clone())
            .collect();
        if anchors.is_empty() {
            return Err(Untrusted::NoAuthority(identity));
        }
        let key_usage = match usage {
            Usage::Server => KeyUsage::server_auth(),
            Usage::Client => KeyUsage::client_auth(),
        };
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                intermediates,
                now,
                key_usage,
                None,
                None,
            )
            .map_err(|error| path_error(identity, error))?;
        Ok(identity)
    }
}

/// The identity that a certificate claims. The certificate itself is not verified here.
pub(crate) fn identity_of(certificate: &CertificateDer<'_>) -> Result<Identity, IdentityError> {
    let certificate = parse(certificate).map_err(|_| IdentityError::None)?;
    Identity::from_uris(certificate.valid_uri_names())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<EndEntityCert<'a>, Untrusted> {
    EndEntityCert::try_from(certificate).map_err(|error| Untrusted::Unreadable(error.to_string()))
}

fn path_error(identity: Identity, error: webpki::Error) -> Untrusted {
    match error {
        // The latter: by a stranger under the name of an authority that we trust.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Untrusted::UnknownIssuer(identity)
        }
        webpki::Error::CertExpired { time, not_after } => {
            Untrusted::Expired { identity, not_after: not_after.as_secs(), now: time.as_secs() }
        }
        webpki::Error::CertNotValidYet { time, not_before } => Untrusted::NotYetValid {
            identity,
            not_before: not_before.as_secs(),
            now: time.as_secs(),
        },
        other => Untrusted::Invalid { identity, reason: other.to_string() },
    }
}

/// Whom a listener lets in, beyond having a valid certificate. The rest is for the handlers.
#[derive(Clone)]
pub struct Admission(Arc<dyn Fn(&Identity) -> bool + Send + Sync>);

impl Admission {
    /// Everybody with a valid certificate.
    pub fn everybody() -> Self {
        Self::when(|_| true)
    }

    /// The clients of one institution: its agent's bank-facing listener.
    pub fn clients_of(institution: InstitutionId) -> Self {
        Self::when(
            move |who| matches!(who, Identity::Client { institution: its, .. } if *its == institution),
        )
    }

    /// Those for whom `rule` holds.
    pub fn when(rule: impl Fn(&Identity) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

/// Verifies the certificate of a server: trusted, and the process that was called.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Arc<Trust>,
    expected: ProcessName,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(trust: Arc<Trust>, expected: ProcessName, provider: &CryptoProvider) -> Self {
        Self { trust, expected, algorithms: provider.signature_verification_algorithms }
    }
}

/// Verifies the certificate of a client: trusted and admitted.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    trust: Arc<Trust>,
    admission: Admission,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    pub(super) fn new(trust: Arc<Trust>, admission: Admission, provider: &CryptoProvider) -> Self {
        Self { trust, admission, algorithms: provider.signature_verification_algorithms }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} authorities)", self.authorities.len())
    }
}

/// The same error for our own logs; the alert that the peer gets follows from the variant.
fn refuse(error: Untrusted) -> rustls::Error {
    let seconds = |time| UnixTime::since_unix_epoch(std::time::Duration::from_secs(time));
    let certificate_error = match error {
        Untrusted::Expired { not_after, now, .. } => {
            CertificateError::ExpiredContext { time: seconds(now), not_after: seconds(not_after) }
        }
        Untrusted::NotYetValid { not_before, now, .. } => CertificateError::NotValidYetContext {
            time: seconds(now),
            not_before: seconds(not_before),
        },
        Untrusted::UnknownIssuer(_) | Untrusted::NoAuthority(_) => CertificateError::UnknownIssuer,
        Untrusted::NotAdmitted(_) => CertificateError::ApplicationVerificationFailure,
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    };
    rustls::Error::InvalidCertificate(certificate_error)
}

/// The parts of both verifiers that say: TLS 1.3 only, the provider's signature schemes.
macro_rules! tls13_only {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = self.trust.verify(certificate, intermediates, Usage::Server, now);
        let verdict = found.and_then(|found| match found {
            Identity::Process(name)
                if planted!("server-name-not-checked", true, name == self.expected) =>
            {
                Ok(())
            }
            _ => Err(Untrusted::WrongServer { expected: self.expected, found }),
        });
        // The full reason, whatever alert the server gets: the caller must see it.
        verdict.map(|()| ServerCertVerified::assertion()).map_err(|error| {
            let error = CertificateError::Other(rustls::OtherError(Arc::new(error)));
            rustls::Error::InvalidCertificate(error)
        })
    }

    tls13_only!();
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: strangers need not learn whom we trust.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let found = self.trust.verify(certificate, intermediates, Usage::Client, now);
        let verdict = found.and_then(|found| {
            if (self.admission.0)(&found) { Ok(()) } else { Err(Untrusted::NotAdmitted(found)) }
        });
        verdict.map(|()| ClientCertVerified::assertion()).map_err(|error| {
            tracing::warn!(%error, "refused a client's certificate");
            refuse(error)
        })
    }

    tls13_only!();
}
