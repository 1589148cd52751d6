//! The JSON in which an operator says what is to be decided.
//!
//! ```json
//! {
//!   "effective": 1200,
//!   "changes": [
//!     { "suspend": { "institution": "BANKZZ02" } },
//!     { "retire-asset": { "asset": "USD" } }
//!   ]
//! }
//! ```

use std::path::{Path, PathBuf};

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::build::Terms;
use quittance_ledger::execute::admits;
use quittance_ledger::ids::{Height, InstitutionId};
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Approval, Body, Change, Malformed};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chain::Register;
use super::{GovernanceError, describe, refusals};

/// A decision as it is described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// From which height on the changes hold.
    pub effective: Height,
    /// What changes, one after the other.
    pub changes: Vec<Change>,
    /// Who is to sign: validators with more than two thirds of the voting power; all if it is
    /// missing. All who are named must sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Vec<InstitutionId>>,
    /// The number of the decision; the next one if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The last height at which it may be included; the one before `effective` if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Height>,
}

/// Why a description is refused.
#[derive(Debug, Error)]
pub enum FormError {
    /// No file.
    #[error("{path} cannot be read: {reason}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// Not of the form.
    #[error("{path}: {place}{reason}", path = .path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// The name of the last field before the error, or nothing.
        place: String,
        /// What is wrong, at which line and column.
        reason: serde_json::Error,
    },
    /// A field that says what cannot be.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn wrong(field: impl Into<String>, problem: impl std::fmt::Display) -> FormError {
    FormError::Field { field: field.into(), problem: problem.to_string() }
}

impl Form {
    /// Reads a description.
    pub fn read(path: &Path) -> Result<Self, FormError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| FormError::Read { path: path.to_owned(), reason })?;
        serde_json::from_str(&text).map_err(|reason| FormError::Json {
            path: path.to_owned(),
            place: field_before(&text, &reason).map(|name| name + ": ").unwrap_or_default(),
            reason,
        })
    }

    /// The body that carries out what is described, from this register on. It is one that the next
    /// block could include, but for its expiry and signatures.
    pub fn body(self, register: &Register) -> Result<Body, GovernanceError> {
        let Self { effective, changes, approvals, number, expiry } = self;
        let Register { ref state, height } = *register;
        if effective <= height.next() {
            let problem = format!("must be above {}: the chain is at {height}", height.next());
            return Err(wrong("effective", problem).into());
        }
        let expiry = expiry.unwrap_or(Height(effective.0.saturating_sub(1)));
        if !(height.next()..effective).contains(&expiry) {
            let problem =
                format!("must be above {height}, where the chain is, and below effective");
            return Err(wrong("expiry", problem).into());
        }
        let approvals = approvals_of(state, approvals, height.next())?;
        let number = number.unwrap_or(state.last_decision().saturating_add(1));
        let chain = state.chain();
        let terms = Terms { suite: chain.suite, chain: chain.id, expiry };
        let names: Vec<_> = changes.iter().map(describe::kind).collect();
        let body = terms.governance(number, effective, changes, approvals);
        let body = body.map_err(|error| match error {
            Malformed::Change { index, source } => {
                let name = names.get(index as usize).copied().unwrap_or_default();
                wrong(format!("changes[{index}] ({name})"), source)
            }
            Malformed::NoChanges => wrong("changes", error),
            other => wrong("approvals", other),
        })?;
        // JSON admits what the canonical form does not.
        Body::from_bytes(&body.to_bytes()).map_err(|error| wrong("changes", error))?;
        refusals(&body.action, admits(state, &body.action, height.next()))?;
        Ok(body)
    }
}

/// Those who are to sign, with the keys that they have in the next block.
fn approvals_of(
    register: &State,
    named: Option<Vec<InstitutionId>>,
    next: Height,
) -> Result<Vec<Approval>, FormError> {
    let validators = register.validators();
    let all = || validators.validators().iter().map(|validator| validator.institution).collect();
    let named: Vec<InstitutionId> = named.unwrap_or_else(all);
    let (mut approvals, mut power) = (Vec::new(), 0u64);
    for (index, institution) in named.iter().enumerate() {
        let field = || format!("approvals[{index}]");
        let validator = validators.get(*institution);
        let validator =
            validator.ok_or_else(|| wrong(field(), format!("{institution} is not a validator")))?;
        if named.iter().take(index).any(|earlier| earlier == institution) {
            return Err(wrong(field(), format!("{institution} is named twice")));
        }
        let no_key =
            || wrong(field(), format!("{institution} has no transaction key to sign with"));
        approvals.push(Approval::of(register, *institution, next).ok_or_else(no_key)?);
        power = power.saturating_add(validator.power);
    }
    match validators.is_quorum(power) {
        true => Ok(approvals),
        false => {
            let total = validators.total_power();
            let problem =
                format!("they have voting power {power} of {total}, not more than two thirds");
            Err(wrong("approvals", problem))
        }
    }
}

/// The name of the last field that begins before an error: where a person looks for it.
fn field_before(text: &str, error: &serde_json::Error) -> Option<String> {
    if error.to_string().starts_with("unknown ") || error.to_string().starts_with("missing ") {
        // It names the field itself.
        return None;
    }
    let lines = text.split_inclusive('\n').take(error.line());
    let mut before: String = lines.collect();
    let last = text.split_inclusive('\n').nth(error.line().checked_sub(1)?)?;
    let kept = last.char_indices().nth(error.column()).map_or(last.len(), |(at, _)| at);
    before.truncate(before.len() - (last.len() - kept));
    let colon = before.rfind("\":").or_else(|| before.rfind("\" :"))?;
    let name = before.get(..colon)?;
    let open = name.rfind('"')?;
    name.get(open + 1..).map(str::to_owned)
}
