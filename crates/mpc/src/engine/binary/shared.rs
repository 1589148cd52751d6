//! Replicated sharing among three parties, of bits and of elements of GF(2^128).
//!
//! A value is the sum of three components; component i is held by the two parties other than i
//! (Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016). So each party misses one component, and each
//! component is held by at least one honest party: the components that honest parties hold are
//! always a value, whatever the third party says.

use zeroize::Zeroizing;

use super::field::Gf;
use super::string::BitString;
use crate::parties::{ActiveSet, PartyId};

/// Which components a party holds: those of the next party in cyclic order, and of the last.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    next: usize,
    last: usize,
}

impl Held {
    pub(crate) fn by(parties: ActiveSet, me: PartyId) -> Self {
        let place = parties.place(me);
        Self { next: (place + 1) % 3, last: (place + 2) % 3 }
    }
}

/// One party's two components of a string of bits.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    pub(crate) next: BitString,
    pub(crate) last: BitString,
}

impl Bits {
    pub(crate) fn with_capacity(bits: usize) -> Self {
        Self { next: BitString::with_capacity(bits), last: BitString::with_capacity(bits) }
    }

    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }

    pub(crate) fn xor(&self, other: &Self) -> Self {
        Self { next: self.next.xor(&other.next), last: self.last.xor(&other.last) }
    }

    /// Times public bits.
    pub(crate) fn and_public(&self, public: &BitString) -> Self {
        Self { next: self.next.and(public), last: self.last.and(public) }
    }

    /// Plus public bits, which are added to component 0.
    pub(crate) fn xor_public(&self, public: &BitString, held: Held) -> Self {
        let add = |string: &BitString, component: usize| match component {
            0 => string.xor(public),
            _ => string.clone(),
        };
        Self { next: add(&self.next, held.next), last: add(&self.last, held.last) }
    }

    /// With zeros in place of the components other than these.
    pub(crate) fn only(&self, components: &[usize], held: Held) -> Self {
        let keep = |string: &BitString, component| match components.contains(&component) {
            true => string.clone(),
            false => BitString::zeros(string.len()),
        };
        Self { next: keep(&self.next, held.next), last: keep(&self.last, held.last) }
    }

    pub(crate) fn push(&mut self, other: &Self) {
        self.next.push(&other.next);
        self.last.push(&other.last);
    }

    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        Self { next: self.next.slice(start, len), last: self.last.slice(start, len) }
    }

    /// The bits from `at` on, which are taken away.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let rest = self.slice(at, self.len() - at);
        self.next.truncate(at);
        self.last.truncate(at);
        rest
    }

    /// This party's summands of the products: with those of the two others, all nine products of
    /// components.
    pub(crate) fn local_and(&self, other: &Self) -> BitString {
        let mut words = Zeroizing::new(Vec::with_capacity(self.next.words().len()));
        words.extend(self.local_products(0, other, 0));
        BitString::from_words(words, self.len())
    }

    /// The same for the words from one place here and from another there, up to where either ends.
    pub(crate) fn local_products(
        &self,
        from: usize,
        other: &Self,
        other_from: usize,
    ) -> impl Iterator<Item = u64> {
        let own = self.next.words()[from..].iter().zip(&self.last.words()[from..]);
        let next = &other.next.words()[other_from..];
        let others = next.iter().zip(&other.last.words()[other_from..]);
        own.zip(others).map(|((x_next, x_last), (y_next, y_last))| {
            (x_next & (y_next ^ y_last)) ^ (x_last & y_next)
        })
    }

    /// So many blocks of `length` bits, each filled up with zeros to `room`.
    pub(crate) fn spread(&self, length: usize, room: usize, blocks: usize) -> Self {
        let mut spread = Self::with_capacity(room * blocks);
        for block in 0..blocks {
            spread.push(&self.slice(block * length, length));
            let filler = BitString::zeros(room - length);
            spread.push(&Self { next: filler.clone(), last: filler });
        }
        spread
    }
}

/// One party's two components of elements of GF(2^128).
#[derive(Clone, Default)]
pub(crate) struct Elements {
    pub(crate) next: Zeroizing<Vec<Gf>>,
    pub(crate) last: Zeroizing<Vec<Gf>>,
}

impl Elements {
    pub(crate) fn with_capacity(count: usize) -> Self {
        let room = || Zeroizing::new(Vec::with_capacity(count));
        Self { next: room(), last: room() }
    }

    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }

    pub(crate) fn push(&mut self, element: Element) {
        self.next.push(element.next);
        self.last.push(element.last);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Element> + '_ {
        let pairs = self.next.iter().zip(self.last.iter());
        pairs.map(|(&next, &last)| Element { next, last })
    }
}

/// One party's two components of one element.
#[derive(Clone, Copy, Default)]
pub(crate) struct Element {
    pub(crate) next: Gf,
    pub(crate) last: Gf,
}

impl Element {
    /// As [`Bits::local_and`].
    pub(crate) fn local_product(self, other: Self) -> Gf {
        self.next * (other.next + other.last) + self.last * other.next
    }
}

impl std::ops::Add for Element {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { next: self.next + other.next, last: self.last + other.last }
    }
}

impl std::ops::Mul<Gf> for Element {
    type Output = Self;
    fn mul(self, factor: Gf) -> Self {
        Self { next: self.next * factor, last: self.last * factor }
    }
}
