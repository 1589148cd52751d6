//! The ledger in plain numbers: what double entry says, without any cryptography.
//!
//! Written from the rules in `docs/protocols/ledger.md` and sharing no code with the crate. Players
//! and assets are numbers; the last player issues both assets.

use std::collections::BTreeMap;

pub const PLAYERS: usize = 5;
pub const ISSUER: usize = 4;

/// (player, asset)
pub type Place = (usize, usize);

/// Parameters of the chain, as the model needs them.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub quota: usize,
    pub refund_after: u64,
    pub max_expiry: u64,
    pub max_round: u64,
}

/// One posting.
#[derive(Debug, Clone)]
pub struct Move {
    pub who: usize,
    pub sequence: u64,
    /// Credits by the number of their making.
    pub takes: Vec<usize>,
    pub gives: Vec<(usize, u64)>,
    pub net: i128,
}

/// One entry: postings in the order of their players.
#[derive(Debug, Clone)]
pub struct Leg {
    pub asset: usize,
    pub moves: Vec<Move>,
}

#[derive(Debug, Clone)]
pub enum Act {
    Entries(Vec<Leg>),
    Return { credit: usize, holder: Place, by: usize, refund: bool },
    Open { salt: u8, asset: usize, join_until: u64, deadline: u64, minimum: u16 },
    Join { round: usize, who: usize, sequence: u64 },
    Settle { round: usize, attempt: u8, leg: Leg },
}

/// Which key the first signer uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Current,
    OfRounds,
    Stranger,
}

#[derive(Debug, Clone)]
pub struct Op {
    pub act: Act,
    pub expiry: u64,
    pub own_chain: bool,
    pub key: Key,
}

#[derive(Debug, Clone, Default)]
pub struct Holding {
    pub balance: i128,
    pub sequence: u64,
    pub lock: Option<(usize, u64)>,
    /// Credits in the order of their arrival.
    pub pending: Vec<usize>,
    /// Credits that have ever arrived, and that were ever given or sent back.
    pub came: Vec<usize>,
    pub left: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Gift {
    pub from: usize,
    pub to: usize,
    pub asset: usize,
    pub amount: u64,
    pub since: u64,
    pub back: bool,
}

#[derive(Debug, Clone)]
pub struct Round {
    pub salt: u8,
    pub asset: usize,
    pub join_until: u64,
    pub deadline: u64,
    pub minimum: u16,
    pub members: Vec<usize>,
    pub settled: bool,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub rules: Rules,
    pub height: u64,
    pub holdings: BTreeMap<Place, Holding>,
    pub gifts: Vec<Gift>,
    pub rounds: Vec<Round>,
}

/// The name of the rule that an operation breaks.
pub type Refusal = &'static str;

impl Model {
    pub fn holding(&self, place: Place) -> Holding {
        self.holdings.get(&place).cloned().unwrap_or_default()
    }

    /// Carries the operation out, or says which rule it breaks first. Then nothing changes.
    pub fn perform(&mut self, op: &Op) -> Result<(), Refusal> {
        if !op.own_chain {
            return Err("WrongChain");
        }
        if self.height > op.expiry {
            return Err("Expired");
        }
        if op.expiry > self.height + self.rules.max_expiry {
            return Err("ExpiryTooFar");
        }
        match op.key {
            Key::Current => {}
            Key::OfRounds => return Err("KeyOfOtherPurpose"),
            Key::Stranger => return Err("UnknownKey"),
        }
        // Tried on a copy: all or nothing.
        let mut after = self.clone();
        match &op.act {
            Act::Entries(legs) => legs.iter().try_for_each(|leg| after.enter(leg, None))?,
            Act::Return { credit, holder, by, refund } => {
                after.give_back(*credit, *holder, *by, *refund)?;
            }
            Act::Open { salt, asset, join_until, deadline, minimum } => {
                after.open(*salt, *asset, *join_until, *deadline, *minimum)?;
            }
            Act::Join { round, who, sequence } => after.join(*round, *who, *sequence)?,
            Act::Settle { round, attempt, leg } => after.settle(*round, *attempt, leg)?,
        }
        *self = after;
        Ok(())
    }

    fn check_sequence(&self, place: Place, found: u64) -> Result<(), Refusal> {
        let next = self.holding(place).sequence + 1;
        if found < next {
            return Err("StaleSequence");
        }
        if found > next {
            return Err("SkippedSequence");
        }
        Ok(())
    }

    fn check_lock(&self, place: Place, settling: Option<usize>) -> Result<(), Refusal> {
        match self.holding(place).lock {
            Some((round, until)) if self.height <= until && settling != Some(round) => {
                Err("Locked")
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, leg: &Leg, settling: Option<usize>) -> Result<(), Refusal> {
        for posting in &leg.moves {
            let place = (posting.who, leg.asset);
            self.check_lock(place, settling)?;
            self.check_sequence(place, posting.sequence)?;
            let pending = self.holding(place).pending;
            if !posting.takes.iter().all(|credit| pending.contains(credit)) {
                return Err("CreditNotPending");
            }
        }
        // Taking and giving moves money; anything on top must come from somebody else.
        if leg.moves.iter().map(|posting| posting.net).sum::<i128>() != 0 {
            return Err("Imbalanced");
        }
        for posting in &leg.moves {
            let taken: i128 = posting.takes.iter().map(|c| i128::from(self.gifts[*c].amount)).sum();
            let given: i128 = posting.gives.iter().map(|(_, amount)| i128::from(*amount)).sum();
            let holding = self.holdings.entry((posting.who, leg.asset)).or_default();
            holding.balance += taken - given + posting.net;
            holding.sequence = posting.sequence;
            holding.lock = None;
            holding.pending.retain(|credit| !posting.takes.contains(credit));
        }
        for posting in &leg.moves {
            for (to, amount) in &posting.gives {
                self.give(posting.who, *to, leg.asset, *amount)?;
            }
        }
        Ok(())
    }

    fn give(&mut self, from: usize, to: usize, asset: usize, amount: u64) -> Result<(), Refusal> {
        let waiting = self.holding((to, asset)).pending;
        let own = waiting.iter().filter(|c| self.gifts[**c].from == from && !self.gifts[**c].back);
        if own.count() >= self.rules.quota {
            return Err("QuotaExceeded");
        }
        let number = self.gifts.len();
        self.gifts.push(Gift { from, to, asset, amount, since: self.height, back: false });
        self.holdings.entry((from, asset)).or_default().left.push(number);
        let receiver = self.holdings.entry((to, asset)).or_default();
        receiver.pending.push(number);
        receiver.came.push(number);
        Ok(())
    }

    fn give_back(
        &mut self,
        credit: usize,
        holder: Place,
        by: usize,
        refund: bool,
    ) -> Result<(), Refusal> {
        if !self.holding(holder).pending.contains(&credit) {
            return Err("CreditNotPending");
        }
        let Gift { from, since, back, .. } = self.gifts[credit];
        if back {
            return Err("AlreadyReturned");
        }
        if refund && by != from {
            return Err("NotTheSender");
        }
        if refund && self.height < since + self.rules.refund_after {
            return Err("RefundTooEarly");
        }
        self.gifts[credit].back = true;
        self.gifts[credit].since = self.height;
        let holding = self.holdings.entry(holder).or_default();
        holding.pending.retain(|pending| *pending != credit);
        holding.left.push(credit);
        let sender = self.holdings.entry((from, holder.1)).or_default();
        sender.pending.push(credit);
        sender.came.push(credit);
        Ok(())
    }

    fn open(
        &mut self,
        salt: u8,
        asset: usize,
        join_until: u64,
        deadline: u64,
        minimum: u16,
    ) -> Result<(), Refusal> {
        if join_until < self.height {
            return Err("JoiningInThePast");
        }
        if deadline > self.height + self.rules.max_round {
            return Err("DeadlineTooFar");
        }
        if self.rounds.iter().any(|round| round.salt == salt) {
            return Err("RoundExists");
        }
        let members = vec![];
        self.rounds.push(Round {
            salt,
            asset,
            join_until,
            deadline,
            minimum,
            members,
            settled: false,
        });
        Ok(())
    }

    fn join(&mut self, number: usize, who: usize, sequence: u64) -> Result<(), Refusal> {
        let round = self.rounds[number].clone();
        let place = (who, round.asset);
        if round.settled {
            return Err("RoundSettled");
        }
        if self.height > round.join_until {
            return Err("JoiningOver");
        }
        if who == ISSUER {
            return Err("IssuerJoins");
        }
        if round.members.contains(&who) {
            return Err("AlreadyJoined");
        }
        self.check_lock(place, None)?;
        self.check_sequence(place, sequence)?;
        let holding = self.holdings.entry(place).or_default();
        holding.sequence = sequence;
        holding.lock = Some((number, round.deadline));
        self.rounds[number].members.push(who);
        Ok(())
    }

    fn settle(&mut self, number: usize, attempt: u8, leg: &Leg) -> Result<(), Refusal> {
        let round = self.rounds[number].clone();
        if round.settled {
            return Err("RoundSettled");
        }
        if self.height > round.deadline {
            return Err("RoundOver");
        }
        if attempt > 0 {
            return Err("NoSuchAttempt");
        }
        if !leg.moves.iter().all(|posting| round.members.contains(&posting.who)) {
            return Err("NotAMember");
        }
        if leg.moves.len() < usize::from(round.minimum) {
            return Err("RosterTooSmall");
        }
        self.enter(leg, Some(number))?;
        for who in round.members {
            let lock = &mut self.holdings.entry((who, round.asset)).or_default().lock;
            *lock = lock.filter(|(round, _)| *round != number);
        }
        self.rounds[number].settled = true;
        Ok(())
    }

    /// What all accounts and pending credits of an asset hold together.
    pub fn total(&self, asset: usize) -> i128 {
        let of_asset = self.holdings.iter().filter(|((_, held), _)| *held == asset);
        of_asset
            .map(|(_, holding)| {
                let pending = holding.pending.iter().map(|c| i128::from(self.gifts[*c].amount));
                holding.balance + pending.sum::<i128>()
            })
            .sum()
    }
}
