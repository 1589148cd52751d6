//! How types of the crypto crate appear in JSON.

/// Values by their canonical bytes in hexadecimal.
pub(crate) mod canonical_hex {
    use quittance_crypto::encoding::{Decode, Encode};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Encode, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(value.to_bytes()))
    }

    pub(crate) fn deserialize<'de, T: Decode, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(text).map_err(D::Error::custom)?;
        T::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

/// Values by the text that they print and parse.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A set of digests as texts; in Rust it is a list in strict order.
pub(crate) mod digests {
    use std::collections::BTreeSet;

    use quittance_crypto::digest::Digest;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        digests: &[Digest],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(digests.iter().map(Digest::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Digest>, D::Error> {
        let mut set = BTreeSet::new();
        for text in Vec::<String>::deserialize(deserializer)? {
            let digest: Digest = text
                .parse()
                .map_err(|error| D::Error::custom(format!("{text:?} is not a digest: {error}")))?;
            if !set.insert(digest) {
                return Err(D::Error::custom(format!("{text} is there twice")));
            }
        }
        Ok(set.into_iter().collect())
    }
}
