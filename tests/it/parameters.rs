//! An approval runs exactly the parameters that were shown: no others, however small the difference, and by
//! whichever path they arrive.

mod mutants;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_client::parameters::{Parameters, hex};
use human_oversight_client::types::Status;
use human_oversight_client::{Action, Outcome, Pending, Reason};
use serde_json::{Value, json};

use self::mutants::{mutants, original, respelled};
use crate::client::intercept;
use crate::harness::{ALICE, TestGate};

fn digest(params: &Value) -> String {
    hex(&Parameters::new(params).unwrap().digest())
}

fn action(gate: &TestGate) -> Action {
    gate.gate().approvers([ALICE]).action("Delete User Account")
}

/// Counts the runs of the action.
#[derive(Default)]
struct Runs(AtomicU32);

impl Runs {
    async fn try_with(&self, pending: Pending, params: &Value) -> Outcome<()> {
        let run = async |_: &Value| {
            self.0.fetch_add(1, Ordering::SeqCst);
        };
        pending.run(params, run).await
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn reason(outcome: Outcome<()>) -> Reason {
    outcome.into_result().unwrap_err().reason
}

#[test]
fn every_mutant_has_a_distinct_digest() {
    let mutants = mutants();
    assert!(mutants.len() >= 1_000, "{}", mutants.len());
    let digests: BTreeSet<_> = mutants.iter().chain([&original()]).map(digest).collect();
    assert_eq!(digests.len(), mutants.len() + 1);
    for same in respelled() {
        assert_eq!(digest(&same), digest(&original()));
    }
}

/// A process with the stored handle resumes with other parameters.
#[tokio::test]
async fn a_resumed_approval_runs_no_mutant() {
    let gate = TestGate::start().await;
    let action = action(&gate);
    let pending = action.submit(&original()).await.unwrap();
    let handle = pending.handle().clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let before = gate.stored().await;
    let runs = Runs::default();
    for mutant in mutants() {
        let outcome = runs.try_with(action.resume(handle.clone()), &mutant).await;
        assert_eq!(reason(outcome), Reason::Unverified, "{mutant}");
        assert_eq!(runs.count(), 0, "{mutant}");
    }
    assert_eq!(gate.stored().await, before, "no mutant was claimed");
    // The approved parameters run once, in any spelling.
    let [_, respelled] = respelled();
    let outcome = runs
        .try_with(action.resume(handle.clone()), &respelled)
        .await;
    assert_eq!((outcome, runs.count()), (Outcome::Executed(()), 1));
    for params in [original(), respelled] {
        let outcome = runs.try_with(action.resume(handle.clone()), &params).await;
        assert_eq!((reason(outcome), runs.count()), (Reason::Used, 1));
    }
}

/// A proxy between agent and gate puts the digest of the parameters that the agent will run into every
/// response: beside the receipt, and into the receipt.
#[tokio::test]
async fn a_response_with_an_altered_digest_runs_nothing() {
    let gate = TestGate::start().await;
    let pending = action(&gate).submit(&original()).await.unwrap();
    let handle = pending.handle().clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let before = gate.stored().await;
    let target_digest = Arc::new(Mutex::new((String::new(), false)));
    let shared = target_digest.clone();
    let altering = intercept(
        &gate,
        |_, body| body,
        move |_, status, body| {
            let (digest, forge) = shared.lock().unwrap().clone();
            (status, alter_response(&body, &digest, forge))
        },
    );
    let action = altering.await.action("Delete User Account");
    let runs = Runs::default();
    for (number, mutant) in mutants().iter().enumerate() {
        *target_digest.lock().unwrap() = (digest(mutant), number.is_multiple_of(2));
        let outcome = runs.try_with(action.resume(handle.clone()), mutant).await;
        assert_eq!(reason(outcome), Reason::Unverified, "{mutant}");
        assert_eq!(runs.count(), 0, "{mutant}");
    }
    assert_eq!(gate.stored().await, before);
    *target_digest.lock().unwrap() = (digest(&original()), false);
    let outcome = runs.try_with(action.resume(handle), &original()).await;
    assert_eq!((outcome, runs.count()), (Outcome::Executed(()), 1));
}

/// The response with another digest; with `forge`, also in the receipt.
fn alter_response(body: &[u8], digest: &str, forge: bool) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(body).unwrap();
    if let Some(shown) = answer.get_mut("parametersDigest") {
        *shown = json!(digest);
    }
    if let Some(receipt) = answer
        .get("receipt")
        .and_then(Value::as_str)
        .filter(|_| forge)
    {
        let [head, claims, signature] = receipt.split('.').collect::<Vec<_>>()[..] else {
            panic!("{receipt}")
        };
        let mut claims: Value = serde_json::from_slice(&BASE64URL.decode(claims).unwrap()).unwrap();
        claims["parametersDigest"] = json!(digest);
        let claims = BASE64URL.encode(claims.to_string());
        answer["receipt"] = json!(format!("{head}.{claims}.{signature}"));
    }
    answer.to_string().into_bytes()
}

/// A proxy replaces the parameters that the agent submits.
#[tokio::test]
async fn parameters_swapped_in_transit_run_nothing() {
    let gate = TestGate::start().await;
    let swapped = Arc::new(Mutex::new(Value::Null));
    let shared = swapped.clone();
    let swap = move |path: &str, body| match path {
        "/api/submit" => replace_parameters(body, &shared.lock().unwrap()),
        _ => body,
    };
    let swapping = intercept(&gate, swap, |_, status, body| (status, body)).await;
    let action = swapping.action("Delete User Account");
    let sample: Vec<Value> = mutants().into_iter().step_by(3).collect();
    for mutant in &sample {
        *swapped.lock().unwrap() = mutant.clone();
        let refused = action.submit(&original()).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Unverified, "{mutant}");
    }
    // They were stored and shown: only the agent can detect it.
    assert_eq!(gate.stored().await.len(), sample.len());
}

/// The proxy also hides the replacement from the agent. The approver approves what was shown, which makes a
/// genuine receipt of this request for other parameters.
#[tokio::test]
async fn a_genuine_receipt_for_other_parameters_runs_nothing() {
    let runs = Runs::default();
    let sample: Vec<Value> = mutants().into_iter().step_by(7).collect();
    // A few for each gate, because finding an email reads all emails of the gate.
    for batch in sample.chunks(15) {
        let gate = TestGate::start().await;
        let swapped = Arc::new(Mutex::new(Value::Null));
        let shared = swapped.clone();
        let swap = move |path: &str, body| match path {
            "/api/submit" => replace_parameters(body, &shared.lock().unwrap()),
            _ => body,
        };
        let hide = |_: &str, status, body: Vec<u8>| {
            (status, alter_response(&body, &digest(&original()), false))
        };
        let action = intercept(&gate, swap, hide)
            .await
            .action("Delete User Account");
        for mutant in batch {
            *swapped.lock().unwrap() = mutant.clone();
            let pending = action.submit(&original()).await.unwrap();
            gate.approve(pending.approval().unwrap(), ALICE).await;
            let id = pending.handle().id.clone();
            let outcome = runs.try_with(pending, &original()).await;
            assert_eq!(reason(outcome), Reason::Unverified, "{mutant}");
            let stored = gate.status(&id).await;
            assert_eq!((stored.status, stored.execution), (Status::Approved, None));
            assert_eq!(
                stored.parameters_digest,
                digest(mutant),
                "the mutant was shown"
            );
        }
    }
    assert_eq!(runs.count(), 0);
}

fn replace_parameters(body: Vec<u8>, parameters: &Value) -> Vec<u8> {
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    request["parameters"] = parameters.clone();
    request.to_string().into_bytes()
}

/// The agent's parameters change before the decision.
#[tokio::test]
async fn parameters_that_change_during_the_wait_do_not_run() {
    let gate = TestGate::start().await;
    let params = Mutex::new(original());
    let pending = action(&gate).submit(&params).await.unwrap();
    let handle = pending.handle().clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    params.lock().unwrap()["user_id"] = json!("2");
    let outcome = pending.run(&params, async |_| ()).await;
    assert_eq!(reason(outcome), Reason::Unverified);
    params.lock().unwrap()["user_id"] = json!("1");
    let outcome = action(&gate)
        .resume(handle)
        .run(&params, async |_| ())
        .await;
    assert_eq!(outcome, Outcome::Executed(()));
}
