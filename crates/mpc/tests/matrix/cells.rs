//! What a liar does to one of its messages: the cells of the matrix.

use std::collections::BTreeMap;
use std::fmt;

use ark_ff::PrimeField;
use quittance_circuit::Fr;
use quittance_crypto::digest::Digest;
use quittance_mpc::session::{Frame, Kind};

/// Exchange, sender and receiver of a message.
pub type Place = (u32, u8, u8);

/// The messages of an honest run, each one frame.
pub struct Recording {
    pub messages: BTreeMap<Place, Frame>,
    pub parties: u8,
}

impl Recording {
    pub fn of(views: &[Vec<Frame>]) -> Self {
        let mut messages = BTreeMap::new();
        for frame in views.iter().flatten() {
            assert!(frame.part == 0 && frame.last, "small cases have messages of one frame");
            messages.insert((frame.exchange, frame.from, frame.to), frame.clone());
        }
        Self { messages, parties: views.len() as u8 }
    }

    /// By exchange, what it is for.
    pub fn steps(&self) -> BTreeMap<u32, Kind> {
        self.messages.iter().map(|(&(exchange, ..), frame)| (exchange, frame.kind)).collect()
    }

    fn payload(&self, place: Place) -> &[u8] {
        &self.messages[&place].payload
    }
}

/// Which part of a message is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Session,
    Sender,
    Receiver,
    Exchange,
    Kind,
    Part,
    Last,
    /// The element in this place; elements have 32 bytes, or 16, or are bytes.
    First,
    Middle,
    End,
    /// All elements.
    Payload,
    /// The frame as a whole.
    Message,
}

/// How it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Omit,
    /// It comes after the deadline.
    Late,
    /// It comes behind the next one.
    Overtaken,
    Twice,
    Flip,
    Zero,
    /// What another party sent to the same receiver in the same exchange.
    OtherParty,
    /// What the same party sent to the same receiver in the same exchange of another session.
    OtherSession,
    Shorter,
    Longer,
    PlusOrder,
}

/// Everything that is tried on a message.
pub const CHANGES: [(Field, How); 38] = [
    (Field::Message, How::Omit),
    (Field::Message, How::Late),
    (Field::Message, How::Overtaken),
    (Field::Message, How::Twice),
    (Field::Message, How::OtherSession),
    (Field::Session, How::Flip),
    (Field::Session, How::Zero),
    (Field::Session, How::OtherSession),
    (Field::Sender, How::Flip),
    (Field::Sender, How::Zero),
    (Field::Sender, How::OtherParty),
    (Field::Receiver, How::Flip),
    (Field::Receiver, How::Zero),
    (Field::Receiver, How::OtherParty),
    (Field::Exchange, How::Flip),
    (Field::Exchange, How::Zero),
    (Field::Exchange, How::Longer),
    (Field::Kind, How::Flip),
    (Field::Kind, How::Zero),
    (Field::Part, How::Flip),
    (Field::Last, How::Flip),
    (Field::First, How::Flip),
    (Field::First, How::Zero),
    (Field::First, How::OtherParty),
    (Field::First, How::OtherSession),
    (Field::First, How::PlusOrder),
    (Field::Middle, How::Flip),
    (Field::Middle, How::Zero),
    (Field::Middle, How::PlusOrder),
    (Field::End, How::Flip),
    (Field::End, How::Zero),
    (Field::End, How::PlusOrder),
    (Field::Payload, How::Zero),
    (Field::Payload, How::OtherParty),
    (Field::Payload, How::OtherSession),
    (Field::Payload, How::Shorter),
    (Field::Payload, How::Longer),
    (Field::Payload, How::Omit),
];

/// Whom the changed message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    One(u8),
    All,
    /// To all, and a neighbour of the liar does the same: two liars, where t is more than one.
    AllByTwo,
}

/// One attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub exchange: u32,
    pub liar: u8,
    pub to: To,
    pub field: Field,
    pub how: How,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, liar, to, field, how } = self;
        write!(f, "exchange {exchange}, party {liar} to {to:?}: {field:?} {how:?}")
    }
}

impl Cell {
    pub fn meets(&self, frame: &Frame) -> bool {
        let to = match self.to {
            To::One(to) => frame.to == to,
            To::All | To::AllByTwo => true,
        };
        frame.exchange == self.exchange && self.lies(frame.from) && to
    }

    /// Whether this party is a liar.
    pub fn lies(&self, party: u8) -> bool {
        let second = match self.to {
            To::One(_) | To::All => self.liar,
            To::AllByTwo if self.liar == 1 => 2,
            To::AllByTwo => self.liar - 1,
        };
        party == self.liar || party == second
    }

    /// The messages of the first liar that it meets in an honest run.
    fn frames<'a>(&self, run: &'a Recording) -> impl Iterator<Item = &'a Frame> {
        let (cell, from) = (*self, (self.exchange, self.liar, 0));
        let frames = run.messages.range(from..=(self.exchange, self.liar, u8::MAX));
        frames.map(|(_, frame)| frame).filter(move |frame| cell.meets(frame))
    }

    /// Whether there is anything to change.
    pub fn applies(&self, run: &Recording, other: &Recording) -> bool {
        let mut changed = self.frames(run).map(|frame| match (self.field, self.how) {
            (Field::Message, _) => true,
            _ => self.change(frame, run, other) != *frame,
        });
        changed.any(|changed| changed)
    }

    /// The message in place of this one.
    pub fn change(&self, frame: &Frame, run: &Recording, other: &Recording) -> Frame {
        let place = (frame.exchange, frame.from, frame.to);
        let mut changed = frame.clone();
        // A third party, which is neither sender nor receiver.
        let third = (1..=run.parties).find(|third| ![frame.from, frame.to].contains(third));
        let third = third.unwrap_or_default();
        match (self.field, self.how) {
            (Field::Message, How::OtherSession) => changed = other.messages[&place].clone(),
            (Field::Session, How::Flip) => changed.session.0[31] ^= 1,
            (Field::Session, How::Zero) => changed.session = Digest::ZERO,
            (Field::Session, _) => changed.session = other.messages[&place].session,
            (Field::Sender, How::Flip) => changed.from ^= 8,
            (Field::Sender, How::Zero) => changed.from = 0,
            (Field::Sender, _) => changed.from = third,
            (Field::Receiver, How::Flip) => changed.to ^= 8,
            (Field::Receiver, How::Zero) => changed.to = 0,
            (Field::Receiver, _) => changed.to = third,
            (Field::Exchange, How::Flip) => changed.exchange ^= 1,
            (Field::Exchange, How::Zero) => changed.exchange = 0,
            (Field::Exchange, _) => changed.exchange = u32::MAX,
            (Field::Kind, How::Zero) => changed.kind = Kind::Commit,
            (Field::Kind, _) if frame.kind == Kind::Open => changed.kind = Kind::Multiply,
            (Field::Kind, _) => changed.kind = Kind::Open,
            (Field::Part, _) => changed.part ^= 1,
            (Field::Last, _) => changed.last = !frame.last,
            _ => {
                let of_third = run.payload((frame.exchange, third, frame.to));
                changed.payload.clear();
                let others = [of_third, other.payload(place)];
                changed.payload.extend(self.payload(&frame.payload, others));
            }
        }
        changed
    }

    fn payload(&self, own: &[u8], [of_third, of_other]: [&[u8]; 2]) -> Vec<u8> {
        let unit = unit(own.len());
        let place = match self.field {
            Field::First => 0,
            Field::Middle => own.len() / unit / 2 * unit,
            _ => own.len().saturating_sub(unit),
        };
        let mut changed = own.to_vec();
        let range = match self.field {
            Field::Payload => 0..own.len(),
            _ => place..own.len().min(place + unit),
        };
        let part = &mut changed[range.clone()];
        match self.how {
            // The lowest bit of the first byte of an element, or the highest of its last.
            How::Flip if self.field == Field::End => {
                part.iter_mut().last().into_iter().for_each(|byte| *byte ^= 0x80)
            }
            How::Flip => part.iter_mut().take(1).for_each(|byte| *byte ^= 1),
            How::Zero => part.fill(0),
            How::OtherParty => part
                .iter_mut()
                .zip(&of_third[range.start.min(of_third.len())..])
                .for_each(|(byte, other)| *byte = *other),
            How::OtherSession => part.copy_from_slice(&of_other[range]),
            How::PlusOrder => add_order(part),
            How::Shorter => changed.truncate(own.len().saturating_sub(1)),
            How::Longer => changed.extend(std::iter::repeat_n(0, unit)),
            How::Omit => changed.clear(),
            How::Late | How::Overtaken | How::Twice => {}
        }
        changed
    }
}

/// The bytes of an element in a message of this length.
fn unit(length: usize) -> usize {
    [32, 16].into_iter().find(|unit| length.is_multiple_of(*unit)).unwrap_or(1)
}

/// Adds l, if the sum has 32 bytes.
fn add_order(bytes: &mut [u8]) {
    let order: Vec<u8> = Fr::MODULUS.0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    let mut carry = 0;
    let sum: Vec<u8> = (bytes.iter().zip(&order))
        .map(|(byte, order)| {
            let sum = u16::from(*byte) + u16::from(*order) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    if carry == 0 && bytes.len() == order.len() {
        bytes.copy_from_slice(&sum);
    }
}

/// Whether these bytes hold an element that is not below l.
pub fn holds_no_elements(bytes: &[u8]) -> bool {
    use quittance_crypto::encoding::Decode;
    bytes.chunks(32).any(|element| Fr::from_bytes(element).is_err())
}

/// Every cell: each message to one receiver, and all messages of a party in an exchange.
pub fn all(run: &Recording, other: &Recording) -> Vec<Cell> {
    let mut cells = vec![];
    for exchange in run.steps().into_keys() {
        for liar in 1..=run.parties {
            let receivers = (1..=run.parties).filter(|to| *to != liar).map(To::One);
            let by_two = (run.parties > 3).then_some(To::AllByTwo);
            for to in receivers.chain([To::All]).chain(by_two) {
                let cell = |(field, how)| Cell { exchange, liar, to, field, how };
                cells.extend(CHANGES.into_iter().map(cell));
            }
        }
    }
    cells.retain(|cell| cell.applies(run, other));
    cells
}

/// Each change by each party in each exchange once, the receivers taking turns.
pub fn in_turns(run: &Recording, other: &Recording) -> Vec<Cell> {
    let mut groups = BTreeMap::<_, Vec<Cell>>::new();
    for cell in all(run, other) {
        groups.entry((cell.exchange, cell.liar, cell.field, cell.how)).or_default().push(cell);
    }
    groups.into_values().enumerate().map(|(turn, cells)| cells[turn % cells.len()]).collect()
}

/// A sample: each change by each party at the first, a middle and the last message of each kind to
/// which it applies, the receivers taking turns. With `one`, only at one of the three, in turns.
pub fn sample(run: &Recording, other: &Recording, one: bool) -> Vec<Cell> {
    let mut groups = BTreeMap::<_, BTreeMap<u32, Vec<Cell>>>::new();
    let steps = run.steps();
    for cell in all(run, other) {
        let kind = steps[&cell.exchange] as u8;
        let group = groups.entry((kind, cell.liar, cell.field, cell.how)).or_default();
        group.entry(cell.exchange).or_default().push(cell);
    }
    let mut cells = vec![];
    for (turn, exchanges) in groups.into_values().enumerate() {
        let exchanges: Vec<_> = exchanges.into_values().collect();
        let last = exchanges.len() - 1;
        let mut places = vec![0, last / 2, last];
        places.dedup();
        if one {
            places = vec![places[turn % places.len()]];
        }
        let chosen = places.iter().enumerate().map(|(at, &place)| {
            let cells = &exchanges[place];
            cells[(turn + at) % cells.len()]
        });
        cells.extend(chosen);
    }
    cells
}
