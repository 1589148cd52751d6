//! Notes to oneself: authenticated encryption under a symmetric key that never leaves its owner.
//!
//! XChaCha20-Poly1305 (`draft-irtf-cfrg-xchacha`): its 24-byte nonces are long enough to be drawn
//! at random for every note. A sealed note is `nonce || ciphertext || tag`.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRngCore;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::digest::Digest;

const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// By how many bytes a sealed note is longer than its text.
pub const OVERHEAD: usize = NONCE_LENGTH + TAG_LENGTH;

/// Why a note could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Shorter than nonce and tag.
    #[error("a note of {length} bytes is shorter than its nonce and tag of {OVERHEAD}")]
    TooShort {
        /// The length found.
        length: usize,
    },
    /// Another key, other associated data, or changed bytes.
    #[error("the note was not made with this key for this place, or it was changed")]
    Undecipherable,
}

/// The key of an institution's notes to itself.
pub struct NoteKey(Zeroizing<[u8; 32]>);

impl NoteKey {
    /// A fresh key.
    pub fn random(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// The key with these bytes, as a key file kept them.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The bytes, for a key file.
    pub fn as_bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.0
    }

    /// The key for another use, named by `label`. None of them tells of this key or of the others,
    /// as long as SHA-256 under a secret key is pseudo-random.
    pub fn derive(&self, label: &str) -> Self {
        Self(Zeroizing::new(Digest::of(label, &[&*self.0]).0))
    }

    /// Seals `text` for the place named by `associated`, which has to be given again to open it.
    pub fn seal(&self, associated: &[u8], text: &[u8], rng: &mut impl CryptoRngCore) -> Vec<u8> {
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let ciphertext = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: text, aad: associated })
            .expect("texts are far below the cipher's limit of 2^38 bytes");
        [&nonce[..], &ciphertext].concat()
    }

    /// Opens what [`Self::seal`] made with the same key and the same `associated`.
    pub fn open(&self, associated: &[u8], note: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoteError> {
        let length = note.len();
        let Some((nonce, ciphertext)) = note.split_at_checked(NONCE_LENGTH) else {
            return Err(NoteError::TooShort { length });
        };
        if ciphertext.len() < TAG_LENGTH {
            return Err(NoteError::TooShort { length });
        }
        self.cipher()
            .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: associated })
            .map(Zeroizing::new)
            .map_err(|_| NoteError::Undecipherable)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    #[test]
    fn a_note_opens_with_its_key_in_its_place_alone() {
        let rng = &mut rng();
        let (key, other) = (NoteKey::random(rng), NoteKey::random(rng));
        for text in [&b""[..], b"x", &[7; 400]] {
            let note = key.seal(b"EUR 5", text, rng);
            assert_eq!(note.len(), text.len() + OVERHEAD);
            assert_eq!(key.open(b"EUR 5", &note).unwrap().as_slice(), text);
            assert_eq!(key.open(b"EUR 6", &note), Err(NoteError::Undecipherable));
            assert_eq!(other.open(b"EUR 5", &note), Err(NoteError::Undecipherable));

            let restored = NoteKey::from_bytes(key.as_bytes());
            assert_eq!(restored.open(b"EUR 5", &note).unwrap().as_slice(), text);
        }
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let rng = &mut rng();
        let key = NoteKey::random(rng);
        let note = key.seal(b"", b"four", rng);
        for position in 0..note.len() {
            let mut changed = note.clone();
            changed[position] ^= 0x80;
            assert_eq!(key.open(b"", &changed), Err(NoteError::Undecipherable), "{position}");
        }
        for length in 0..note.len() {
            let expected = match length {
                0..OVERHEAD => NoteError::TooShort { length },
                _ => NoteError::Undecipherable,
            };
            assert_eq!(key.open(b"", &note[..length]), Err(expected));
        }
    }

    #[test]
    fn derived_keys_open_nothing_of_each_other() {
        let rng = &mut rng();
        let key = NoteKey::random(rng);
        let (one, other) = (key.derive("one"), key.derive("other"));
        let note = one.seal(b"", b"text", rng);
        assert_eq!(key.derive("one").open(b"", &note).unwrap().as_slice(), b"text");
        for wrong in [&key, &other, &NoteKey::random(rng).derive("one")] {
            assert_eq!(wrong.open(b"", &note), Err(NoteError::Undecipherable));
        }
    }

    #[test]
    fn equal_texts_give_unrelated_notes() {
        let rng = &mut rng();
        let key = NoteKey::random(rng);
        let (first, second) = (key.seal(b"", &[0; 64], rng), key.seal(b"", &[0; 64], rng));
        let equal = first.iter().zip(&second).filter(|(a, b)| a == b).count();
        assert!(equal < 8, "{equal} of {} bytes are equal", first.len());
    }

    /// `draft-irtf-cfrg-xchacha-03`, appendix A.3.1.
    #[test]
    fn the_published_vector_opens() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce: [u8; 24] = std::array::from_fn(|i| 0x40 + i as u8);
        let associated = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let ciphertext = hex::decode(concat!(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb",
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452",
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
            "21f9664c97637da9768812f615c68b13b52e",
            "c0875924c1c7987947deafd8780acf49",
        ));
        let note = [&nonce[..], &ciphertext.unwrap()].concat();
        let text = NoteKey::from_bytes(&key).open(&associated, &note).unwrap();
        let expected = b"Ladies and Gentlemen of the class of '99: If I could offer you only one \
            tip for the future, sunscreen would be it.";
        assert_eq!(text.as_slice(), expected);
    }
}
