//! Rounds: opened by a coordinator, joined by accounts, settled by all who post.

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;

use super::entries::check_lock;
use super::{ExecutionError, Executor, check_sequence};
use crate::ids::{AccountId, RoundId, TransactionId};
use crate::state::{Account, Lock, MAX_MEMBERS, Member, Role, Round, Settled};
use crate::transaction::{RoundJoin, RoundOpen, Settlement};

impl Executor<'_> {
    pub(super) fn open_round(
        &mut self,
        terms: &RoundOpen,
        body_digest: &Digest,
    ) -> Result<(), ExecutionError> {
        let institution = terms.opener;
        let roles = self.state.institution(&institution).map(|register| &register.roles);
        if !roles.is_some_and(|roles| roles.contains(&Role::Coordinator)) {
            return Err(ExecutionError::NotACoordinator { institution });
        }
        self.live_asset(terms.asset)?;
        self.check_program(&terms.program)?;
        let committee = terms.committee;
        if self.state.committee(committee).is_none() {
            return Err(ExecutionError::UnknownCommittee { committee });
        }
        let (height, join_until) = (self.context.height, terms.join_until);
        if join_until < height {
            return Err(ExecutionError::JoiningInThePast { join_until, height });
        }
        let (deadline, latest) = (terms.deadline, height.plus(self.state.limits().max_round));
        if deadline > latest {
            return Err(ExecutionError::DeadlineTooFar { deadline, latest });
        }
        let round = RoundId::of(self.state.chain().id, body_digest);
        if self.overlay.round(&round).is_some() {
            return Err(ExecutionError::RoundExists { round });
        }
        let (terms, members) = (terms.clone(), Default::default());
        self.overlay.put_round(round, Round { terms, opened: height, members, settled: None });
        Ok(())
    }

    pub(super) fn join_round(
        &mut self,
        join: &RoundJoin,
        id: TransactionId,
    ) -> Result<(), ExecutionError> {
        let &RoundJoin { round, institution, sequence, queue_root, bucket, .. } = join;
        let record = self.open_record(round)?;
        let (until, height) = (record.terms.join_until, self.context.height);
        if height > until {
            return Err(ExecutionError::JoiningOver { round, until, height });
        }
        let account_id = AccountId { institution, asset: record.terms.asset };
        self.check_holder(account_id)?;
        if self.live_asset(account_id.asset)?.issuer == institution {
            return Err(ExecutionError::IssuerJoins { round, institution });
        }
        if record.members.contains_key(&institution) {
            return Err(ExecutionError::AlreadyJoined { round, institution });
        }
        if record.members.len() >= MAX_MEMBERS {
            return Err(ExecutionError::RoundFull { round });
        }
        let unused = Account::default();
        let account = self.overlay.account(&account_id).map_or(&unused, |(account, _)| account);
        check_lock(account_id, account, height, None)?;
        check_sequence(account_id, account.sequence, sequence)?;

        let mut record = record.clone();
        let lock = Lock { round, until: record.terms.deadline };
        record.members.insert(institution, Member { queue_root, bucket });
        self.overlay.put_round(round, record);
        self.overlay.join(account_id, sequence, lock, id);
        Ok(())
    }

    pub(super) fn settle_round(
        &mut self,
        settlement: &Settlement,
        id: TransactionId,
    ) -> Result<(), ExecutionError> {
        let &Settlement { round, attempt, ref entry, .. } = settlement;
        let record = self.open_record(round)?;
        self.check_settlement(record, settlement)?;
        let plan = self.plan_entry(0, entry, id, Some(round))?;

        let settled = Settled { height: self.context.height, transaction: id, attempt };
        let record = Round { settled: Some(settled), ..record.clone() };
        self.write_entry(plan, id);
        for institution in record.members.keys() {
            let member = AccountId { institution: *institution, asset: entry.asset };
            self.overlay.unlock(member, round);
        }
        self.overlay.put_round(round, record);
        Ok(())
    }

    /// The round, if it is on record and has not settled.
    fn open_record(&self, round: RoundId) -> Result<&Round, ExecutionError> {
        let record = self.overlay.round(&round).ok_or(ExecutionError::UnknownRound { round })?;
        match planted!("round-settles-twice", None, record.settled) {
            None => Ok(record),
            Some(_) => Err(ExecutionError::RoundSettled { round }),
        }
    }

    /// In time, in the right asset and attempt, by enough members and by no one else.
    fn check_settlement(
        &self,
        record: &Round,
        settlement: &Settlement,
    ) -> Result<(), ExecutionError> {
        let &Settlement { round, attempt, ref entry, .. } = settlement;
        let terms = &record.terms;
        let (deadline, height) = (terms.deadline, self.context.height);
        if height > deadline {
            return Err(ExecutionError::RoundOver { round, deadline, height });
        }
        if entry.asset != terms.asset {
            let (expected, found) = (terms.asset, entry.asset);
            return Err(ExecutionError::WrongAsset { round, expected, found });
        }
        if attempt >= terms.attempts {
            let attempts = terms.attempts;
            return Err(ExecutionError::NoSuchAttempt { round, attempts, found: attempt });
        }
        let stranger = entry
            .postings
            .iter()
            .find(|posting| !record.members.contains_key(&posting.institution));
        if let Some(posting) = stranger {
            return Err(ExecutionError::NotAMember { round, institution: posting.institution });
        }
        let (minimum, found) = (terms.minimum_roster, entry.postings.len());
        if found < usize::from(minimum) {
            return Err(ExecutionError::RosterTooSmall { round, minimum, found });
        }
        self.check_program(&terms.program)?;
        match self.state.settlement_rule().attachment && settlement.attachment.is_none() {
            false => Ok(()),
            true => Err(ExecutionError::AttachmentMissing { round }),
        }
    }

    /// The rule about settlements lets rounds compute this program.
    fn check_program(&self, program: &Digest) -> Result<(), ExecutionError> {
        match self.state.settlement_rule().allows(program) {
            true => Ok(()),
            false => Err(ExecutionError::ProgramNotAllowed { program: *program }),
        }
    }
}
