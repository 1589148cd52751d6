//! Rounds, from their opening to their settlement.

use quittance_crypto::commitment::Blinding;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof;
use quittance_ledger::ids::{CommitteeId, RoundId};
use quittance_ledger::transaction::{Action, RoundJoin, RoundOpen, Settlement};

use super::{COORDINATOR, Chain, account, asset, id};

impl Chain {
    /// A whole round in four blocks: opening, joining, waiting, settlement of these nets.
    pub fn round(&mut self, code: &str, nets: &[(&str, i64)]) {
        let round = self.open_round(self.opening_of(code));
        self.close();
        for (who, _) in nets {
            self.join(round, who, code);
        }
        self.close();
        self.close();
        self.settle(round, code, nets, |_| {});
        self.close();
    }

    /// The opening of a round, to be joined in two blocks.
    pub fn opening_of(&self, code: &str) -> RoundOpen {
        let height = self.height();
        RoundOpen {
            salt: [5; 16],
            opener: id(COORDINATOR),
            key_fingerprint: self.fingerprint(COORDINATOR),
            asset: asset(code),
            program: Digest::of("test program", &[]),
            committee: CommitteeId(1),
            minimum_roster: 2,
            attempts: 1,
            join_until: height.plus(2),
            deadline: height.plus(20),
        }
    }

    /// Opens a round.
    pub fn open_round(&mut self, open: RoundOpen) -> RoundId {
        let opened = self.act(Action::RoundOpen(open));
        RoundId::of(self.state.chain().id, &opened.body_digest())
    }

    /// Joins a round, with an empty account if it has none.
    pub fn join(&mut self, round: RoundId, who: &str, code: &str) {
        let account = account(who, code);
        let sequence = self.sequence(&account) + 1;
        let join = RoundJoin {
            round,
            institution: id(who),
            key_fingerprint: self.fingerprint(who),
            sequence,
            queue_root: Digest::of("test queue", &[who.as_bytes()]),
            bucket: 8,
            note: vec![1, 2, 3],
        };
        self.act(Action::RoundJoin(join));
        let opening = self.opening(&account);
        self.balances.insert(account, (opening, sequence));
    }

    /// Settles a round by these nets. The settlement is changed before it is proven and signed.
    pub fn settle(
        &mut self,
        round: RoundId,
        code: &str,
        nets: &[(&str, i64)],
        change: impl FnOnce(&mut Settlement),
    ) {
        let mut nets = nets.to_vec();
        nets.sort_by_key(|(who, _)| id(who));
        let mut rng = self.rng.clone();
        let mut blindings: Vec<_> =
            nets.iter().skip(1).map(|_| Blinding::random(&mut rng)).collect();
        let sum: Blinding = blindings.iter().sum();
        blindings.push(-&sum);
        let (mut postings, mut openings) = (Vec::new(), Vec::new());
        for ((who, net), blinding) in nets.iter().zip(&blindings) {
            let balance = self.opening(&account(who, code));
            let (gets, pays) =
                (u128::from(net.max(&0).unsigned_abs()), u128::from(net.min(&0).unsigned_abs()));
            let draft = self.poster(who, code, &balance).settle(gets, pays, blinding, 1, &mut rng);
            let draft = draft.expect("the tests settle what they have");
            let account = account(who, code);
            self.balances.insert(account, (draft.opening.clone(), draft.posting.sequence));
            postings.push(draft.posting);
            openings.push(draft.opening);
        }
        let body = self.terms().settlement(round, 0, asset(code), postings, None);
        let mut body = body.expect("a well-formed body");
        if let Action::Settlement(settlement) = &mut body.action {
            change(settlement);
        }
        let context = body.proof_context(&body.digest(), 0);
        let proof = range_proof::prove(&context, &openings, &mut rng).expect("provable");
        self.rng = rng;
        self.sign(body, vec![proof]);
    }
}
