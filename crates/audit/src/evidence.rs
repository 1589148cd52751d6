//! Evidence that validators have contradicted themselves, verified from `docs/protocols/evidence.md`
//! with nothing but a root: a genesis, or a checkpoint that somebody trusts.

mod format;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Header;
use quittance_ledger::certificate::{Certificate, ValidatorSet, Vote, VoteKind};
use quittance_ledger::evidence::{Evidence, SignedStatement, Statement};
use quittance_ledger::ids::{ChainId, Height, InstitutionId, Timestamp};
use quittance_ledger::proposal::Proposal;
use quittance_ledger::receipt::{Checkpoint, SetChange};
use serde::{Deserialize, Serialize};

pub use self::format::{DOSSIER_VERSION, EvidenceFile, MAX_CASES};
use crate::fault::{Fault, require};
use crate::receipt::{Reached, Root};

/// Evidence with all that shows who the validators of its heights were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// The chain that it is about.
    pub chain: ChainId,
    /// The changes of the validators after the root and before the last block.
    pub changes: Vec<SetChange>,
    /// The block of each height that there is evidence of, in order, with what makes it final.
    pub blocks: Vec<(Header, Certificate)>,
    /// The evidence, in order of height.
    pub evidence: Vec<Evidence>,
}

/// One contradiction, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Who contradicts itself.
    pub validator: InstitutionId,
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: u32,
    /// What it has said twice.
    pub kind: CaseKind,
    /// What it has said, each time.
    pub said: [String; 2],
}

/// What may be said once in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseKind {
    /// A proposal.
    Proposal,
    /// A first vote.
    Prevote,
    /// A second vote, which decides.
    Precommit,
}

/// What a dossier proves, if its root is the chain's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was trusted.
    pub root: Root,
    /// On which chain.
    pub chain: ChainId,
    /// Who has contradicted itself, and where.
    pub cases: Vec<Case>,
}

impl Dossier {
    /// What it says, in words.
    pub fn cases(&self) -> Vec<Case> {
        self.evidence.iter().map(case).collect()
    }
}

/// Verifies a dossier and what its file says of it.
pub fn verify_file(file: &EvidenceFile, root: &Checkpoint) -> Result<Verdict, Fault> {
    let verdict = verify(&file.evidence, root)?;
    let same = (file.chain, &file.cases) == (verdict.chain, &verdict.cases);
    require(same, "summary", || "the file does not say what its evidence says".to_owned())?;
    Ok(verdict)
}

/// Verifies a dossier.
pub fn verify(dossier: &Dossier, root: &Checkpoint) -> Result<Verdict, Fault> {
    require(dossier.chain == root.chain, "chain", || dossier.chain.to_string())?;
    require(!dossier.evidence.is_empty(), "evidence", || "there is none".to_owned())?;
    let mut stages = Stages(vec![Reached::of(root)]);
    for change in &dossier.changes {
        stages.go_on(change).map_err(|fault| fault.at(change.header.height.0))?;
    }
    stages.check_blocks(&dossier.blocks)?;
    for evidence in &dossier.evidence {
        let height = evidence.height();
        stages.check(dossier, evidence).map_err(|fault| fault.at(height.0))?;
    }
    let time = dossier.blocks.last().map_or(Timestamp(0), |(header, _)| header.time);
    Ok(Verdict { root: Root::of(root, time), chain: root.chain, cases: dossier.cases() })
}

/// The root, and the place after each change of the validators.
struct Stages<'a>(Vec<Reached<'a>>);

impl<'a> Stages<'a> {
    fn go_on(&mut self, change: &'a SetChange) -> Result<(), Fault> {
        if let Some(last) = self.0.last() {
            let next = last.after(change)?;
            self.0.push(next);
        }
        Ok(())
    }

    /// The last place before a height.
    fn before(&self, height: Height) -> Result<&Reached<'a>, Fault> {
        let before = self.0.iter().rev().find(|reached| reached.height() < height);
        before.ok_or_else(|| Fault::new("root", "it is not before this height"))
    }

    /// Each block is final by the validators of its height; all are in order.
    fn check_blocks(&self, blocks: &[(Header, Certificate)]) -> Result<(), Fault> {
        let mut last = Height(0);
        for (header, certificate) in blocks {
            let height = header.height;
            let checked = require(height > last, "order of blocks", || height.to_string())
                .and_then(|()| self.before(height)?.verify_block(header, certificate));
            checked.map_err(|fault| fault.at(height.0))?;
            last = height;
        }
        let changed = self.0.last().map_or(Height(0), Reached::height);
        require(changed < last, "changes", || {
            format!("the validators change after block {changed}, which is not before block {last}")
        })
    }

    /// The validators of its height, which a block shows, convict whom the evidence accuses.
    fn check(&self, dossier: &Dossier, evidence: &Evidence) -> Result<(), Fault> {
        let height = evidence.height();
        let shown = dossier.blocks.iter().any(|(header, _)| header.height == height);
        require(shown, "blocks", || "that of this height is missing".to_owned())?;
        let [one, other] = evidence.statements();
        let (place, again) = (Place::of(&one.statement), Place::of(&other.statement));
        require(place.chain == dossier.chain, "chain", || place.chain.to_string())?;
        require(place == again, "place", || "both may be said".to_owned())?;
        let (first, second) = (digest(&one.statement), digest(&other.statement));
        require(first != second, "contradiction", || "the same is said twice".to_owned())?;
        require(first < second, "order of statements", || "it has another encoding".to_owned())?;
        let validators = self.before(height)?.validators();
        for (signed, digest) in [(one, first), (other, second)] {
            check_signature(validators, evidence.institution(), signed, &digest)?;
        }
        Ok(())
    }
}

fn check_signature(
    validators: &ValidatorSet,
    accused: InstitutionId,
    signed: &SignedStatement,
    digest: &Digest,
) -> Result<(), Fault> {
    let validator = validators.validators().iter().find(|each| each.institution == accused);
    let validator = validator
        .ok_or_else(|| Fault::new("validator", format!("{accused} was none at this height")))?;
    validator
        .key
        .verify_independently(Purpose::Vote, digest, &signed.signature)
        .map_err(|error| Fault::new("signature", format!("{accused}: {error}")))
}

/// Where only one statement may be made.
#[derive(PartialEq, Eq)]
struct Place {
    chain: ChainId,
    height: Height,
    round: u32,
    kind: CaseKind,
}

impl Place {
    fn of(statement: &Statement) -> Self {
        match *statement {
            Statement::Proposal(Proposal { chain, height, round, .. }) => {
                Self { chain, height, round, kind: CaseKind::Proposal }
            }
            Statement::Vote(Vote { chain, height, round, kind, .. }) => {
                let kind = match kind {
                    VoteKind::Prevote => CaseKind::Prevote,
                    VoteKind::Precommit => CaseKind::Precommit,
                };
                Self { chain, height, round, kind }
            }
        }
    }
}

/// What is signed.
fn digest(statement: &Statement) -> Digest {
    let mut content = Writer::new();
    let Place { chain, height, round, kind } = Place::of(statement);
    chain.encode(&mut content);
    height.encode(&mut content);
    content.u32(round);
    match statement {
        Statement::Proposal(proposal) => {
            proposal.block.encode(&mut content);
            content.u8(proposal.valid_round.is_some().into());
            if let Some(valid) = proposal.valid_round {
                content.u32(valid);
            }
            Digest::of("quittance/v1/proposal-content", &[&content.into_bytes()])
        }
        Statement::Vote(vote) => {
            content.u8((kind == CaseKind::Precommit).into());
            content.option(vote.block.as_ref());
            Digest::of("quittance/v1/vote-content", &[&content.into_bytes()])
        }
    }
}

fn case(evidence: &Evidence) -> Case {
    let [one, other] = evidence.statements();
    let Place { height, round, kind, .. } = Place::of(&one.statement);
    let said = [one, other].map(|signed| words(&signed.statement));
    Case { validator: evidence.institution(), height, round, kind, said }
}

fn words(statement: &Statement) -> String {
    match statement {
        Statement::Vote(Vote { block: Some(block), .. }) => format!("block {block}"),
        Statement::Vote(Vote { block: None, .. }) => "no block".to_owned(),
        Statement::Proposal(Proposal { block, valid_round: None, .. }) => format!("block {block}"),
        Statement::Proposal(Proposal { block, valid_round: Some(round), .. }) => {
            format!("block {block}, of round {round}")
        }
    }
}

impl std::fmt::Display for CaseKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Proposal => "proposals",
            Self::Prevote => "prevotes",
            Self::Precommit => "precommits",
        })
    }
}
