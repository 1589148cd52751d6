//! Strings of bits, packed into words.

use zeroize::Zeroizing;

use crate::session::Payload;

/// Bits in a word.
const WORD: usize = 64;

/// A string of bits, bit k in word `k / 64` at place `k mod 64`. Bits beyond the end are zero. Erased
/// when dropped, also when it grows.
#[derive(Clone, Default)]
pub(crate) struct BitString {
    words: Zeroizing<Vec<u64>>,
    len: usize,
}

impl BitString {
    pub(crate) fn zeros(len: usize) -> Self {
        Self { words: Zeroizing::new(vec![0; len.div_ceil(WORD)]), len }
    }

    pub(crate) fn with_capacity(bits: usize) -> Self {
        Self { words: Zeroizing::new(Vec::with_capacity(bits.div_ceil(WORD))), len: 0 }
    }

    /// The first `len` bits of these words.
    pub(crate) fn from_words(words: Zeroizing<Vec<u64>>, len: usize) -> Self {
        let mut string = Self { words, len };
        string.truncate(len);
        string
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn bit(&self, place: usize) -> bool {
        self.words[place / WORD] >> (place % WORD) & 1 == 1
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        let count = len.div_ceil(WORD);
        self.words[count..].fill(0);
        self.words.truncate(count);
        if let (Some(last), Some(mask)) = (self.words.last_mut(), mask(len)) {
            *last &= mask;
        }
        self.len = len;
    }

    /// `len` bits from `start` on; those beyond the end are zero.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        let (first, shift) = (start / WORD, start % WORD);
        let word = |index: usize| self.words.get(index).copied().unwrap_or(0);
        let mut words = Zeroizing::new(Vec::with_capacity(len.div_ceil(WORD)));
        for index in first..first + len.div_ceil(WORD) {
            let high = word(index + 1).checked_shl((WORD - shift) as u32).unwrap_or(0);
            words.push(word(index) >> shift | high);
        }
        Self::from_words(words, len)
    }

    pub(crate) fn push(&mut self, other: &Self) {
        self.reserve(other.len);
        let shift = self.len % WORD;
        let total = self.len + other.len;
        for word in &*other.words {
            if shift == 0 {
                self.words.push(*word);
                continue;
            }
            if let Some(last) = self.words.last_mut() {
                *last |= word << shift;
            }
            self.words.push(word >> (WORD - shift));
        }
        self.words.truncate(total.div_ceil(WORD));
        self.len = total;
    }

    /// Room for more bits. What is given up is erased.
    fn reserve(&mut self, bits: usize) {
        let words = (self.len + bits).div_ceil(WORD) + 1;
        if words > self.words.capacity() {
            let mut roomier = Zeroizing::new(Vec::with_capacity(words.max(2 * self.words.len())));
            roomier.extend_from_slice(&self.words);
            self.words = roomier;
        }
    }

    /// Word by word; both strings have one length.
    pub(crate) fn zip(&self, other: &Self, operation: impl Fn(u64, u64) -> u64) -> Self {
        debug_assert_eq!(self.len, other.len);
        let pairs = self.words.iter().zip(&*other.words);
        let mut words = Zeroizing::new(Vec::with_capacity(self.words.len()));
        words.extend(pairs.map(|(a, b)| operation(*a, *b)));
        Self::from_words(words, self.len)
    }

    pub(crate) fn xor(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a ^ b)
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// The bits, eight to a byte, lowest first.
    pub(crate) fn to_bytes(&self) -> Payload {
        let mut bytes = Zeroizing::new(Vec::with_capacity(WORD / 8 * self.words.len()));
        self.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` if there is anything but `len` bits.
    pub(crate) fn from_bytes(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let mut words = Zeroizing::new(Vec::with_capacity(len.div_ceil(WORD)));
        let word =
            |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        words.extend(bytes.chunks(WORD / 8).map(word));
        let excess = words.last().zip(mask(len)).is_some_and(|(last, mask)| last & !mask != 0);
        (!excess).then_some(Self { words, len })
    }
}

/// The bits of the last word that belong to a string of `len` bits, unless all do.
fn mask(len: usize) -> Option<u64> {
    (!len.is_multiple_of(WORD)).then(|| (1 << (len % WORD)) - 1)
}

/// The bits of integers, as one string for each place: string p holds bit p of each integer.
pub(crate) fn planes(integers: &[[u64; 4]], places: usize) -> Vec<BitString> {
    let blocks = integers.len().div_ceil(WORD);
    let mut planes: Vec<_> = (0..places).map(|_| BitString::zeros(integers.len())).collect();
    let mut square = Zeroizing::new([0; WORD]);
    for block in 0..blocks {
        let rows = &integers[block * WORD..integers.len().min((block + 1) * WORD)];
        for (limb, planes) in planes.chunks_mut(WORD).enumerate() {
            square.fill(0);
            square.iter_mut().zip(rows).for_each(|(word, integer)| *word = integer[limb]);
            transpose(&mut square);
            planes.iter_mut().zip(&*square).for_each(|(plane, word)| plane.words[block] = *word);
        }
    }
    planes
}

/// Bit j of word i changes places with bit i of word j: by quarters, then within each quarter.
fn transpose(square: &mut [u64; WORD]) {
    let (mut width, mut low) = (WORD / 2, u64::MAX >> (WORD / 2));
    while width > 0 {
        for i in (0..WORD).filter(|i| i & width == 0) {
            let change = (square[i] >> width ^ square[i + width]) & low;
            square[i] ^= change << width;
            square[i + width] ^= change;
        }
        width /= 2;
        low ^= low << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    fn random(len: usize, rng: &mut ChaCha20Rng) -> BitString {
        let words = (0..len.div_ceil(WORD)).map(|_| rng.next_u64()).collect();
        BitString::from_words(Zeroizing::new(words), len)
    }

    fn bits(string: &BitString) -> Vec<bool> {
        (0..string.len()).map(|place| string.bit(place)).collect()
    }

    #[test]
    fn strings_are_joined_and_cut_at_any_bit() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for first in [0, 1, 63, 64, 65, 130] {
            for second in [0, 1, 7, 64, 127, 200] {
                let (a, b) = (random(first, &mut rng), random(second, &mut rng));
                let mut joined = a.clone();
                joined.push(&b);
                assert_eq!(bits(&joined), [bits(&a), bits(&b)].concat());
                assert_eq!(joined.words().len(), (first + second).div_ceil(WORD));
                assert_eq!(bits(&joined.slice(first, second)), bits(&b));
                joined.truncate(first);
                assert_eq!(bits(&joined), bits(&a));
                let beyond = bits(&a.slice(first / 2, first + 70));
                assert_eq!(beyond[..first - first / 2], bits(&a)[first / 2..]);
                assert!(beyond[first - first / 2..].iter().all(|bit| !bit));
            }
        }
    }

    #[test]
    fn bytes_have_one_meaning() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for len in [0, 1, 7, 8, 9, 63, 64, 65, 200] {
            let string = random(len, &mut rng);
            let bytes = string.to_bytes();
            assert_eq!(bytes.len(), len.div_ceil(8));
            assert_eq!(bits(&BitString::from_bytes(&bytes, len).unwrap()), bits(&string));
            assert!(BitString::from_bytes(&bytes, len + 8).is_none());
            if len % 8 != 0 {
                let mut excess = bytes.clone();
                *excess.last_mut().unwrap() |= 0x80;
                assert!(BitString::from_bytes(&excess, len).is_none());
            }
        }
    }

    #[test]
    fn planes_are_the_bits_of_each_place() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for count in [1, 63, 64, 65, 150] {
            let integers: Vec<[u64; 4]> =
                (0..count).map(|_| std::array::from_fn(|_| rng.next_u64())).collect();
            for places in [1, 64, 65, 200] {
                let planes = planes(&integers, places);
                assert_eq!(planes.len(), places);
                for (place, plane) in planes.iter().enumerate() {
                    let expected =
                        integers.iter().map(|it| it[place / 64] >> (place % 64) & 1 == 1);
                    assert_eq!(bits(plane), expected.collect::<Vec<_>>());
                }
            }
        }
    }
}
