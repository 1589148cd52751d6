//! Random operations that make sense most of the time, and flaws that break one rule each.

use proptest::prelude::*;

use crate::agreement::Pair;
use crate::model::{Act, Key, Leg, Move, Op, PLAYERS};

/// Numbers that become an operation in the light of the books.
#[derive(Debug, Clone)]
pub struct Raw {
    kind: u8,
    who: usize,
    other: usize,
    asset: usize,
    amount: u64,
    pub pick: usize,
    pub flaw: u8,
}

pub fn raw() -> impl Strategy<Value = Raw> {
    let amount = prop_oneof![Just(0), 1u64..400, Just(1_000)];
    (0u8..20, 0..PLAYERS, 1..PLAYERS, 0..2usize, amount, 0usize..64, 0u8..36).prop_map(
        |(kind, who, step, asset, amount, pick, flaw)| {
            let other = (who + step) % PLAYERS;
            Raw { kind, who, other, asset, amount, pick, flaw }
        },
    )
}

impl Pair {
    fn posting(&self, who: usize, asset: usize) -> Move {
        let sequence = self.model.holding((who, asset)).sequence + 1;
        Move { who, sequence, takes: vec![], gives: vec![], net: 0 }
    }

    /// The operation that the numbers stand for, with its flaw.
    pub fn resolve(&self, raw: &Raw) -> Op {
        let mut op = Op {
            act: self.act(raw),
            expiry: self.model.height + 3,
            own_chain: true,
            key: Key::Current,
        };
        match raw.flaw {
            0 => first_sequence(&mut op.act, |sequence| *sequence -= 1),
            1 => first_sequence(&mut op.act, |sequence| *sequence += 1),
            2 => first_move(&mut op.act, |posting| posting.net += 1),
            3 => first_move(&mut op.act, |posting| posting.net -= 1),
            4 if !self.credits.is_empty() => {
                // Spent, somebody else's or in another asset, as it happens.
                let credit = raw.pick % self.credits.len();
                first_move(&mut op.act, |posting| posting.takes = vec![credit]);
            }
            5 => op.expiry = self.model.height - 1,
            6 => op.expiry = self.model.height + self.model.rules.max_expiry + 1,
            7 => op.own_chain = false,
            8 => op.key = Key::OfRounds,
            9 => op.key = Key::Stranger,
            _ => {}
        }
        op
    }

    fn act(&self, raw: &Raw) -> Act {
        let &Raw { kind, who, other, asset, amount, pick, .. } = raw;
        let mut posting = self.posting(who, asset);
        let pending = self.model.holding((who, asset)).pending;
        // Mostly a round that can still settle, now and then whatever was the last.
        let live = self.model.rounds.iter().rposition(|round| {
            (!round.settled && self.model.height <= round.deadline) || pick % 8 == 1
        });
        match (kind, live) {
            // Absorbs; with kinds up to 6 it pays as well, now and then with a decoy.
            (0..=7, _) => {
                posting.takes = pending.into_iter().take(pick % 4).collect();
                if kind < 7 {
                    posting.gives.push((other, amount));
                }
                if kind < 2 {
                    posting.gives.push(((who + 1) % PLAYERS, amount / 2));
                }
                Act::Entries(vec![Leg { asset, moves: vec![posting] }])
            }
            // An exchange of euros for dollars.
            (8, _) => {
                let (mut euros, mut dollars) = (self.posting(who, 0), self.posting(other, 1));
                euros.gives.push((other, amount));
                dollars.gives.push((who, amount + 1));
                let leg = |asset, posting| Leg { asset, moves: vec![posting] };
                Act::Entries(vec![leg(0, euros), leg(1, dollars)])
            }
            // Both post, nobody is credited.
            (9, _) => {
                let mut counter = self.posting(other, asset);
                (posting.net, counter.net) = (-i128::from(amount), amount.into());
                let mut moves = vec![posting, counter];
                moves.sort_by_key(|posting| posting.who);
                Act::Entries(vec![Leg { asset, moves }])
            }
            (10..=12, _) if !self.credits.is_empty() => self.return_of(raw),
            (13, _) | (14.., None) => Act::Open {
                salt: self.rounds.len() as u8,
                asset,
                join_until: self.model.height + pick as u64 % 3,
                deadline: self.model.height + 3 + pick as u64 % 3,
                minimum: 2,
            },
            (14..=17, Some(round)) => {
                let asset = self.model.rounds[round].asset;
                Act::Join { round, who, sequence: self.posting(who, asset).sequence }
            }
            (18.., Some(round)) => self.settlement(round, raw),
            (10..=12, _) => Act::Entries(vec![Leg { asset, moves: vec![posting] }]),
        }
    }

    fn return_of(&self, raw: &Raw) -> Act {
        let credit = raw.pick % self.credits.len();
        let gift = &self.model.gifts[credit];
        let holder = if gift.back { gift.from } else { gift.to };
        let refund = raw.kind == 10;
        let by = match (refund, raw.amount % 4) {
            (false, _) => holder,
            (true, 0) => (holder + 1) % PLAYERS,
            (true, _) if gift.from != holder => gift.from,
            (true, _) => gift.to,
        };
        Act::Return { credit, holder: (holder, gift.asset), by, refund }
    }

    /// Money goes around the members of the round, in a ring; sometimes not all take part.
    fn settlement(&self, number: usize, raw: &Raw) -> Act {
        let round = &self.model.rounds[number];
        let mut members = round.members.clone();
        members.sort_unstable();
        members.truncate(members.len().max(1) - usize::from(raw.pick.is_multiple_of(4)));
        if members.is_empty() || raw.pick % 16 == 1 {
            members = vec![raw.who, raw.other];
            members.sort_unstable();
        }
        let mut moves: Vec<_> = members.iter().map(|who| self.posting(*who, round.asset)).collect();
        let last = moves.len() - 1;
        moves[0].net -= i128::from(raw.amount);
        moves[last].net += i128::from(raw.amount);
        let attempt = u8::from(raw.pick % 16 == 2);
        Act::Settle { round: number, attempt, leg: Leg { asset: round.asset, moves } }
    }
}

fn first_move(act: &mut Act, change: impl FnOnce(&mut Move)) {
    match act {
        Act::Entries(legs) => change(&mut legs[0].moves[0]),
        Act::Settle { leg, .. } => {
            change(&mut leg.moves[0]);
            // A settlement that absorbs is malformed, whatever the state.
            leg.moves[0].takes.clear();
        }
        _ => {}
    }
}

fn first_sequence(act: &mut Act, change: impl FnOnce(&mut u64)) {
    match act {
        Act::Join { sequence, .. } => change(sequence),
        _ => first_move(act, |posting| change(&mut posting.sequence)),
    }
}
