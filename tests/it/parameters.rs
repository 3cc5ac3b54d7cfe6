//! What was shown is what runs: an approval of some parameters runs no others, however little they
//! differ and whichever way they come in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_client::parameters::{Parameters, hex};
use human_oversight_client::types::Status;
use human_oversight_client::{Action, Outcome, Pending, Reason};
use serde_json::{Value, json};

use crate::client::in_the_middle;
use crate::harness::{ALICE, TestGate};

/// Of everything that JSON has, and of everything that people overlook.
fn original() -> Value {
    json!({
        "user_id": "1",
        "email": "former-contractor@example.com",
        "display name": "Zoë Ångström-O'Neil",
        "path": "/srv/data/../data/finance.db",
        "sql": "DELETE FROM accounts WHERE last_login < '2025-01-01' AND region = 'EMEA'",
        "note": "first line\nsecond line\ttabbed",
        "empty": "",
        "amount": 1000,
        "rate": 0.1,
        "balance": -250.75,
        "zero": 0,
        "largest": 9_007_199_254_740_992_u64,
        "dry_run": false,
        "notify": true,
        "manager": null,
        "groups": ["sales", "vpn-users", "vpn-users-eu"],
        "matrix": [[1, 2], [3, 4]],
        "nothing": [],
        "anything": {},
        "options": {
            "delete_mailbox": true,
            "retention_days": 30,
            "forward": {"to": "archive@example.com", "until": "2027-01-01", "copies": [1, "1", null]},
        },
    })
}

/// The same parameters in other words, which JSON (RFC 8785) does not tell apart.
fn respelled() -> [Value; 2] {
    [("amount", json!(1000.0)), ("zero", json!(-0.0))].map(|(name, value)| {
        let mut other = original();
        other[name] = value;
        other
    })
}

/// All parameters that differ from the original in one place.
fn mutants() -> Vec<Value> {
    let mut seen = BTreeSet::from([original().to_string()]);
    let mut mutants = differing(&original());
    mutants.retain(|mutant| mutant.is_object() && seen.insert(mutant.to_string()));
    mutants
}

/// All values that differ from this one in one place.
fn differing(value: &Value) -> Vec<Value> {
    let mut others = vec![
        Value::Null,
        json!(true),
        json!(false),
        json!([value]),
        json!({"value": value}),
        json!(value.to_string()),
    ];
    match value {
        Value::Null => others.extend([json!("null"), json!(""), json!(0), json!([]), json!({})]),
        Value::Bool(yes) => others.extend([json!(yes.to_string()), json!(u8::from(*yes))]),
        Value::Number(number) => others.extend(other_numbers(number.as_f64().unwrap())),
        Value::String(text) => others.extend(other_texts(text).map(Value::from)),
        Value::Array(items) => {
            let with = |change: &dyn Fn(&mut Vec<Value>)| {
                let mut other = items.clone();
                change(&mut other);
                Value::Array(other)
            };
            others.push(json!({}));
            others.push(with(&|other| other.push(Value::Null)));
            others.push(with(&|other| other.reverse()));
            for (at, item) in items.iter().enumerate() {
                others.push(with(&|other| drop(other.remove(at))));
                others.push(with(&|other| other.insert(at, item.clone())));
                others.push(with(&|other| other.rotate_left(at)));
                others.push(with(&|other| other.swap(at, (at + 1) % items.len())));
                let inside = differing(item).into_iter();
                others.extend(inside.map(|item| with(&|other| other[at] = item.clone())));
            }
        }
        Value::Object(members) => {
            let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                let mut other = members.clone();
                change(&mut other);
                Value::Object(other)
            };
            others.push(json!([]));
            for name in ["", "force", "__proto__"] {
                others.push(with(&|other| {
                    drop(other.insert(name.to_owned(), Value::Null))
                }));
            }
            for (name, member) in members {
                others.push(with(&|other| drop(other.remove(name))));
                for renamed in other_texts(name) {
                    others.push(with(&|other| {
                        other.remove(name);
                        other.insert(renamed.clone(), member.clone());
                    }));
                }
                // Twice, under two names that look the same.
                others.push(with(&|other| {
                    drop(other.insert(format!("{name} "), member.clone()))
                }));
                let inside = differing(member).into_iter();
                others.extend(inside.map(|member| with(&|other| other[name] = member.clone())));
            }
        }
    }
    others
}

fn other_numbers(number: f64) -> impl Iterator<Item = Value> {
    let next = |by: i64| f64::from_bits(number.to_bits().wrapping_add_signed(by));
    let near = [
        number + 1.0,
        number - 1.0,
        -number,
        number * 10.0,
        number / 10.0,
        number + 0.5,
        next(1),
        next(-1),
    ];
    let texts = [
        number.to_string(),
        format!("{number}.0"),
        format!(" {number}"),
    ];
    let near = near
        .into_iter()
        .filter(move |other| *other != number && other.is_finite());
    near.map(Value::from).chain(texts.map(Value::from))
}

/// Texts that a person might take for this one, and some that nobody would.
fn other_texts(text: &str) -> impl Iterator<Item = String> {
    let swap = |from: &str, to: &str| text.replacen(from, to, 1);
    let mut others = vec![
        format!("{text} "),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}\u{0}"),
        // Invisible: zero width, soft hyphen, byte order mark, right to left, tag, variation.
        format!("{text}\u{200b}"),
        format!("{text}\u{ad}"),
        format!("\u{feff}{text}"),
        format!("\u{202e}{text}"),
        format!("{text}\u{e0041}"),
        format!("{text}\u{fe0f}"),
        format!("{text}{text}x"),
        text.to_uppercase(),
        text.to_lowercase(),
        text.chars().rev().collect(),
        text.chars().skip(1).collect(),
        // Look-alikes: of other scripts, of full width, of another sign or space.
        swap("a", "\u{430}"),
        swap("e", "\u{435}"),
        swap("o", "\u{43e}"),
        swap("o", "0"),
        swap("1", "l"),
        swap("1", "\u{ff11}"),
        swap("a", "\u{ff41}"),
        swap("fi", "\u{fb01}"),
        swap("s", "\u{17f}"),
        swap("-", "\u{2011}"),
        swap("-", "\u{2212}"),
        swap("'", "\u{2019}"),
        swap("/", "\u{2215}"),
        swap(".", "\u{2024}"),
        swap("@", "\u{ff20}"),
        swap(" ", "\u{a0}"),
        swap("\t", "    "),
        swap("\n", "\r\n"),
        swap("_", "__"),
        swap("/../", "/"),
        swap("/", "//"),
        swap("<", "<="),
        swap("AND", "OR"),
        // The same letters in another normalisation form.
        swap("\u{eb}", "e\u{308}"),
        swap("\u{c5}", "A\u{30a}"),
        swap("\u{c5}", "\u{212b}"),
        swap("\u{f6}", "o\u{308}"),
        // Escaped, as if it had been escaped already.
        swap("a", "\\u0061"),
        swap("/", "\\/"),
        swap(" ", "%20"),
    ];
    others.retain(|other| other != text);
    others.into_iter()
}

fn digest(params: &Value) -> String {
    hex(&Parameters::new(params).unwrap().digest())
}

fn action(gate: &TestGate) -> Action {
    gate.gate().approvers([ALICE]).action("Delete User Account")
}

/// How often anything ran.
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
fn there_are_enough_mutants_and_each_has_a_digest_of_its_own() {
    let mutants = mutants();
    assert!(mutants.len() >= 1_000, "{}", mutants.len());
    let digests: BTreeSet<_> = mutants.iter().chain([&original()]).map(digest).collect();
    assert_eq!(digests.len(), mutants.len() + 1);
    for same in respelled() {
        assert_eq!(digest(&same), digest(&original()));
    }
}

/// A process that stored the handle, or anybody who found it, comes back with other parameters.
#[tokio::test]
async fn an_approval_that_is_taken_up_again_runs_no_others() {
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
    assert_eq!(
        gate.stored().await,
        before,
        "not one of them was even claimed"
    );
    // What was shown runs, whatever its spelling, exactly once.
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

/// What is between the agent and the gate puts the digest of what the agent is about to run into
/// every answer: beside the receipt, and into the receipt.
#[tokio::test]
async fn an_answer_that_was_altered_to_fit_runs_nothing() {
    let gate = TestGate::start().await;
    let pending = action(&gate).submit(&original()).await.unwrap();
    let handle = pending.handle().clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let before = gate.stored().await;
    let fitting = Arc::new(Mutex::new((String::new(), false)));
    let wanted = fitting.clone();
    let altering = in_the_middle(
        &gate,
        |_, body| body,
        move |_, status, body| {
            let (digest, forge) = wanted.lock().unwrap().clone();
            (status, altered(&body, &digest, forge))
        },
    );
    let action = altering.await.action("Delete User Account");
    let runs = Runs::default();
    for (number, mutant) in mutants().iter().enumerate() {
        *fitting.lock().unwrap() = (digest(mutant), number.is_multiple_of(2));
        let outcome = runs.try_with(action.resume(handle.clone()), mutant).await;
        assert_eq!(reason(outcome), Reason::Unverified, "{mutant}");
        assert_eq!(runs.count(), 0, "{mutant}");
    }
    assert_eq!(gate.stored().await, before);
    *fitting.lock().unwrap() = (digest(&original()), false);
    let outcome = runs.try_with(action.resume(handle), &original()).await;
    assert_eq!((outcome, runs.count()), (Outcome::Executed(()), 1));
}

/// The answer with another digest; in the receipt too, if it is to be forged.
fn altered(body: &[u8], digest: &str, forge: bool) -> Vec<u8> {
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

/// What is between them has other parameters shown to the approver than the agent sent.
#[tokio::test]
async fn parameters_that_were_swapped_on_the_way_run_nothing() {
    let gate = TestGate::start().await;
    let swapped = Arc::new(Mutex::new(Value::Null));
    let wanted = swapped.clone();
    let swap = move |path: &str, body| match path {
        "/api/submit" => with_parameters(body, &wanted.lock().unwrap()),
        _ => body,
    };
    let swapping = in_the_middle(&gate, swap, |_, status, body| (status, body)).await;
    let action = swapping.action("Delete User Account");
    let every_third: Vec<Value> = mutants().into_iter().step_by(3).collect();
    for mutant in &every_third {
        *swapped.lock().unwrap() = mutant.clone();
        let refused = action.submit(&original()).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Unverified, "{mutant}");
    }
    // It did get them in: they were stored and shown, and only the agent can tell.
    assert_eq!(gate.stored().await.len(), every_third.len());
}

/// It hides that from the agent, and the approver says yes to what was shown: a genuine receipt, of
/// this request, for other parameters.
#[tokio::test]
async fn a_genuine_receipt_for_other_parameters_runs_nothing() {
    let runs = Runs::default();
    let every_seventh: Vec<Value> = mutants().into_iter().step_by(7).collect();
    // Each gate with a few, as every mail of a gate is read to find the one.
    for some in every_seventh.chunks(15) {
        let gate = TestGate::start().await;
        let swapped = Arc::new(Mutex::new(Value::Null));
        let wanted = swapped.clone();
        let swap = move |path: &str, body| match path {
            "/api/submit" => with_parameters(body, &wanted.lock().unwrap()),
            _ => body,
        };
        let hide =
            |_: &str, status, body: Vec<u8>| (status, altered(&body, &digest(&original()), false));
        let action = in_the_middle(&gate, swap, hide)
            .await
            .action("Delete User Account");
        for mutant in some {
            *swapped.lock().unwrap() = mutant.clone();
            let pending = action.submit(&original()).await.unwrap();
            gate.approve(pending.approval().unwrap(), ALICE).await;
            let id = pending.handle().id.clone();
            let outcome = runs.try_with(pending, &original()).await;
            assert_eq!(reason(outcome), Reason::Unverified, "{mutant}");
            let stored = gate.status(&id).await;
            assert_eq!((stored.status, stored.execution), (Status::Approved, None));
            assert_eq!(stored.parameters_digest, digest(mutant), "it was shown");
        }
    }
    assert_eq!(runs.count(), 0);
}

fn with_parameters(body: Vec<u8>, parameters: &Value) -> Vec<u8> {
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    request["parameters"] = parameters.clone();
    request.to_string().into_bytes()
}

/// What the agent holds changes while a person thinks.
#[tokio::test]
async fn parameters_that_change_while_waiting_do_not_run() {
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
