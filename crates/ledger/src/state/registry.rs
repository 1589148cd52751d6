//! What governance decides: who takes part with which keys, assets, committees, limits.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::seal::SealingPublicKey;
use quittance_crypto::signature::{Purpose, Suite, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::ids::{ChainId, Height, InstitutionId};

/// Versions of all keys that one institution may have registered.
pub const MAX_KEYS: usize = 256;

/// Of these, how many only a quorum registers: whoever has stolen a key cannot use them all up.
pub const RESERVED_KEYS: usize = 16;

/// Keys for one use each: those of every purpose, and the sealing key.
pub const MAX_USES: usize = Purpose::ALL.len() + 1;

/// Kinds of role.
const MAX_ROLES: usize = 4;

/// Parties of a committee.
pub const MAX_PARTIES: usize = 31;

/// The largest number of decimals of an asset: `10^19` minor units still fit 64 bits.
pub const MAX_DECIMALS: u8 = 19;

/// Which chain this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The digest of its genesis.
    pub id: ChainId,
    /// The algorithms of all its signatures and seals.
    pub suite: Suite,
}

/// What an institution may do. That it issues an asset is said by the [`Asset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Holds accounts: posts, is credited, joins rounds. Tag 0.
    Participant,
    /// Opens rounds. Tag 1.
    Coordinator,
    /// Computes on shares, as a member of committees. Tag 2.
    MpcParty,
    /// Runs a validator. Tag 3.
    Validator,
}

/// A public key as registered: what it is for and from which height on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredKey {
    key: PublicKey,
    fingerprint: Digest,
    active_from: Height,
}

/// A public key of an institution with its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// Verifies signatures of one purpose. Encoded as the purpose's tag and the key.
    Signing(Purpose, VerifyingKey),
    /// Seals openings and shares to the institution. Encoded as tag 255 and the key.
    Sealing(SealingPublicKey),
}

const SEALING_TAG: u8 = 255;

/// One institution of the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Institution {
    /// Its place in the register, from 1. Never given to another institution.
    pub number: u32,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// All versions of all its keys, in the order in which they were registered.
    ///
    /// Of the keys for one use, the last one in this order whose height has come is current. Others
    /// stay, so that what they signed can still be verified.
    pub keys: Vec<RegisteredKey>,
}

/// A currency or instrument. Its issuer never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Whose liability it is.
    pub issuer: InstitutionId,
    /// How many decimals of the major unit the minor unit has.
    pub decimals: u8,
}

/// Who computes together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committee {
    /// The members; the one at index `i` holds the shares at point `i + 1`.
    pub parties: Vec<InstitutionId>,
    /// How many of them may be corrupt: fewer than half.
    pub threshold: u8,
}

/// Bounds that the chain sets. Heights and lengths of time are counted in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Credits of one sender that may pend on one account.
    pub pending_per_sender: u32,
    /// A sender may take a credit back this many blocks after it arrived.
    pub refund_after: u64,
    /// How far ahead of the block that includes it a transaction may expire.
    pub max_expiry: u64,
    /// How many blocks may lie between the opening of a round and its deadline.
    pub max_round: u64,
    /// Transactions of a block.
    pub block_transactions: u32,
    /// Bytes of all transactions of a block.
    pub block_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_per_sender: 64,
            refund_after: 600,
            max_expiry: 1_000,
            max_round: 10_000,
            block_transactions: 10_000,
            block_bytes: 16 << 20,
        }
    }
}

impl PublicKey {
    /// The digest that the ledger calls the key by.
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Signing(_, key) => key.fingerprint(),
            Self::Sealing(key) => key.fingerprint(),
        }
    }

    /// The name of its use, as JSON has it: that of a purpose, or `sealing`.
    pub fn use_name(&self) -> &'static str {
        crate::genesis::use_name(self)
    }

    /// Whether both have the same use.
    pub fn same_use(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Signing(one, _), Self::Signing(two, _)) => one == two,
            (Self::Sealing(_), Self::Sealing(_)) => true,
            _ => false,
        }
    }
}

impl RegisteredKey {
    /// A key that is valid from a height on.
    pub fn new(key: PublicKey, active_from: Height) -> Self {
        Self { fingerprint: key.fingerprint(), key, active_from }
    }

    /// The key and its use.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The digest that the ledger calls it by.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The first height at which it counts.
    pub fn active_from(&self) -> Height {
        self.active_from
    }
}

impl Institution {
    /// The key for signatures of this purpose that is current at `height`.
    pub fn signing_key(&self, purpose: Purpose, height: Height) -> Option<&RegisteredKey> {
        let of_purpose =
            |key: &PublicKey| matches!(key, PublicKey::Signing(found, _) if *found == purpose);
        self.current(of_purpose, height)
    }

    /// The key to seal to that is current at `height`.
    pub fn sealing_key(&self, height: Height) -> Option<&SealingPublicKey> {
        let sealing = |key: &PublicKey| matches!(key, PublicKey::Sealing(_));
        match self.current(sealing, height)?.key() {
            PublicKey::Sealing(key) => Some(key),
            PublicKey::Signing(..) => None,
        }
    }

    /// The key with this fingerprint, current or not.
    pub fn key(&self, fingerprint: &Digest) -> Option<&RegisteredKey> {
        self.keys.iter().find(|key| key.fingerprint == *fingerprint)
    }

    fn current(
        &self,
        wanted: impl Fn(&PublicKey) -> bool,
        height: Height,
    ) -> Option<&RegisteredKey> {
        let active = |key: &&RegisteredKey| key.active_from <= height && wanted(&key.key);
        self.keys.iter().rev().find(active)
    }
}

impl Encode for Chain {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.suite.encode(out);
    }
}

impl Decode for Chain {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: ChainId::decode(input)?, suite: Suite::decode(input)? })
    }
}

impl Encode for Role {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
}

impl Decode for Role {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(4, "role")? {
            0 => Self::Participant,
            1 => Self::Coordinator,
            2 => Self::MpcParty,
            _ => Self::Validator,
        })
    }
}

/// Roles in strict order.
pub(crate) fn decode_roles(input: &mut Reader<'_>) -> Result<BTreeSet<Role>, DecodeError> {
    let roles: Vec<Role> = input.list(MAX_ROLES, "roles")?;
    match roles.is_sorted_by(|one, two| one < two) {
        true => Ok(roles.into_iter().collect()),
        false => Err(input.invalid("roles", "not in strict order")),
    }
}

impl Encode for PublicKey {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Signing(purpose, key) => {
                purpose.encode(out);
                key.encode(out);
            }
            Self::Sealing(key) => {
                out.u8(SEALING_TAG);
                key.encode(out);
            }
        }
    }
}

impl Decode for PublicKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8("use of a key")? {
            SEALING_TAG => SealingPublicKey::decode(input).map(Self::Sealing),
            tag => {
                let purpose = Purpose::ALL.get(usize::from(tag)).copied();
                let unknown = || input.error_at(offset, "use of a key", Problem::UnknownTag(tag));
                let purpose = purpose.ok_or_else(unknown)?;
                Ok(Self::Signing(purpose, VerifyingKey::decode(input)?))
            }
        }
    }
}

impl Encode for RegisteredKey {
    fn encode(&self, out: &mut Writer) {
        self.key.encode(out);
        self.active_from.encode(out);
    }
}

impl Decode for RegisteredKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(input)?;
        Ok(Self::new(key, Height::decode(input)?))
    }
}

impl Encode for Institution {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.number);
        let roles: Vec<_> = self.roles.iter().copied().collect();
        out.list(&roles);
        out.list(&self.keys);
    }
}

impl Decode for Institution {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = input.u32("number of an institution")?;
        if number == 0 {
            return Err(input.invalid("number of an institution", "numbers start at 1"));
        }
        let (roles, keys) = (decode_roles(input)?, input.list(MAX_KEYS, "keys")?);
        let different: BTreeSet<_> = keys.iter().map(RegisteredKey::fingerprint).collect();
        match different.len() == keys.len() {
            true => Ok(Self { number, roles, keys }),
            false => Err(input.invalid("keys", "a key twice")),
        }
    }
}

impl Encode for Asset {
    fn encode(&self, out: &mut Writer) {
        self.issuer.encode(out);
        out.u8(self.decimals);
    }
}

impl Decode for Asset {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let asset = Self { issuer: InstitutionId::decode(input)?, decimals: input.u8("decimals")? };
        match asset.decimals <= MAX_DECIMALS {
            true => Ok(asset),
            false => Err(input.invalid("decimals", "more than 64-bit amounts can hold")),
        }
    }
}

impl Encode for Committee {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.parties);
        out.u8(self.threshold);
    }
}

impl Decode for Committee {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parties: Vec<InstitutionId> = input.list(MAX_PARTIES, "parties")?;
        let threshold = input.u8("threshold")?;
        if parties.iter().collect::<BTreeSet<_>>().len() != parties.len() {
            return Err(input.invalid("parties", "a party twice"));
        }
        if 2 * usize::from(threshold) >= parties.len() {
            return Err(input.invalid("threshold", "not below half of the parties"));
        }
        Ok(Self { parties, threshold })
    }
}

impl Encode for Limits {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.pending_per_sender);
        out.u64(self.refund_after);
        out.u64(self.max_expiry);
        out.u64(self.max_round);
        out.u32(self.block_transactions);
        out.u32(self.block_bytes);
    }
}

impl Decode for Limits {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            pending_per_sender: input.u32("pending credits per sender")?,
            refund_after: input.u64("blocks before a refund")?,
            max_expiry: input.u64("blocks before expiry")?,
            max_round: input.u64("blocks of a round")?,
            block_transactions: input.u32("transactions of a block")?,
            block_bytes: input.u32("bytes of a block")?,
        })
    }
}
