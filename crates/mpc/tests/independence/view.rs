//! Statistics of what coalitions see.

use std::collections::BTreeMap;

use quittance_circuit::Fr;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::session::{Frame, Kind};
use quittance_mpc::{Parties, Share};

/// Standard deviations. Above that, chance is no explanation for any of some ten thousand
/// distributions: one of 10^9 normal variables is.
pub const LIMIT: f64 = 6.0;

/// The places of four bits of an element that are counted: its lowest, its highest, and around the
/// width of the operands of the test.
const NIBBLES: [usize; 5] = [0, 1, 2, 16, 62];

/// How many elements of a message are looked at.
const ELEMENTS: usize = 4;

/// Four bits of something that a coalition sees, counted for each of two inputs.
type Counts = [[u32; 16]; 2];

/// What coalitions of t parties have seen over many runs.
pub struct Seen {
    parties: Parties,
    coalitions: Vec<Vec<u8>>,
    counts: BTreeMap<(usize, String, usize), Counts>,
}

impl Seen {
    pub fn new(parties: Parties) -> Self {
        let all = 0u16..1 << parties.count();
        let of_size = all.filter(|mask| mask.count_ones() as usize == parties.threshold());
        let members = |mask: u16| {
            let ids = parties.ids().filter(move |id| mask >> id.position() & 1 == 1);
            ids.map(|id| id.number()).collect()
        };
        Self { parties, coalitions: of_size.map(members).collect(), counts: BTreeMap::new() }
    }

    /// How many distributions there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Adds one run on the inputs of this number, given all that was delivered and all shares of
    /// the inputs.
    pub fn add(&mut self, which: usize, views: &[Vec<Frame>], shares: &[Vec<Share>]) {
        let frames: BTreeMap<_, _> =
            views.iter().flatten().map(|it| ((it.exchange, it.from, it.to), it)).collect();
        for place in 0..self.coalitions.len() {
            let members = self.coalitions[place].clone();
            self.received(which, place, &members, &frames, shares);
            self.opened(which, place, &members, &frames);
        }
    }

    /// Elements that members are sent by others, as they are and less a share of their own.
    fn received(
        &mut self,
        which: usize,
        coalition: usize,
        members: &[u8],
        frames: &BTreeMap<(u32, u8, u8), &Frame>,
        shares: &[Vec<Share>],
    ) {
        for (&(exchange, from, to), frame) in frames {
            if members.contains(&from) || !members.contains(&to) {
                continue;
            }
            let elements = match frame.kind {
                Kind::Multiply | Kind::Open => elements(frame),
                _ => {
                    for (index, byte) in frame.payload.iter().take(ELEMENTS).enumerate() {
                        let name = format!("{exchange} {from} to {to}, byte {index}");
                        self.count(which, coalition, &name, 0, usize::from(byte & 15));
                    }
                    continue;
                }
            };
            for (index, element) in elements.into_iter().enumerate() {
                let name = format!("{exchange} {from} to {to}, element {index}");
                self.element(which, coalition, &name, element);
                for (input, share) in shares[usize::from(to) - 1].iter().enumerate() {
                    let share = Fr::from_bytes(&share.to_bytes()).unwrap();
                    let name = format!("{name} less input {input}");
                    self.element(which, coalition, &name, element - share);
                }
            }
        }
    }

    /// Values that the members see opened, and differences of those that are opened together.
    fn opened(
        &mut self,
        which: usize,
        coalition: usize,
        members: &[u8],
        frames: &BTreeMap<(u32, u8, u8), &Frame>,
    ) {
        let to = members[0];
        let others = self.parties.ids().map(|id| id.number()).filter(|id| !members.contains(id));
        let others: Vec<_> = others.take(self.parties.threshold() + 1).collect();
        let first = frames
            .range((0, others[0], 0)..)
            .map(|(&(exchange, ..), frame)| (exchange, frame.kind));
        let exchanges: BTreeMap<_, _> =
            first.map(|(exchange, kind)| (exchange, kind as u8)).collect();
        for (exchange, kind) in exchanges {
            let from = |party: u8| frames.get(&(exchange, party, to)).copied();
            if kind == Kind::Open as u8 {
                let points: Vec<_> =
                    others.iter().filter_map(|&other| from(other)).map(elements).collect();
                let values: Vec<_> = (0..points[0].len())
                    .map(|index| at_zero(&others, points.iter().map(|points| points[index])))
                    .collect();
                for (index, value) in values.iter().enumerate() {
                    let name = format!("{exchange} opened {index}");
                    self.element(which, coalition, &name, *value);
                    if let Some(next) = values.get(index + 1) {
                        self.element(which, coalition, &format!("{name} less next"), *value - next);
                    }
                }
            }
            if kind == Kind::BinaryOpen as u8 {
                // What this party has it shows the others, and it is shown the rest.
                let sent = others.iter().map(|&other| frames[&(exchange, to, other)]);
                let Some(received) = from(others[0]) else { continue };
                let parts: Vec<_> = sent.chain([received]).collect();
                for index in 0..received.payload.len().min(ELEMENTS) {
                    let byte = parts.iter().fold(0, |sum, part| sum ^ part.payload[index]);
                    let name = format!("{exchange} opened byte {index}");
                    self.count(which, coalition, &name, 0, usize::from(byte & 15));
                }
            }
        }
    }

    fn element(&mut self, which: usize, coalition: usize, name: &str, element: Fr) {
        let bytes = element.to_bytes();
        for nibble in NIBBLES {
            let bits = bytes[nibble / 2] >> (4 * (nibble % 2)) & 15;
            self.count(which, coalition, name, nibble, usize::from(bits));
        }
    }

    fn count(&mut self, which: usize, coalition: usize, name: &str, nibble: usize, bits: usize) {
        let key = (coalition, name.to_owned(), nibble);
        self.counts.entry(key).or_default()[which][bits] += 1;
    }

    /// The largest deviation of any distribution, and where.
    pub fn largest(&self) -> (f64, String) {
        let all = self.counts.iter().map(|((coalition, name, nibble), counts)| {
            let members = &self.coalitions[*coalition];
            (deviation(counts), format!("nibble {nibble} of {name}, seen by {members:?}"))
        });
        all.max_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap_or_default()
    }
}

fn elements(frame: &Frame) -> Vec<Fr> {
    let chunks = frame.payload.chunks_exact(32).take(ELEMENTS);
    chunks.map(|bytes| Fr::from_bytes(bytes).unwrap()).collect()
}

/// The value at 0 of the polynomial with these values at these points.
fn at_zero(points: &[u8], values: impl Iterator<Item = Fr>) -> Fr {
    let term = |(&point, value): (&u8, Fr)| {
        let others = points.iter().filter(|other| **other != point);
        others.fold(value, |product, &other| {
            let other = Fr::from(other);
            product * other / (other - Fr::from(point))
        })
    };
    points.iter().zip(values).map(term).sum()
}

/// How unlike two samples of equal size are: the chi-square of two samples, as the standard normal
/// variable that has about the same distribution (Wilson and Hilferty, 1931).
fn deviation([one, two]: &Counts) -> f64 {
    let pairs = || one.iter().zip(two).filter(|(a, b)| **a + **b > 0);
    let degrees = pairs().count() as f64 - 1.0;
    if degrees < 1.0 {
        return 0.0;
    }
    let term = |(a, b): (&u32, &u32)| {
        (f64::from(*a) - f64::from(*b)).powi(2) / (f64::from(*a) + f64::from(*b))
    };
    let chi_square: f64 = pairs().map(term).sum();
    let variance = 2.0 / (9.0 * degrees);
    ((chi_square / degrees).cbrt() - (1.0 - variance)) / variance.sqrt()
}
