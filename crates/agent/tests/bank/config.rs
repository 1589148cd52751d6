//! What an agent refuses to start with, and how it says so.

use quittance_agent::Config;

use super::*;

fn change(site: &Site, changes: &[(&str, &str)]) {
    let file = site.file(ONE, "config.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} in {text}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(file, text).unwrap();
}

fn refused(site: &Site) -> String {
    Config::load(&site.file(ONE, "config.toml")).err().unwrap().to_string()
}

#[test]
fn optional_keys_may_be_left_out() {
    let site = Site::new();
    change(&site, &[("absorb_after_ms = 20\n", ""), ("expiry_blocks = 100\n", "")]);
    assert!(Config::load(&site.file(ONE, "config.toml")).is_ok());
    change(&site, &[("institution =", "unheard_of = 1\ninstitution =")]);
    assert!(refused(&site).contains("unknown field `unheard_of`"));
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let site = Site::new();
    change(
        &site,
        &[
            ("../genesis.json", "missing.json"),
            ("../directory.toml", "config.toml"),
            ("absorb_after_ms = 20", "absorb_after_ms = 3600001"),
            ("expiry_blocks = 100", "expiry_blocks = 1"),
            ("127.0.0.1:0", "somewhere"),
        ],
    );
    let errors = refused(&site);
    for key in ["genesis:", "directory:", "absorb_after_ms:", "expiry_blocks:", "listen.address:"] {
        assert!(errors.lines().any(|line| line.contains(key)), "{key} in {errors}");
    }
}

#[test]
fn keys_and_certificates_must_be_the_institutions() {
    let site = Site::new();
    std::fs::copy(site.file(CENTRAL, "keys.age"), site.file(ONE, "keys.age")).unwrap();
    assert!(refused(&site).contains("they are CBNKZZ01's, not AAAABE01's"));
    std::fs::copy(site.file(CENTRAL, "tls.pem"), site.file(ONE, "tls.pem")).unwrap();
    std::fs::copy(site.file(CENTRAL, "tls.key"), site.file(ONE, "tls.key")).unwrap();
    assert!(refused(&site).contains("urn:quittance:CBNKZZ01:agent"));
}

#[tokio::test]
async fn a_store_of_another_chain_is_refused() {
    let site = Site::new();
    let one = site.agent(ONE).await;
    one.stop().await;
    let file = site.file(ONE, "../genesis.json");
    let genesis = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, genesis.replacen("\"Test\"", "\"Other\"", 1)).unwrap();
    let config = Config::load(&site.file(ONE, "config.toml")).unwrap();
    let error = quittance_agent::Agent::start(config).await.err().unwrap();
    assert!(matches!(error, quittance_agent::AgentError::Storage(_)), "{error}");
}
