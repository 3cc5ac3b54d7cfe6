//! Receipts at a service that does not trust the agent: the payments service of `examples/`, as a
//! separate process.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_client::parameters::{Parameters, hex};
use human_oversight_client::receipt::{
    Assurance, Claims, Decision, NotPermitted, ReceiptError, Run, TYPE, verify,
};
use human_oversight_client::types::{Key, KeyLife, KeySet};
use human_oversight_client::{Gate, Permit};
use reqwest::StatusCode;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::backing_store;
use crate::deadline::within;
use crate::harness::{ALICE, Page, TestGate, http, repository};
use crate::host::SignIn;
use crate::process::run;
use crate::sign_in::{self, member, visit_and_approve};

/// The example, which has only the public keys of the gate.
struct Payments {
    url: String,
    _process: Child,
}

impl Payments {
    async fn start(gate: &TestGate) -> Self {
        let keys = gate.dir.path().join("keys.json");
        let published = gate.get(&format!("{}/api/keys", gate.url)).await.body;
        std::fs::write(&keys, published).unwrap();
        // Cargo puts examples beside the tests, but builds them only where all tests are run.
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--locked", "--example", "payments_api"])
            .current_dir(repository())
            .kill_on_drop(true);
        // The variables that cargo sets for this test would make it rebuild `ring` and its dependents.
        for (name, _) in std::env::vars_os() {
            let is_of_package = |name: &str| {
                ["CARGO_PKG_", "CARGO_MANIFEST_"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
            };
            if name.to_str().is_some_and(is_of_package) {
                build.env_remove(name);
            }
        }
        assert!(within(build.status()).await.unwrap().success());
        let tests: PathBuf = std::env::current_exe().unwrap();
        let built = tests.parent().unwrap().parent().unwrap();
        let mut process = Command::new(built.join("examples/payments_api"))
            .arg(keys)
            .arg(gate.dir.path().join("journal.jsonl"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within(lines.next_line()).await.unwrap().unwrap();
        let (_, url) = line.split_once("paying at ").unwrap();
        Self {
            url: url.to_owned(),
            _process: process,
        }
    }

    async fn pay(&self, payment: &Value, proofs: &Proofs) -> Page {
        let call = http().build().unwrap().post(&self.url);
        let call = call
            .header("content-type", "application/json")
            .header("approval-receipt", &proofs.receipt)
            .header("approval-permit", &proofs.permit)
            .body(payment.to_string());
        Page::of(call.send().await.unwrap()).await
    }
}

/// What an agent presents.
#[derive(Clone, Default)]
struct Proofs {
    receipt: String,
    permit: String,
}

impl Proofs {
    fn of(permit: &Permit) -> Self {
        Self {
            receipt: permit.receipt().to_owned(),
            permit: permit.jws().to_owned(),
        }
    }
}

/// Submits an action, approves it as Alice, and claims it.
async fn obtain_proofs(gate: &TestGate, agent: &str, action: &str, payment: &Value) -> Proofs {
    let action = Gate::new(gate.client.clone())
        .agent(agent)
        .approvers([ALICE])
        .action(action);
    let pending = action.submit(payment).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let permit = pending.claim(payment).await.unwrap();
    let proofs = Proofs::of(&permit);
    permit.executed().await;
    proofs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_pays_only_the_approved_payment_and_only_once() {
    let gate = TestGate::start().await;
    let payments = Payments::start(&gate).await;
    let payment = json!({"invoice": "2026-117", "payee": "supplier@example.com", "cents": 129_900});
    let good = obtain_proofs(&gate, "PaymentsAgent", "Pay Invoice", &payment).await;

    for (change, to) in [
        ("cents", json!(1_299_000)),
        ("payee", json!("other.payee@example.com")),
        ("invoice", json!("2026-118")),
    ] {
        let mut other = payment.clone();
        other[change] = to;
        let refused = payments.pay(&other, &good).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{change}");
        assert!(
            refused.body.contains("other parameters"),
            "{}",
            refused.body
        );
    }
    let other_agent = obtain_proofs(&gate, "UserManagerAgent", "Pay Invoice", &payment).await;
    let other_action = obtain_proofs(&gate, "PaymentsAgent", "Check Invoice", &payment).await;
    let large = json!({"invoice": "2026-119", "payee": "supplier@example.com", "cents": 1_000_000});
    let by_link = obtain_proofs(&gate, "PaymentsAgent", "Pay Invoice", &large).await;
    let other_gate = TestGate::start().await;
    let other_gate = obtain_proofs(&other_gate, "PaymentsAgent", "Pay Invoice", &payment).await;
    let mut forged = good.clone();
    let first_claim = good.receipt.find('.').unwrap() + 5;
    forged.receipt.insert(first_claim, 'A');
    let another = obtain_proofs(&gate, "PaymentsAgent", "Pay Invoice", &payment).await;
    let with_permit = |permit: &str| Proofs {
        permit: permit.to_owned(),
        ..good.clone()
    };
    let mut forged_permit = good.permit.clone();
    forged_permit.insert(good.permit.find('.').unwrap() + 5, 'A');
    for (payment, proofs, why) in [
        (&payment, Proofs::default(), "not a receipt"),
        (&payment, other_agent, "another agent"),
        (&payment, other_action, "another action"),
        (&payment, other_gate, "a key that the gate does not publish"),
        (&payment, forged, "signature is wrong"),
        (&large, by_link, "signed in"),
        // An approval alone is not enough: it may have been revoked since.
        (&payment, with_permit(""), "not a permit"),
        (&payment, with_permit(&good.receipt), "not a permit"),
        (&payment, with_permit(&another.permit), "another request"),
        (&payment, with_permit(&forged_permit), "permit's signature"),
    ] {
        let refused = payments.pay(payment, &proofs).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{why}");
        assert!(refused.body.contains(why), "{why}: {}", refused.body);
    }
    let paid = payments.pay(&payment, &good).await;
    assert_eq!(paid.body, "paid 129900 to supplier@example.com");
    let again = payments.pay(&payment, &good).await;
    assert_eq!(
        (again.status, again.body.as_str()),
        (StatusCode::FORBIDDEN, "this permit was used before")
    );
    // Nor is it after a restart.
    drop(payments);
    let restarted = Payments::start(&gate).await;
    let again = restarted.pay(&payment, &good).await;
    assert_eq!(again.body, "this permit was used before");
    let paid = restarted.pay(&payment, &another).await;
    assert_eq!(paid.status, StatusCode::OK, "{}", paid.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payments_require_a_signed_in_approver() {
    let gate = TestGate::with(&sign_in::ON).await;
    let payments = Payments::start(&gate).await;
    let payment =
        json!({"invoice": "2026-120", "payee": "supplier@example.com", "cents": 2_500_000});
    let action = Gate::new(gate.client.clone())
        .agent("PaymentsAgent")
        .approvers([ALICE])
        .action("Pay Invoice");
    let pending = action.submit(&payment).await.unwrap();
    let id = pending.handle().id.clone();
    let session = SignIn::session(&member(ALICE, "3c9e7a10-0000-4000-8000-00000000a11c"));
    let cookie = [("cookie", session.as_str())];
    let decided = visit_and_approve(&gate, &id, &cookie).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER);
    let permit = pending.claim(&payment).await.unwrap();
    let paid = payments.pay(&payment, &Proofs::of(&permit)).await;
    assert_eq!(paid.body, "paid 2500000 to supplier@example.com");
    permit.failed("the invoice was paid twice").await;
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(
        execution.error.as_deref(),
        Some("the invoice was paid twice")
    );
}

/// The claims of Alice's approval of these parameters.
fn approved_claims(parameters: &Parameters) -> Claims {
    Claims {
        iss: "https://gate.example.com".to_owned(),
        aud: "Agent".to_owned(),
        agent_object_id: None,
        sub: "QWdlbnQ.x".to_owned(),
        iat: 1_000,
        exp: Some(2_000),
        correlation_id: "x".to_owned(),
        action_description: "Delete".to_owned(),
        parameters_digest: hex(&parameters.digest()),
        claimant: None,
        decision: Decision::Approved,
        comment_digest: None,
        question_digest: None,
        approver: ALICE.to_owned(),
        assurance: Assurance::Link,
        approver_object_id: None,
        auth_time: None,
        auth_context: None,
        votes: Vec::new(),
        policy: None,
        handed_over: Vec::new(),
    }
}

#[test]
fn a_signature_by_a_known_key_is_a_receipt_only_in_the_pinned_form() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let sign = |header: Value, payload: Value| {
        let encoded = |part: Value| BASE64URL.encode(part.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let signature = BASE64URL.encode(pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    let keys = |kty: &str, crv: &str| KeySet {
        keys: vec![Key {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: "k1".to_owned(),
            x: BASE64URL.encode(pair.public_key()),
            y: None,
            life: KeyLife::default(),
        }],
        issuers: Vec::new(),
    };
    let ours = keys("OKP", "Ed25519");
    let claims = approved_claims(&Parameters::new(&json!({"user_id": "1"})).unwrap());
    let header = json!({"alg": "EdDSA", "typ": TYPE, "kid": "k1"});
    let payload = serde_json::to_value(&claims).unwrap();
    let good = sign(header.clone(), payload.clone());
    assert_eq!(verify(&good, &ours), Ok(claims));

    for (member, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("typ", json!("JWT")),
        ("typ", json!("")),
        ("jwk", json!({})),
    ] {
        let mut other = header.clone();
        other[member] = value;
        let other = sign(other, payload.clone());
        assert_eq!(verify(&other, &ours), Err(ReceiptError::Malformed));
    }
    let empty = sign(header, json!({}));
    assert_eq!(verify(&empty, &ours), Err(ReceiptError::Malformed));
    for others in [keys("EC", "Ed25519"), keys("OKP", "X25519")] {
        assert_eq!(verify(&good, &others), Err(ReceiptError::UnknownKey));
    }
}

#[test]
fn a_receipt_permits_one_action_until_it_lapses() {
    let parameters = Parameters::new(&json!({"user_id": "1"})).unwrap();
    let claims = approved_claims(&parameters);
    let run = Run {
        agent: "Agent",
        action: "Delete",
        parameters: &parameters,
    };
    assert_eq!(claims.permit(run, 1_999), Ok(()));
    assert_eq!(claims.permit(run, 2_000), Err(NotPermitted::Lapsed));
    let others = Parameters::new(&json!({"user_id": 1})).unwrap();
    for (run, why) in [
        (
            Run {
                agent: "agent",
                ..run
            },
            NotPermitted::OtherAgent,
        ),
        (
            Run {
                action: "Delete ",
                ..run
            },
            NotPermitted::OtherAction,
        ),
        (
            Run {
                parameters: &others,
                ..run
            },
            NotPermitted::OtherParameters,
        ),
    ] {
        assert_eq!(claims.permit(run, 1_000), Err(why));
    }
    let rejected = Claims {
        decision: Decision::Rejected,
        ..claims.clone()
    };
    assert_eq!(rejected.permit(run, 1_000), Err(NotPermitted::Rejected));
    let endless = Claims {
        exp: None,
        ..claims
    };
    assert_eq!(endless.permit(run, 1_000), Err(NotPermitted::Lapsed));
}

/// An attacker who has the service's own credential at the bank pays around the gate, in the same journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_the_service_shows_what_was_paid_without_an_approval() {
    let gate = TestGate::start().await;
    let payments = Payments::start(&gate).await;
    let payment = json!({"invoice": "2026-117", "payee": "supplier@example.com", "cents": 129_900});
    let proofs = obtain_proofs(&gate, "PaymentsAgent", "Pay Invoice", &payment).await;
    assert_eq!(payments.pay(&payment, &proofs).await.status, StatusCode::OK);
    let refused = payments.pay(&payment, &proofs).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let journal = gate.dir.path().join("journal.jsonl");
    let mapping = repository().join("examples/reconcile/payments.json");
    let settings = backing_store::settings(gate.dir.path());
    let [actions, by] = [&journal, &mapping].map(|it| it.to_str().unwrap());
    let arguments = ["reconcile", "--actions", actions, "--mapping", by, "--json"];
    let reconcile = async || {
        let (said, code) = run(&backing_store::borrowed(&settings), &arguments).await;
        (serde_json::from_str::<Value>(&said).expect(&said), code)
    };
    let (found, code) = reconcile().await;
    assert_eq!(
        (code, &found["counts"]["matched"]),
        (0, &json!(1)),
        "{found}"
    );

    let written = std::fs::read_to_string(&journal).unwrap();
    let mut around: Value = serde_json::from_str(&written).unwrap();
    around["payment"]["payee"] = json!("other.payee@example.com");
    around["approval"] = json!("none");
    std::fs::write(&journal, format!("{written}{around}\n")).unwrap();
    let (found, code) = reconcile().await;
    let mismatch = &found["mismatches"][0];
    assert_eq!(code, 1, "{found}");
    assert_eq!(
        (&mismatch["kind"], &mismatch["line"]),
        (&json!("neverApproved"), &json!(2))
    );
    assert_eq!(mismatch["id"], "none");
    assert_eq!(found["counts"]["matched"], 1);
}
