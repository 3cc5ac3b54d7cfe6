//! `nbf`, `exp` and `revoked` of receipt keys, and ES256.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight::keys::keyring;
use human_oversight::values::Timestamp;
use human_oversight_client::receipt::{self, ReceiptError};
use human_oversight_client::types::Status;
use human_oversight_client::{Error, permit};
use serde_json::{Value, json};

use crate::backing_store;
use crate::claim::claim;
use crate::grants;
use crate::harness::{ALICE, Log, TestGate};
use crate::process::{Process, run};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const NONCE: &str = "0123456789abcdef";

/// `kid:base64` with a life behind the kid.
fn with_life(key: &str, life: &str) -> String {
    let (kid, bytes) = key.split_once(':').unwrap();
    format!("{kid};{life}:{bytes}")
}

fn kid(key: &str) -> &str {
    key.split_once(':').unwrap().0
}

/// The form of a time in a setting.
fn written(time: Timestamp) -> String {
    format!("{}Z", &time.to_string()[..19])
}

fn header(jws: &str) -> Value {
    let header = BASE64URL.decode(jws.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

/// The problem of a call that failed.
fn problem<T>(result: Result<T, Error>) -> (u16, String) {
    match result {
        Err(Error::Problem(problem)) => {
            let kind = problem.kind.rsplit(':').next().unwrap();
            (problem.status, kind.to_owned())
        }
        Err(Error::Unavailable { status, .. }) => (status, "unavailable".to_owned()),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it succeeded"),
    }
}

#[tokio::test]
async fn a_key_of_p256_signs_es256_and_one_set_holds_both() {
    let (ed25519, es256) = (
        keyring::generate_receipt_key(),
        keyring::generate_es256_key(),
    );
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &ed25519)]).await;
    let before = gate.ask().await;
    gate.approve(&before, ALICE).await;

    let both = format!("{es256},{ed25519}");
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &both)]).await;
    let published = gate.client.keys().await.unwrap();
    let types: Vec<_> = published
        .keys
        .iter()
        .map(|key| (&*key.kty, &*key.alg))
        .collect();
    assert_eq!(types, [("EC", "ES256"), ("OKP", "EdDSA")]);

    let after = gate.ask().await;
    gate.approve(&after, ALICE).await;
    for (approval, key, alg) in [(&before, &ed25519, "EdDSA"), (&after, &es256, "ES256")] {
        let claimed = gate
            .client
            .claim(&approval.id, &claim(NONCE))
            .await
            .unwrap();
        let (signed, granted) = (claimed.receipt.unwrap(), claimed.permit.unwrap());
        let expected = json!({"alg": alg, "typ": receipt::TYPE, "kid": kid(key)});
        assert_eq!(header(&signed), expected);
        receipt::verify(&signed, &published).unwrap();
        assert_eq!(header(&granted)["alg"], "ES256", "the permit is of today");
        permit::verify(&granted, &published).unwrap();
    }
}

#[tokio::test]
async fn the_public_half_of_a_retired_key_of_p256_is_enough() {
    let (old, new) = (
        keyring::generate_es256_key(),
        keyring::generate_receipt_key(),
    );
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let retired = gate.client.keys().await.unwrap().keys.remove(0);

    // The format of `openssl pkey -pubout -outform DER`.
    let mut der = BASE64
        .decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")
        .unwrap();
    der.extend(BASE64URL.decode(&retired.x).unwrap());
    der.extend(BASE64URL.decode(retired.y.as_ref().unwrap()).unwrap());
    let both = format!("{new},{}:{}", retired.kid, BASE64.encode(&der));
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &both)]).await;
    assert_eq!(gate.client.keys().await.unwrap().keys[1], retired);
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);

    // A point off the curve is no key.
    *der.last_mut().unwrap() ^= 1;
    let off = format!("{new},{}:{}", retired.kid, BASE64.encode(&der));
    let (said, code) = run(&[("HO_RECEIPT_KEYS", &off)], &["public-key"]).await;
    assert!(
        code == 2 && said.contains("the key of entry 2 is neither"),
        "{said}"
    );
}

#[tokio::test]
async fn what_a_revoked_key_signed_is_no_approval() {
    let (old, new) = (
        keyring::generate_receipt_key(),
        keyring::generate_es256_key(),
    );
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let signed = gate.status(&approval.id).await.receipt.unwrap();

    let log = Log::default();
    let collecting = log.collect();
    let revoked = format!("{new},{}", with_life(&old, "revoked"));
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &revoked)]).await;
    let claimed = gate.client.claim(&approval.id, &claim(NONCE)).await;
    assert_eq!(problem(claimed), (500, "integrity".to_owned()));
    let status = gate.client.status(&approval.id, Duration::ZERO).await;
    assert_eq!(problem(status), (500, "integrity".to_owned()));
    let cause = "its receipt is signed with a receipt key that is revoked";
    assert!(log.count(cause) > 0, "{:#?}", log.lines());
    drop(collecting);

    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let settings = [&settings[..], &[("HO_RECEIPT_KEYS", revoked.as_str())]].concat();
    let (said, code) = run(&settings, &["verify"]).await;
    assert!(
        code == 1 && said.contains(&approval.correlation_id) && said.contains(cause),
        "{code}: {said}"
    );

    // It is published, so that a service that keeps old receipts knows why they prove nothing.
    let published = gate.client.keys().await.unwrap();
    assert!(published.keys[1].life.revoked && !published.keys[0].life.revoked);
    assert_eq!(
        receipt::verify(&signed, &published),
        Err(ReceiptError::RevokedKey)
    );
    let fresh = gate.ask().await;
    gate.approve(&fresh, ALICE).await;
    gate.client.claim(&fresh.id, &claim(NONCE)).await.unwrap();
}

#[tokio::test]
async fn a_grant_of_a_revoked_key_is_not_listed_and_verify_names_the_key() {
    let [old, new] = [(); 2].map(|()| keyring::generate_receipt_key());
    let policy = ("HO_POLICY", grants::POLICY);
    let gate = TestGate::with(&[policy, ("HO_RECEIPT_KEYS", &old)]).await;
    grants::given(&gate, "10").await;
    let revoked = format!("{new},{}", with_life(&old, "revoked"));
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let settings = [&settings[..], &[("HO_RECEIPT_KEYS", revoked.as_str())]].concat();
    let (said, code) = run(&settings, &["grants"]).await;
    let words = "cannot be trusted and approve nothing";
    assert!(
        code == 0 && !said.contains("  active  ") && said.contains(words),
        "{said}"
    );
    let (said, _) = run(&settings, &["verify"]).await;
    let key = "a standing grant is signed with a receipt key that is revoked";
    assert!(said.contains(key), "{said}");
    let gate = TestGate::at(gate.dir, &[policy, ("HO_RECEIPT_KEYS", &revoked)]).await;
    assert_eq!(grants::list(&gate).await.len(), 0);
}

#[tokio::test]
async fn a_receipt_counts_if_it_is_dated_within_the_time_of_its_key() {
    let (old, new) = (
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
    );
    let mut gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let signed = gate.status(&approval.id).await.receipt.unwrap();
    let (before, after) = (written(gate.now() - HOUR), written(gate.now() + HOUR));
    for (life, counts) in [
        (format!("exp={after}"), true),
        (format!("exp={before}"), false),
        (format!("nbf={before}"), true),
        (format!("nbf={after}"), false),
    ] {
        let keys = format!("{new},{}", with_life(&old, &life));
        gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &keys)]).await;
        let status = gate.client.status(&approval.id, Duration::ZERO).await;
        assert_eq!(status.is_ok(), counts, "{life}");
        let published = gate.client.keys().await.unwrap();
        let verified = receipt::verify(&signed, &published).map(drop);
        let expected = if counts {
            Ok(())
        } else {
            Err(ReceiptError::KeyNotInForce)
        };
        assert_eq!(verified, expected, "{life}");
    }
}

#[tokio::test]
async fn the_first_key_that_is_in_force_signs() {
    let (next, present) = (
        keyring::generate_es256_key(),
        keyring::generate_receipt_key(),
    );
    let begins = written(Timestamp::from_unix_millis(0).unwrap() + unix_now() + HOUR);
    let keys = format!("{},{present}", with_life(&next, &format!("nbf={begins}")));
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &keys)]).await;
    for expected in [&present, &next] {
        let approval = gate.ask().await;
        gate.approve(&approval, ALICE).await;
        let signed = gate.status(&approval.id).await.receipt.unwrap();
        assert_eq!(header(&signed)["kid"], kid(expected));
        gate.pass(HOUR + Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_gate_whose_last_key_has_lapsed_signs_nothing_and_says_so() {
    let key = keyring::generate_receipt_key();
    let ends = written(Timestamp::from_unix_millis(0).unwrap() + unix_now() + MINUTE);
    let keys = with_life(&key, &format!("exp={ends}"));
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &keys), ("HO_RUN_WITHIN", "86400")]).await;
    let (approved, pending) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    let question = gate.question(&pending, ALICE);

    gate.pass(MINUTE);
    let log = Log::default();
    let _collecting = log.collect();
    let claimed = gate.client.claim(&approved.id, &claim(NONCE)).await;
    assert_eq!(problem(claimed), (503, "unavailable".to_owned()));
    for form in [
        [("decision", "approve"), ("code", question.code.as_str())],
        [("decision", "reject"), ("comment", "no")],
    ] {
        let answer = gate.decide(&question, &form).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    let cause = "no private key of HO_RECEIPT_KEYS is in force";
    assert_eq!(log.count(cause), 3, "{:#?}", log.lines());
    // Nothing is half-done, and what was signed before still counts.
    assert_eq!(gate.status(&pending.id).await.status, Status::Pending);
    let status = gate.status(&approved.id).await;
    assert_eq!(status.status, Status::Approved);
    assert!(status.execution.is_none(), "{:?}", status.execution);
}

#[tokio::test]
async fn a_gate_without_a_key_in_force_does_not_start() {
    let key = keyring::generate_receipt_key();
    for life in ["revoked", "exp=2020-01-01", "nbf=9999-01-01"] {
        let keys = with_life(&key, life);
        let (said, code) = run(&[("HO_RECEIPT_KEYS", &keys), ("HO_PORT", "0")], &[]).await;
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("HO_RECEIPT_KEYS cannot be used: no private key is in force now"),
            "{said}"
        );
        // Everything else can still be verified.
        let (said, code) = run(&[("HO_RECEIPT_KEYS", &keys)], &["public-key"]).await;
        assert_eq!(code, 0, "{said}");
    }
}

#[tokio::test]
async fn a_wrong_life_gets_an_error_that_names_the_entry_and_the_rule() {
    let (one, other) = (
        keyring::generate_receipt_key(),
        keyring::generate_es256_key(),
    );
    let (_, bytes) = one.split_once(':').unwrap();
    let renamed = format!("again;revoked:{bytes}");
    for (keys, words) in [
        (with_life(&one, "retired"), "entry 1: behind the kid"),
        (
            format!("{one},{}", with_life(&other, "exp=tomorrow")),
            "entry 2: exp is no date such as 2027-01-31",
        ),
        (
            with_life(&one, "nbf=2027-01-01;exp=2026-01-01"),
            "entry 1: exp must be later than nbf",
        ),
        (
            format!("{one},{renamed}"),
            "entry 2 is the key of an earlier one with another nbf, exp or revoked",
        ),
    ] {
        let (said, code) = run(&[("HO_RECEIPT_KEYS", &keys)], &["public-key"]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(
            !said.contains("tomorrow") && !said.contains(bytes),
            "{said}"
        );
    }
    let link = with_life(&keyring::generate_link_key(), "revoked");
    let (said, code) = run(&[("HO_LINK_KEYS", &link), ("HO_PORT", "0")], &[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("HO_LINK_KEYS cannot be used: entry 1 has nbf, exp or revoked"),
        "{said}"
    );
}

#[tokio::test]
async fn the_public_keys_are_printed_as_the_gate_publishes_them() {
    let (one, other) = (
        keyring::generate_es256_key(),
        with_life(&keyring::generate_receipt_key(), "revoked;exp=2027-01-31"),
    );
    let keys = format!("{one},{other}");
    let (said, code) = run(&[("HO_RECEIPT_KEYS", &keys)], &["public-key"]).await;
    assert_eq!(code, 0, "{said}");
    let printed: Value = serde_json::from_str(&said).unwrap();
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &keys)]).await;
    let page = gate.get(&format!("{}/api/keys", gate.url)).await;
    let published: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(printed["keys"], published["keys"]);
    assert_eq!(printed["keys"][1]["exp"], 1_801_353_600);
    assert_eq!(printed["keys"][1]["revoked"], true);
    let members = |key: &Value| key.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(&printed["keys"][0]),
        ["alg", "crv", "kid", "kty", "use", "x", "y"]
    );
}

#[tokio::test]
async fn keygen_makes_the_key_of_the_algorithm() {
    for (arguments, crv) in [
        (&["keygen"][..], "Ed25519"),
        (&["keygen", "--alg", "ed25519"], "Ed25519"),
        (&["keygen", "--alg=es256"], "P-256"),
    ] {
        let (said, code) = run(&[], arguments).await;
        assert_eq!(code, 0, "{said}");
        let key = said
            .lines()
            .find_map(|line| line.strip_prefix("HO_RECEIPT_KEYS="));
        let (said, _) = run(&[("HO_RECEIPT_KEYS", key.unwrap())], &["public-key"]).await;
        let printed: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(printed["keys"][0]["crv"], crv);
    }
    let (said, code) = run(&[], &["keygen", "--alg=rs256"]).await;
    assert!(code == 2 && said.contains("ed25519, es256"), "{said}");
}

#[tokio::test]
async fn an_end_that_comes_soon_is_warned_of() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let key = keyring::generate_receipt_key();
    let check = async |exp: Duration| {
        let exp = Timestamp::from_unix_millis(exp.as_millis().try_into().unwrap());
        let key = with_life(&key, &format!("exp={}", written(exp.unwrap())));
        let settings = [&settings[..], &[("HO_RECEIPT_KEYS", key.as_str())]].concat();
        run(&settings, &["check"]).await.0
    };
    let warns = "no key is in force, and the gate signs nothing: add a key";
    let said = check(unix_now() + 20 * DAY).await;
    assert!(said.contains(warns), "{said}");
    let said = check(unix_now() + 40 * DAY).await;
    assert!(!said.contains("in force"), "{said}");
    let said = check(unix_now() - DAY).await;
    assert!(
        said.contains("failed") && said.contains("in force"),
        "{said}"
    );
}

fn unix_now() -> Duration {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

#[tokio::test]
async fn health_warns_before_the_last_key_ends_and_fails_after() {
    let end = |days: u32| {
        let key = keyring::generate_receipt_key();
        let end = Timestamp::from_unix_millis(0).unwrap() + unix_now() + DAY * days;
        with_life(&key, &format!("exp={}", written(end)))
    };
    for (days, status) in [(40, "ok"), (20, "warning")] {
        let keys = end(days);
        let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &keys)]).await;
        gate.sweep().await;
        let health = async || gate.get(&format!("{}/api/health", gate.url)).await;
        let found = health().await.json();
        assert_eq!(found["checks"]["keys"]["status"], status, "{found}");
        gate.pass(DAY * days);
        gate.sweep().await;
        let answer = health().await;
        let found = answer.json();
        assert_eq!(answer.status, 503, "{found}");
        let keys = &found["checks"]["keys"];
        assert_eq!(keys["status"], "failed", "{found}");
        let detail = keys["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("nothing can be signed: no private key of"),
            "{found}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_says_which_receipt_keys_sign_nothing() {
    let (new, old, later) = (
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
    );
    let keys = format!(
        "{new},{},{}",
        with_life(&old, "revoked"),
        with_life(&later, "nbf=2999-01-01T00:00:00Z")
    );
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[("HO_RECEIPT_KEYS", &keys)]).await;
    let log = gate.kill().await;
    let words = format!(
        "receipt {}, receipt {} (revoked), receipt {} (not in force)\"",
        kid(&new),
        kid(&old),
        kid(&later)
    );
    assert!(log.contains(&words), "{words} in {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_cannot_be_signed_changes_nothing_and_says_so() {
    let key = keyring::generate_receipt_key();
    let gate = TestGate::with(&[("HO_POLICY", grants::POLICY), ("HO_RECEIPT_KEYS", &key)]).await;
    gate.back(10 * MINUTE);
    let approval = grants::given(&gate, "10").await;
    let ended = with_life(&key, &format!("exp={}", written(gate.now() + MINUTE)));
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let settings = [&settings[..], &[("HO_RECEIPT_KEYS", ended.as_str())]].concat();
    let (said, code) = run(&settings, &["revoke", &approval.id]).await;
    let why = "nothing was revoked: nothing can be signed";
    assert!(code == 2 && said.contains(why), "{said}");
    // Nor did the standing grant end that was given with it.
    let (said, code) = run(&settings, &["grants"]).await;
    assert!(code == 0 && said.contains("  active  "), "{said}");
}
