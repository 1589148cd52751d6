//! The canonical encoding of a genesis, and its keys in JSON.

use std::collections::BTreeMap;

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::signature::{Purpose, Suite};

use super::{
    Genesis, GenesisInstitution, MAX_ASSETS, MAX_CHAIN_NAME, MAX_COMMITTEES, MAX_INSTITUTIONS,
};
use crate::certificate::ValidatorSet;
use crate::ids::Timestamp;
use crate::state::{Limits, MAX_USES, PublicKey, Role, decode_roles};
use crate::transaction::expect_version;

/// The version of the genesis format; its first byte.
pub const GENESIS_VERSION: u8 = 1;

/// The place of a key's use in the order of uses: its tag in [`PublicKey`]'s encoding.
pub(super) fn use_tag(key: &PublicKey) -> u8 {
    match key {
        PublicKey::Signing(purpose, _) => *purpose as u8,
        PublicKey::Sealing(_) => u8::MAX,
    }
}

/// The name of a key's use in JSON.
pub(crate) fn name(key: &PublicKey) -> &'static str {
    match key {
        PublicKey::Signing(purpose, _) => purpose_name(*purpose),
        PublicKey::Sealing(_) => "sealing",
    }
}

fn purpose_name(purpose: Purpose) -> &'static str {
    let label = purpose.label();
    label.strip_prefix("quittance/v1/").unwrap_or(label)
}

/// The suite that a key is of.
pub(super) fn suite(key: &PublicKey) -> Suite {
    match key {
        PublicKey::Signing(_, key) => key.suite(),
        PublicKey::Sealing(key) => key.suite(),
    }
}

/// A map as the list of its pairs in the order of its keys.
fn encode_map<K: Encode, V: Encode>(map: &BTreeMap<K, V>, out: &mut Writer) {
    let pairs: Vec<Pair<&K, &V>> = map.iter().map(|(key, value)| Pair(key, value)).collect();
    out.list(&pairs);
}

fn decode_map<K: Decode + Ord, V: Decode>(
    input: &mut Reader<'_>,
    limit: usize,
    what: &'static str,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let offset = input.offset();
    let pairs: Vec<Pair<K, V>> = input.list(limit, what)?;
    match pairs.is_sorted_by(|one, two| one.0 < two.0) {
        true => Ok(pairs.into_iter().map(|Pair(key, value)| (key, value)).collect()),
        false => Err(input.error_at(offset, what, Problem::Invalid("not in strict order"))),
    }
}

struct Pair<K, V>(K, V);

impl<K: Encode, V: Encode> Encode for Pair<&K, &V> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<K: Decode, V: Decode> Decode for Pair<K, V> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(K::decode(input)?, V::decode(input)?))
    }
}

impl Encode for Genesis {
    fn encode(&self, out: &mut Writer) {
        out.u8(GENESIS_VERSION);
        out.bytes(self.name.as_bytes());
        self.time.encode(out);
        self.suite.encode(out);
        encode_map(&self.institutions, out);
        encode_map(&self.assets, out);
        self.validators.encode(out);
        encode_map(&self.committees, out);
        self.limits.encode(out);
    }
}

impl Decode for Genesis {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, GENESIS_VERSION, "genesis version")?;
        let name = input.bytes(MAX_CHAIN_NAME, "name of the chain")?;
        let name = std::str::from_utf8(name)
            .map_err(|_| input.invalid("name of the chain", "not UTF-8"))?
            .to_owned();
        Ok(Self {
            name,
            time: Timestamp::decode(input)?,
            suite: Suite::decode(input)?,
            institutions: decode_map(input, MAX_INSTITUTIONS, "institutions")?,
            assets: decode_map(input, MAX_ASSETS, "assets")?,
            validators: ValidatorSet::decode(input)?,
            committees: decode_map(input, MAX_COMMITTEES, "committees")?,
            limits: Limits::decode(input)?,
        })
    }
}

impl Encode for GenesisInstitution {
    fn encode(&self, out: &mut Writer) {
        let roles: Vec<Role> = self.roles.iter().copied().collect();
        out.list(&roles);
        out.list(&self.keys);
    }
}

impl Decode for GenesisInstitution {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { roles: decode_roles(input)?, keys: input.list(MAX_USES, "keys")? })
    }
}

/// In JSON an institution's keys are a map from their use to their canonical bytes in hexadecimal.
pub(crate) mod keys_by_use {
    use std::collections::BTreeMap;

    use quittance_crypto::encoding::{Decode, Encode};
    use quittance_crypto::seal::SealingPublicKey;
    use quittance_crypto::signature::{Purpose, VerifyingKey};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{name, purpose_name, use_tag};
    use crate::state::PublicKey;

    pub(crate) fn serialize<S: Serializer>(
        keys: &[PublicKey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = |key: &PublicKey| match key {
            PublicKey::Signing(_, key) => hex::encode(key.to_bytes()),
            PublicKey::Sealing(key) => hex::encode(key.to_bytes()),
        };
        serializer.collect_map(keys.iter().map(|key| (name(key), text(key))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PublicKey>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let parsed = texts.iter().map(|(used_for, text)| {
            parse(used_for, text).map_err(|why| D::Error::custom(format!("{used_for} key: {why}")))
        });
        let mut keys = parsed.collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(use_tag);
        Ok(keys)
    }

    fn parse(used_for: &str, text: &str) -> Result<PublicKey, String> {
        let bytes = hex::decode(text).map_err(|error| error.to_string())?;
        if used_for == "sealing" {
            let key = SealingPublicKey::from_bytes(&bytes).map_err(|error| error.to_string())?;
            return Ok(PublicKey::Sealing(key));
        }
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose_name(*purpose) == used_for);
        let purpose = purpose.ok_or("no such use")?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|error| error.to_string())?;
        Ok(PublicKey::Signing(purpose, key))
    }
}

/// One key, in the same form: a map with one use.
pub(crate) mod key_by_use {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::keys_by_use;
    use crate::state::PublicKey;

    pub(crate) fn serialize<S: Serializer>(
        key: &PublicKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        keys_by_use::serialize(std::slice::from_ref(key), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PublicKey, D::Error> {
        let keys = keys_by_use::deserialize(deserializer)?;
        let [key] = <[PublicKey; 1]>::try_from(keys).map_err(|keys| {
            D::Error::custom(format!("{} keys, where one is needed", keys.len()))
        })?;
        Ok(key)
    }
}
