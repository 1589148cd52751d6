//! `quittance keys public`: what the others need to know of an institution's keys.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::ids::InstitutionId;
use serde::Serialize;

use super::durable::Staged;
use super::{KeysError, open, passphrase, purpose_name};

/// The public record of an institution: nothing of it is secret. In JSON, with these fields.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Whose keys they are: the id under which the register has them.
    pub institution: InstitutionId,
    /// The algorithms of all of them, such as `ml-dsa-65+x25519-ml-kem-768`. A chain has one suite.
    #[serde(serialize_with = "as_text")]
    pub suite: Suite,
    /// Each public key by its use, as canonical bytes in hexadecimal: in the form of `keys` of an
    /// institution in the genesis.
    pub keys: BTreeMap<&'static str, String>,
    /// The fingerprint of each of these keys, in hexadecimal: as `quittance keys inspect` shows
    /// it, and as the ledger names the key.
    #[serde(serialize_with = "each_as_text")]
    pub fingerprints: BTreeMap<&'static str, Digest>,
}

fn as_text<S: serde::Serializer>(suite: &Suite, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(suite)
}

fn each_as_text<S: serde::Serializer>(
    fingerprints: &BTreeMap<&'static str, Digest>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fingerprints.iter().map(|(used_for, it)| (used_for, it.to_string())))
}

impl Record {
    /// That of the keys in `ring`. None if the name in it is not an institution's.
    fn of(ring: &KeyRing) -> Option<Self> {
        let (mut keys, mut fingerprints) = (BTreeMap::new(), BTreeMap::new());
        for purpose in Purpose::ALL {
            let key = ring.signing(purpose).verifying_key();
            keys.insert(purpose_name(purpose), hex::encode(key.to_bytes()));
            fingerprints.insert(purpose_name(purpose), key.fingerprint());
        }
        let sealing = ring.sealing().public_key();
        keys.insert("sealing", hex::encode(sealing.to_bytes()));
        fingerprints.insert("sealing", sealing.fingerprint());
        let institution = ring.name().parse().ok()?;
        Some(Self { institution, suite: ring.suite(), keys, fingerprints })
    }
}

/// The public record of the keys in `file`, as JSON. The passphrase is in the file `secret`.
///
/// With `out` it becomes a new file of that name, which everybody may read, and what is returned
/// only says so.
pub fn public(file: &Path, secret: &Path, out: Option<&Path>) -> Result<String, KeysError> {
    let ring = open(file, &passphrase::read(secret)?)?;
    let record = Record::of(&ring)
        .ok_or_else(|| KeysError::Nobody { path: file.to_owned(), name: ring.name().to_owned() })?;
    let json = serde_json::to_string_pretty(&record).map_err(KeysError::Json)? + "\n";
    let Some(out) = out else { return Ok(json) };
    let failed = |reason: std::io::Error| match reason.kind() {
        ErrorKind::AlreadyExists => KeysError::Exists(out.to_owned()),
        _ => KeysError::Write { path: out.to_owned(), reason },
    };
    Staged::public(out, json.as_bytes()).and_then(|staged| staged.create(out)).map_err(failed)?;
    Ok(format!("the public keys of {} are in {}\n", record.institution, out.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use quittance_ledger::certificate::{Validator, ValidatorSet};
    use quittance_ledger::genesis::{Genesis, GenesisInstitution};
    use quittance_ledger::ids::Timestamp;
    use quittance_ledger::state::Limits;
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::{Wanted, create, inspect};

    /// A key file with its passphrase in a folder.
    fn made(home: &Path, suite: Suite) -> (std::path::PathBuf, std::path::PathBuf) {
        let (file, secret) = (home.join("keys.age"), home.join("passphrase"));
        let wanted = Wanted { institution: "AAAAZZ01".parse().unwrap(), suite, log_n: 1 };
        create(&file, &secret, true, wanted).unwrap();
        (file, secret)
    }

    #[test]
    fn a_record_has_every_public_key_and_no_secret() {
        for suite in [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024] {
            let home = tempfile::tempdir().unwrap();
            let (file, secret) = made(home.path(), suite);
            let text = public(&file, &secret, None).unwrap();
            let record: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(record["institution"], "AAAAZZ01");
            assert_eq!(record["suite"], suite.to_string());
            assert_eq!(record.as_object().unwrap().len(), 4);
            let shown = inspect(&file, None).unwrap();
            let prints = record["fingerprints"].as_object().unwrap();
            assert_eq!(prints.len(), Purpose::ALL.len() + 1);
            for (used_for, print) in prints {
                let print = print.as_str().unwrap();
                let same = |line: &str| line.split_whitespace().eq([used_for.as_str(), print]);
                assert!(shown.lines().any(same), "{used_for}: {shown}");
            }
            assert!(prints.keys().eq(record["keys"].as_object().unwrap().keys()));

            let ring = open(&file, &passphrase::read(&secret).unwrap()).unwrap();
            let mut secrets = vec![ring.note().as_bytes().to_vec()];
            secrets.extend(Purpose::ALL.map(|purpose| ring.signing(purpose).seed().to_vec()));
            secrets.push(ring.sealing().to_secret_bytes().to_vec());
            for secret in secrets {
                assert!(!text.contains(&hex::encode(secret)));
            }
        }
    }

    /// The keys of a record are pasted into a genesis as they are.
    #[test]
    fn a_genesis_is_made_of_records() {
        let suite = Suite::MlDsa65MlKem768;
        let home = tempfile::tempdir().unwrap();
        let (file, secret) = made(home.path(), suite);
        let record: Value = serde_json::from_str(&public(&file, &secret, None).unwrap()).unwrap();
        let roles = json!({ "roles": ["participant", "validator"], "keys": record["keys"] });
        let institution: GenesisInstitution = serde_json::from_value(roles).unwrap();
        let id: InstitutionId = record["institution"].as_str().unwrap().parse().unwrap();
        let ring = open(&file, &passphrase::read(&secret).unwrap()).unwrap();
        let key = ring.signing(Purpose::Vote).verifying_key();
        let genesis = Genesis {
            name: "of records".to_owned(),
            time: Timestamp(1),
            suite,
            institutions: [(id, institution)].into(),
            assets: BTreeMap::new(),
            validators: ValidatorSet::new(vec![Validator { institution: id, key, power: 1 }])
                .unwrap(),
            committees: BTreeMap::new(),
            limits: Limits::default(),
        };
        assert_eq!(genesis.check(), Ok(()));
    }

    #[test]
    fn a_new_file_is_made_that_everybody_may_read() {
        let home = tempfile::tempdir().unwrap();
        let (file, secret) = made(home.path(), Suite::MlDsa65MlKem768);
        let out = home.path().join("AAAAZZ01.json");
        let said = public(&file, &secret, Some(&out)).unwrap();
        assert_eq!(said, format!("the public keys of AAAAZZ01 are in {}\n", out.display()));
        let text = fs::read_to_string(&out).unwrap();
        assert_eq!(text, public(&file, &secret, None).unwrap());
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o644);
        let error = public(&file, &secret, Some(&out)).unwrap_err();
        assert!(matches!(error, KeysError::Exists(_)), "{error}");
        let nowhere = home.path().join("none/AAAAZZ01.json");
        let error = public(&file, &secret, Some(&nowhere)).unwrap_err().to_string();
        assert!(error.contains("none/AAAAZZ01.json cannot be written: "), "{error}");
    }

    #[test]
    fn keys_of_no_institution_and_wrong_passphrases_are_named_with_the_file() {
        let home = tempfile::tempdir().unwrap();
        let (file, secret) = made(home.path(), Suite::MlDsa65MlKem768);
        let words = passphrase::read(&secret).unwrap();
        let ring = KeyRing::generate("me", Suite::MlDsa65MlKem768).unwrap();
        fs::write(&file, ring.to_encrypted(&words, 1).unwrap()).unwrap();
        let error = public(&file, &secret, None).unwrap_err().to_string();
        assert!(error.ends_with("keys.age: \"me\" is not an institution id"), "{error}");
        fs::write(&secret, "other").unwrap();
        let error = public(&file, &secret, None).unwrap_err().to_string();
        assert!(error.ends_with("keys.age: the passphrase is wrong"), "{error}");
    }
}
