//! The key exchange that belongs to each suite, and the one that the TLS library does not bring.
//!
//! | suite | group | secure while |
//! | --- | --- | --- |
//! | 1 | X25519MLKEM768 | X25519 or ML-KEM-768 is |
//! | 2 | SecP384r1MLKEM1024 | P-384 or ML-KEM-1024 is |
//!
//! SecP384r1MLKEM1024 (RFC 10024) is put together from the library's
//! P-384 and ML-KEM-1024: shares and secrets are those of the two, one after the other, P-384 first.
//! The library hashes the joint secret into the key schedule as it does any other.

use quittance_crypto::signature::Suite;
use rustls::crypto::aws_lc_rs::kx_group::{MLKEM1024, SECP384R1, X25519MLKEM768};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroizing;

/// SecP384r1MLKEM1024.
pub static SECP384R1MLKEM1024: &dyn SupportedKxGroup = &SecP384r1MlKem1024;

/// Its number in the TLS registry of named groups.
const NAME: NamedGroup = NamedGroup::Unknown(0x11ed);

/// Length of a P-384 share: an uncompressed point.
const P384_SHARE: usize = 97;

/// The group in which processes of a chain of this suite exchange keys.
pub fn of_suite(suite: Suite) -> &'static dyn SupportedKxGroup {
    match suite {
        Suite::MlDsa65MlKem768 => X25519MLKEM768,
        Suite::MlDsa87MlKem1024 => SECP384R1MLKEM1024,
    }
}

#[derive(Debug)]
struct SecP384r1MlKem1024;

/// A client between its two messages.
struct Active {
    classical: Box<dyn ActiveKeyExchange>,
    post_quantum: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

/// The halves of a share. The length of the second is checked by ML-KEM.
fn halves(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let halves = share.split_at_checked(P384_SHARE);
    halves.ok_or(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
}

fn join(classical: &SharedSecret, post_quantum: &SharedSecret) -> SharedSecret {
    let both = [classical.secret_bytes(), post_quantum.secret_bytes()].concat();
    SharedSecret::from(Zeroizing::new(both).as_slice())
}

impl SupportedKxGroup for SecP384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (classical, post_quantum) = (SECP384R1.start()?, MLKEM1024.start()?);
        let share = [classical.pub_key(), post_quantum.pub_key()].concat();
        Ok(Box::new(Active { classical, post_quantum, share }))
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (classical, post_quantum) = halves(peer)?;
        let classical = SECP384R1.start_and_complete(classical)?;
        let post_quantum = MLKEM1024.start_and_complete(post_quantum)?;
        Ok(CompletedKeyExchange {
            group: NAME,
            pub_key: [classical.pub_key, post_quantum.pub_key].concat(),
            secret: join(&classical.secret, &post_quantum.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NAME
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let (classical, post_quantum) = halves(peer)?;
        let classical = self.classical.complete(classical)?;
        Ok(join(&classical, &self.post_quantum.complete(post_quantum)?))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths and order of RFC 10024: 97 + 1568 bytes each way, 48 + 32 bytes of secret.
    #[test]
    fn both_sides_agree_in_the_layout_of_the_rfc() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        assert_eq!((client.group(), client.pub_key().len()), (NAME, 97 + 1568));
        assert_eq!(client.pub_key()[0], 4, "an uncompressed point comes first");
        let server = SECP384R1MLKEM1024.start_and_complete(client.pub_key()).unwrap();
        assert_eq!((server.group, server.pub_key.len()), (NAME, 97 + 1568));
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 48 + 32);
    }

    #[test]
    fn each_half_matters() {
        for position in [P384_SHARE - 1, P384_SHARE] {
            let client = SECP384R1MLKEM1024.start().unwrap();
            let mut server = SECP384R1MLKEM1024.start_and_complete(client.pub_key()).unwrap();
            server.pub_key[position] ^= 1;
            // A damaged point is refused; ML-KEM answers a damaged ciphertext with another secret.
            let same = |found: SharedSecret| found.secret_bytes() == server.secret.secret_bytes();
            assert!(!client.complete(&server.pub_key).is_ok_and(same));
        }
    }

    #[test]
    fn shares_of_other_lengths_are_refused() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        let share = client.pub_key();
        for wrong in [&[][..], &share[..96], &share[..97], &share[..share.len() - 1]] {
            assert!(SECP384R1MLKEM1024.start_and_complete(wrong).is_err(), "{}", wrong.len());
        }
        let longer = [share, &[0]].concat();
        assert!(SECP384R1MLKEM1024.start_and_complete(&longer).is_err());
        assert!(client.complete(&[4; 97]).is_err());
    }
}
