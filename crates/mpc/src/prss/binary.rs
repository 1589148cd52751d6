//! Randomness for bits that three active parties share in components: the component of one of them
//! comes from the seed that the two others hold.

use quittance_crypto::field::Fr;
use rand_core::RngCore;
use zeroize::Zeroizing;

use super::{Keys, SetKey, Stream};
use crate::share::Share;

/// What one party of three draws from the two seeds that it holds: from that of all but the party
/// after it in cyclic order, and from that of all but the party before it.
pub(crate) struct Components<T> {
    pub(crate) next: T,
    pub(crate) last: T,
}

/// Integers below `2^256`, each in four limbs; erased when dropped.
pub(crate) type Integers = Zeroizing<Vec<[u64; 4]>>;

impl Keys {
    /// Components of uniform words that nobody knows.
    pub(crate) fn random_words(&mut self, count: usize) -> Components<Zeroizing<Vec<u64>>> {
        self.components("binary-random", |stream| stream.words(count))
    }

    /// This party's summand of zero: the exclusive or of all parties' words is zero, and any one
    /// party's words are pseudo-random to any other.
    pub(crate) fn zero_words(&mut self, count: usize) -> Zeroizing<Vec<u64>> {
        let Components { mut next, last } =
            self.components("binary-zero", |stream| stream.words(count));
        next.iter_mut().zip(&*last).for_each(|(word, other)| *word ^= other);
        next
    }

    /// As [`integers`](Keys::integers), with the summands `r_A` that this party knows.
    pub(crate) fn known_integers(
        &mut self,
        width: u32,
        count: usize,
    ) -> (Vec<Share>, Components<Integers>) {
        let integers = self.components("known-integer", |stream| {
            let mut integers = Zeroizing::new(Vec::with_capacity(count));
            integers.extend((0..count).map(|_| stream.small_limbs(width)));
            integers
        });
        let mut shares = vec![Share::zero(); count];
        for (key, integers) in self.held().into_iter().zip([&integers.next, &integers.last]) {
            for (share, limbs) in shares.iter_mut().zip(integers.iter()) {
                share.0 += Fr::new(ark_ff::BigInt::new(*limbs)) * key.weight;
            }
        }
        (shares, integers)
    }

    /// As [`bits`](Keys::bits), with the bits that this party knows.
    pub(crate) fn known_bits(
        &mut self,
        count: usize,
    ) -> (Vec<Vec<Share>>, Components<Zeroizing<Vec<u64>>>) {
        let words = self.components("known-bit", |stream| stream.words(count.div_ceil(64)));
        let held = self.held().map(|key| key.set);
        let share = |key: &SetKey, words: &[u64], place: usize| {
            Share(key.weight * Fr::from(words[place / 64] >> (place % 64) & 1))
        };
        let shares = |key: &SetKey| match held.iter().position(|set| *set == key.set) {
            Some(0) => (0..count).map(|place| share(key, &words.next, place)).collect(),
            Some(_) => (0..count).map(|place| share(key, &words.last, place)).collect(),
            None => vec![Share::zero(); count],
        };
        let shares = self.sets.iter().map(shares).collect();
        (shares, words)
    }

    fn components<T>(&mut self, purpose: &str, draw: impl Fn(&mut Stream) -> T) -> Components<T> {
        let batch = self.next_batch();
        let [next, last] = self.held().map(|key| {
            let stream = self.stream(key, purpose, batch);
            draw(&mut stream.expect("a party holds the seeds of all sets that it belongs to"))
        });
        Components { next, last }
    }

    /// The sets of all but the next party, and of all but the one after that.
    fn held(&self) -> [&SetKey; 2] {
        [1, 2].map(|step| {
            let without = self.parties.after(self.me, step);
            let set = self.sets.iter().find(|key| !key.set.contains(without));
            set.expect("for each of three active parties there is a set of the two others")
        })
    }
}

impl Stream {
    fn words(&mut self, count: usize) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(Vec::with_capacity(count));
        words.extend((0..count).map(|_| self.0.next_u64()));
        words
    }
}
