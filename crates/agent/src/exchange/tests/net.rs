//! Two desks that call each other, on one chain, either of which may be killed at any step.

use std::collections::{BTreeMap, VecDeque};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::SigningKey;
use quittance_ledger::ids::Timestamp;
use quittance_ledger::transaction::{Transaction, Verified};
use rand_chacha::ChaCha20Rng;

use super::legs::{funded, signing};
use crate::exchange::*;
use crate::wallet::tests::world::*;
use crate::wallet::{Wallet, WalletEvent};

pub(super) type TestMeans<'a> = Means<'a, ChaCha20Rng>;

/// One agent: what it knows, and what is on its disk.
pub(super) struct Agent {
    pub(super) who: &'static str,
    pub(super) wallet: Wallet,
    pub(super) desk: Desk,
    key: SigningKey,
    disk: BTreeMap<Uetr, Vec<u8>>,
    /// What is still to be done; lost when it is killed.
    effects: VecDeque<Effect>,
    /// Stages that the bank was told, in order.
    pub(super) told: Vec<String>,
    /// What it has signed: the signature as the accepting side, or the body as the offering side.
    pub(super) signed: Vec<Digest>,
    life: u32,
}

pub(super) struct Net {
    pub(super) world: World,
    pub(super) agents: [Agent; 2],
    pub(super) now: Timestamp,
    /// Submitted and not in a block yet.
    pub(super) pool: Vec<Transaction<Verified>>,
    pub(super) step: u32,
    /// Kills an agent at a step.
    pub(super) kill: Option<(u32, usize)>,
    /// Calls from an agent that do not arrive.
    pub(super) cut: [bool; 2],
    /// Proofs and signatures that do not arrive.
    pub(super) mute: bool,
    /// Answers to an agent that do not arrive.
    pub(super) deaf: [bool; 2],
}

impl Agent {
    fn new(world: &World, who: &'static str, disk: BTreeMap<Uetr, Vec<u8>>) -> Self {
        let records = disk.values().map(|bytes| Record::from_bytes(bytes).unwrap());
        let desk = Desk::new(id(who), records);
        let (wallet, key) = (world.restore(who), signing(who));
        let (effects, told, signed) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { who, wallet, desk, key, disk, effects, told, signed, life: 0 }
    }

    pub(super) fn record(&self) -> &Record {
        self.desk.get(&uetr(1)).unwrap()
    }
}

impl Net {
    pub(super) fn new() -> Self {
        let world = funded();
        let agents = [ONE, TWO].map(|who| Agent::new(&world, who, BTreeMap::new()));
        let (cut, deaf) = ([false; 2], [false; 2]);
        let (now, pool, step) = (Timestamp(1_000_000), Vec::new(), 0);
        Self { world, agents, now, pool, step, kill: None, cut, mute: false, deaf }
    }

    /// Lets an agent's desk do something. What it stores is stored at once.
    pub(super) fn act<T>(
        &mut self,
        which: usize,
        what: impl FnOnce(&mut Desk, &mut TestMeans<'_>) -> T,
    ) -> T {
        let agent = &mut self.agents[which];
        let mut effects = Vec::new();
        let mut means = Means {
            wallet: &mut agent.wallet,
            register: &self.world.state,
            key: &agent.key,
            rng: &mut self.world.rng,
            now: self.now,
            expiry_blocks: 5,
            ready: true,
            effects: &mut effects,
        };
        let result = what(&mut agent.desk, &mut means);
        for effect in effects {
            match effect {
                Effect::Save { record, changed } => {
                    if let Stage::Signed { transaction: Some(complete), .. } = &record.stage
                        && record.offered_by(id(agent.who))
                    {
                        agent.signed.push(complete.body_digest());
                    }
                    agent.disk.insert(record.uetr(), record.to_bytes());
                    if changed {
                        agent.told.push(name(&record.stage).to_owned());
                    }
                }
                Effect::Forget(uetr) => drop(agent.disk.remove(&uetr)),
                Effect::Withdrawn(events) => {
                    for event in &events {
                        if let WalletEvent::Lost(lost) = event {
                            agent.desk.lost(self.now, lost);
                        }
                    }
                }
                Effect::UseUp(asset) => {
                    let (rng, expiry) = (&mut self.world.rng, agent.wallet.height().plus(5));
                    let draft = agent.wallet.draft_absorption(asset, expiry, rng).unwrap();
                    let unsigned = draft.complete(&mut self.world.rng).unwrap();
                    self.pool.push(self.world.sign(agent.who, unsigned));
                }
                Effect::Drafted { candidate, uetr } => {
                    let draft = agent.wallet.in_flight(candidate.asset).unwrap().last().copied();
                    assert_eq!((draft, uetr.0.len()), (Some(candidate), 16));
                }
                other => agent.effects.push_back(other),
            }
        }
        result
    }

    /// A place at which an agent may be killed; gives whether agent `which` still lives its life.
    fn checkpoint(&mut self, which: usize) -> bool {
        let life = self.agents[which].life;
        self.step += 1;
        if let Some((step, victim)) = self.kill
            && step == self.step
        {
            self.restart(victim);
        }
        self.agents[which].life == life
    }

    pub(super) fn restart(&mut self, which: usize) {
        let old = &mut self.agents[which];
        let (disk, told) = (std::mem::take(&mut old.disk), std::mem::take(&mut old.told));
        let (signed, life) = (std::mem::take(&mut old.signed), old.life + 1);
        let new = Agent::new(&self.world, old.who, disk);
        self.agents[which] = Agent { told, signed, life, ..new };
    }

    /// Does what there is to do until there is nothing.
    pub(super) fn run(&mut self) {
        while let Some(which) = (0..2).find(|which| !self.agents[*which].effects.is_empty()) {
            if self.checkpoint(which)
                && let Some(effect) = self.agents[which].effects.pop_front()
            {
                self.carry_out(which, effect);
            }
        }
    }

    /// What a call comes to: handled by the other, and answered if nothing is in the way.
    fn call<T>(
        &mut self,
        which: usize,
        handle: impl FnOnce(&mut Self, usize) -> Result<T, Refusal>,
    ) -> Option<Result<T, CallError>> {
        let lost = || Some(Err(CallError::Again("cannot be reached".to_owned())));
        if self.cut[which] {
            return lost();
        }
        let other = 1 - which;
        let life = self.agents[other].life;
        let answer = handle(self, other);
        if !self.checkpoint(which) {
            return None;
        }
        if self.deaf[which] || self.agents[other].life != life {
            return lost();
        }
        Some(answer.map_err(|refusal| match refusal {
            Refusal::NotNow(_) | Refusal::TooMany(_) => CallError::Again(refusal.to_string()),
            _ => CallError::Refused(refusal.to_string()),
        }))
    }

    fn carry_out(&mut self, which: usize, effect: Effect) {
        let from = id(self.agents[which].who);
        match effect {
            Effect::Submit { candidate, transaction } => {
                if let Some(candidate) = candidate {
                    // It may have landed by the other side's hand.
                    drop(self.agents[which].wallet.submitted(candidate, &transaction));
                }
                self.pool.push(*transaction);
            }
            Effect::Offer { offer, .. } => {
                let handle = |net: &mut Self, other| {
                    net.act(other, |desk, means| desk.offer(means, from, &offer))
                };
                if let Some(result) = self.call(which, handle) {
                    self.act(which, |desk, means| desk.offer_delivered(means, &offer.uetr, result));
                }
            }
            Effect::Join { uetr, candidate, join, .. } => {
                let handle = |net: &mut Self, other| {
                    net.act(other, |desk, means| desk.join(means, from, uetr, &join))
                };
                if let Some(result) = self.call(which, handle) {
                    self.act(which, |desk, means| {
                        desk.join_answered(means, &uetr, candidate, result);
                    });
                }
            }
            Effect::Complete { uetr, range_proof, signature, .. } => {
                let sent = Digest::of("test signature", &[signature.as_bytes()]);
                self.agents[which].signed.push(sent);
                let handle = |net: &mut Self, other| {
                    if net.mute {
                        return Err(Refusal::NotNow("lost".to_owned()));
                    }
                    net.act(other, |desk, means| {
                        desk.complete(means, from, uetr, &range_proof, &signature)
                    })
                };
                if let Some(result) = self.call(which, handle) {
                    self.act(which, |desk, means| desk.complete_answered(means, &uetr, result));
                }
            }
            Effect::Save { .. }
            | Effect::Forget(_)
            | Effect::Drafted { .. }
            | Effect::UseUp(_)
            | Effect::Withdrawn(_) => {}
        }
    }

    /// Time passes, with a block of what is in the pool at its end.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.now = Timestamp(self.now.0 + milliseconds);
        let pool = std::mem::take(&mut self.pool);
        self.world.block(&pool);
        for which in 0..2 {
            let agent = &mut self.agents[which];
            let events = agent.wallet.apply_block(self.world.last()).unwrap();
            for event in &events {
                if let WalletEvent::Lost(lost) = event {
                    agent.desk.lost(self.now, lost);
                }
            }
            self.act(which, |desk, means| desk.tick(means));
        }
        self.run();
    }

    /// ONE offers 100 EUR cents for 250 USD cents of TWO, for ten seconds.
    pub(super) fn propose(&mut self) -> Result<Record, Refusal> {
        let agreement = super::legs::agreement();
        let proposal = Proposal {
            uetr: agreement.uetr,
            counterparty: agreement.accepter,
            give: agreement.offered,
            get: agreement.asked,
            valid_ms: 10_000,
        };
        let result = self.act(0, |desk, means| desk.propose(means, &proposal));
        self.run();
        result
    }

    pub(super) fn accept(&mut self) -> Result<Record, Refusal> {
        let agreement = super::legs::agreement();
        let (give, get) = (agreement.asked, agreement.offered);
        let accepted = |desk: &mut Desk, means: &mut TestMeans<'_>| {
            desk.accept(means, agreement.uetr, give, get)
        };
        let result = self.act(1, accepted);
        self.run();
        result
    }

    pub(super) fn stages(&self) -> [&'static str; 2] {
        [0, 1].map(|which| name(&self.agents[which].record().stage))
    }

    /// Balance and pending credits in EUR and USD of both, by fresh wallets.
    pub(super) fn holdings(&self) -> [[i128; 2]; 2] {
        [ONE, TWO].map(|who| {
            let wallet = self.world.restore(who);
            self.world.check(&wallet);
            [eur(), usd()].map(|asset| {
                wallet.balance(asset).unwrap()
                    + i128::try_from(wallet.pending(asset).unwrap()).unwrap()
            })
        })
    }
}

pub(super) fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Offered => "offered",
        Stage::Accepted => "accepted",
        Stage::Signed { .. } => "signed",
        Stage::Final { .. } => "final",
        Stage::Expired { .. } => "expired",
        Stage::Failed { .. } => "failed",
    }
}

pub(super) const BEFORE: [[i128; 2]; 2] = [[1000, 0], [0, 2000]];
pub(super) const AFTER: [[i128; 2]; 2] = [[900, 250], [100, 1750]];
