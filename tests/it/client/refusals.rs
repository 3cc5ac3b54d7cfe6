//! What a model reads when an action did not run: the table in the client's README, case by case.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use human_oversight_client::{Action, Client, Error, Gate, Handle, Pending, Reason, Refusal};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::{approved, intercept, must_not_run, refusal, user};
use crate::certificate::Certificate;
use crate::harness::{AGENT, ALICE, TestGate};
use crate::operate::operate;

/// Far below the time that an unreachable gate is called.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The texts of the table by case, and the advice beside each.
fn table() -> BTreeMap<String, (String, String)> {
    let readme = include_str!("../../../crates/client/README.md");
    let (_, section) = readme.split_once("\n# What a model reads\n").unwrap();
    let (section, _) = section.split_once("\n# ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let rows = rows.skip(1).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [case, words, advice] = cells[..] else {
            panic!("{line}")
        };
        (case.to_owned(), (words.to_owned(), advice.to_owned()))
    });
    rows.collect()
}

fn action(gate: &TestGate) -> Action {
    gate.gate().action("Delete User Account")
}

async fn run(pending: Pending) -> Refusal {
    refusal(pending.run(&user(), must_not_run).await)
}

async fn submit(action: &Action) -> Refusal {
    refusal(action.run(&user(), must_not_run).await)
}

/// What approvers and the operator decide.
async fn decided(gate: &TestGate) -> Vec<(&'static str, Refusal)> {
    let mut refusals = Vec::new();
    for (case, comment) in [
        ("an approver rejects, with a comment", "Ask Legal first."),
        ("an approver rejects, without one", ""),
    ] {
        let pending = action(gate).submit(&user()).await.unwrap();
        gate.reject(pending.approval().unwrap(), ALICE, comment)
            .await;
        refusals.push((case, run(pending).await));
    }
    for (case, comment) in [
        ("an approver asks for changes", ""),
        ("an approver asks for changes, with a comment", "Too much."),
    ] {
        let pending = action(gate).submit(&user()).await.unwrap();
        let question = gate.question(pending.approval().unwrap(), ALICE);
        let form = [
            ("decision", "reject"),
            ("code", question.code.as_str()),
            ("comment", comment),
            ("revise", "Which user is it?"),
        ];
        let answer = gate.decide(&question, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let id = pending.handle().id.clone();
        let refusal = run(pending).await;
        assert_eq!(refusal.question(), Some("Which user is it?"));
        assert_eq!(refusal.id(), Some(id.as_str()));
        refusals.push((case, refusal));
    }
    let pending = approved(gate).await;
    let question = gate.question(pending.approval().unwrap(), ALICE);
    let revoke = [("decision", "revoke"), ("code", question.code.as_str())];
    assert_eq!(
        gate.decide(&question, &revoke).await.status,
        StatusCode::SEE_OTHER
    );
    refusals.push(("the approval is revoked", run(pending).await));

    let pending = action(gate).submit(&user()).await.unwrap();
    let withdrawn = action(gate).resume(pending.handle().clone()).withdraw();
    withdrawn.await.unwrap();
    refusals.push(("the agent withdraws the request", run(pending).await));

    operate(gate, json!({"command": "pause", "because": "x"})).await;
    refusals.push((
        "the operator has paused operations",
        submit(&action(gate)).await,
    ));
    operate(gate, json!({"command": "resume"})).await;
    refusals
}

/// What the operator's policy refuses.
async fn ruled() -> Vec<(&'static str, Refusal)> {
    let policy = r#"
        version = 1
        [[rule]]
        id = "never"
        actions = ["Delete production"]
        effect = "deny"
        reason = "Open a change instead."
        [[rule]]
        id = "accounts"
        actions = ["Delete User Account"]
        effect = "require"
        stages = [{ from = "requested" }]
        reask = "refuse"
    "#;
    let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
    let denied = submit(&gate.gate().action("Delete production")).await;
    let pending = action(&gate).submit(&user()).await.unwrap();
    gate.reject(pending.approval().unwrap(), ALICE, "").await;
    let again = submit(&action(&gate)).await;
    assert_eq!(again.reason, Reason::RejectedBefore);
    vec![
        ("the operator's policy denies it", denied),
        (
            "an approver rejected the same before, and the policy refuses that",
            again,
        ),
    ]
}

/// What becomes of an approval that was used.
async fn used(gate: &TestGate) -> Vec<(&'static str, Refusal)> {
    let mut refusals = Vec::new();
    for case in [
        "the approval was used: the action ran",
        "the approval was used: the action failed",
        "the approval was used: no outcome is known",
    ] {
        let pending = approved(gate).await;
        let again = action(gate).resume(pending.handle().clone());
        let permit = pending.claim(&user()).await.unwrap();
        match case.rsplit_once(' ').unwrap().1 {
            "ran" => permit.executed().await,
            "failed" => permit.failed("no such user").await,
            _ => std::mem::forget(permit),
        }
        refusals.push((case, run(again).await));
    }
    refusals
}

/// What never reaches an approver, or not as a request that counts.
async fn undecided(gate: &TestGate) -> Vec<(&'static str, Refusal)> {
    let mut refusals = Vec::new();
    let unknown = action(gate).approvers(["gone@example.invalid"]);
    refusals.push(("no approver can be reached", submit(&unknown).await));
    let short = action(gate).timeout(Duration::from_secs(9));
    refusals.push(("the request is invalid", submit(&short).await));

    let pending = action(gate).submit(&user()).await.unwrap();
    gate.pass(Duration::from_secs(3_600));
    refusals.push(("there is no decision in time", run(pending).await));
    let pending = approved(gate).await;
    gate.pass(Duration::from_secs(3_600));
    refusals.push(("the approval is not used in time", run(pending).await));

    let forged = intercept(
        gate,
        |_, body| body,
        |path, status, body| {
            if !path.starts_with("/api/claim/") {
                return (status, body);
            }
            let mut answer: Value = serde_json::from_slice(&body).unwrap();
            answer["permit"] = Value::Null;
            (status, answer.to_string().into_bytes())
        },
    );
    let pending = forged
        .await
        .action("Delete User Account")
        .submit(&user())
        .await
        .unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    refusals.push(("the approval is not proven", run(pending).await));
    refusals
}

/// The faults of settings and network.
async fn faults(gate: &TestGate) -> Vec<(&'static str, Refusal)> {
    // Without a problem document it would be asked for again.
    let problem = json!({"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "-", "invocationId": "-"});
    let locked = intercept(
        gate,
        |_, body| body,
        move |path, status, body| {
            if path.starts_with("/api/status/") {
                (StatusCode::UNAUTHORIZED, problem.to_string().into_bytes())
            } else {
                (status, body)
            }
        },
    );
    let pending = locked
        .await
        .action("Delete User Account")
        .submit(&user())
        .await
        .unwrap();
    // So that its status is not waited for.
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let away = run(pending).await;
    let wrong_key = Client::new(&gate.url, Some("wrong")).unwrap();
    let wrong_key = of_agent(wrong_key).action("Delete User Account");
    let never = of_agent(Client::new("http://127.0.0.1:1", None).unwrap());
    vec![
        (
            "the gate becomes unavailable, or takes no more requests now",
            away,
        ),
        ("the settings are wrong", submit(&wrong_key).await),
        (
            "the gate does not respond",
            submit(&never.action("x")).await,
        ),
    ]
}

fn of_agent(client: Client) -> Gate {
    Gate::new(client).agent(AGENT).approvers([ALICE])
}

#[tokio::test]
async fn a_model_reads_what_the_readme_says() {
    let gates = [(); 4];
    let [one, two, three, four] = gates.map(|()| TestGate::start());
    let (one, two, three, four) = tokio::join!(one, two, three, four);
    let (decided, used, undecided, faults, ruled) = tokio::join!(
        decided(&one),
        used(&two),
        undecided(&three),
        faults(&four),
        ruled()
    );
    let refusals = [decided, used, undecided, faults, ruled].concat();
    let mut table = table();
    for (case, refusal) in refusals {
        let (words, advice) = table
            .remove(case)
            .unwrap_or_else(|| panic!("{case}: {refusal}"));
        let shown = words
            .strip_suffix(" (the cause is the gate's)")
            .unwrap_or(&words);
        assert_eq!(format!("`{refusal}`"), shown, "{case}");
        for (said, advised) in [
            ("Do not try again", "no"),
            ("Try again later.", "later"),
            ("Try again only if", "if still needed"),
            ("before you try again", "corrected"),
        ] {
            let agrees = words.contains(said) == advice.starts_with(advised);
            let may_be_silent = advised == "no" && !words.contains("ry again");
            assert!(agrees || may_be_silent, "{case}: {words} {advice}");
        }
    }
    assert!(table.is_empty(), "{table:?}");
}

#[tokio::test]
async fn a_gate_that_never_responds_is_given_up_after_half_a_minute() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let given_up = async |address: &str| {
        let gate = of_agent(Client::new(&format!("http://{address}"), None).unwrap());
        let action = gate.action("Delete User Account");
        let started = Instant::now();
        let (refused, checked) = tokio::join!(submit(&action), gate.check());
        assert_eq!(refused.reason, Reason::Unreachable, "{refused:?}");
        assert!(
            refused.to_string().contains("no one was asked"),
            "{refused}"
        );
        let error = checked.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        let took = started.elapsed().as_secs();
        assert!((25..45).contains(&took), "{took} s at {address}");
    };
    // Nothing listens; and something that never responds.
    tokio::join!(given_up("127.0.0.1:1"), given_up(&silent));
}

/// An `https` address of the gate, with a certificate that no authority signed.
async fn tls_front(gate: &TestGate, certificate: &Certificate) -> String {
    let (acceptor, target) = (certificate.acceptor(), gate.url.replace("http://", ""));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut gate = TcpStream::connect(target).await.unwrap();
                    copy_bidirectional(&mut stream, &mut gate).await.ok();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn wrong_settings_are_refused_at_once_and_no_one_is_asked() {
    let gate = TestGate::start().await;
    let certificate = Certificate::generate();
    let https = tls_front(&gate, &certificate).await;
    let no_tls = gate.url.replace("http://", "https://");
    for (url, key, cause) in [
        (gate.url.as_str(), "wrong", "HO_KEY"),
        (
            &format!("{}/elsewhere", gate.url),
            "",
            "no gate at this address",
        ),
        (&https, "", "UnknownIssuer"),
        (&no_tls, "", "no TLS connection"),
    ] {
        let wrong = of_agent(Client::new(url, Some(key)).unwrap());
        let started = Instant::now();
        let refused = submit(&wrong.action("Delete User Account")).await;
        assert_eq!(refused.reason, Reason::Misconfigured, "{refused:?}");
        assert!(
            refused.to_string().contains("no one was asked"),
            "{refused}"
        );
        let detail = refused.detail.unwrap();
        assert!(detail.contains(cause), "{detail}");
        let error = wrong.check().await.unwrap_err();
        assert!(
            matches!(error, Error::Settings(_) | Error::Tls { .. }),
            "{error:?}"
        );
        assert!(started.elapsed() < AT_ONCE);
    }
    assert!(gate.stored().await.is_empty() && gate.mails().is_empty());
}

#[tokio::test]
async fn the_right_settings_pass_the_check_and_store_nothing() {
    let gate = TestGate::start().await;
    gate.gate().check().await.unwrap();
    let checked = gate.gate();
    let blocking = tokio::task::spawn_blocking(move || checked.check_blocking());
    blocking.await.unwrap().unwrap();
    assert!(gate.stored().await.is_empty());
}

#[tokio::test]
async fn an_http_client_of_the_program_s_own_is_used() {
    let gate = TestGate::start().await;
    let certificate = Certificate::generate();
    let https = tls_front(&gate, &certificate).await;
    let pem = std::fs::read(&certificate.pem).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let http = reqwest::Client::builder().tls_certs_merge([authority]);
    let client = Client::with_http(&https, Some(crate::host::KEY), http).unwrap();
    of_agent(client).check().await.unwrap();
}

#[tokio::test]
async fn a_request_runs_under_its_stored_handle_wherever_it_was_interrupted() {
    let gate = TestGate::start().await;
    let delete = action(&gate);
    // Before it was submitted.
    let handle: Handle = delete.prepare();
    let unknown = refusal(
        delete
            .resume(handle.clone())
            .run(&user(), must_not_run)
            .await,
    );
    assert_eq!(unknown.reason, Reason::Invalid);
    let waiting = tokio::spawn({
        let (delete, handle) = (delete.clone(), handle.clone());
        async move { delete.run_as(handle, &user(), must_not_run).await }
    });
    let approval = gate.first_pending().await;
    assert_eq!(approval.id, handle.id);
    // While it waits: the request stays.
    waiting.abort();
    gate.approve(&approval, ALICE).await;
    let ran = delete
        .run_as(handle.clone(), &user(), async |_| "ran")
        .await;
    assert_eq!(ran.into_result().unwrap(), "ran");
    // After it ran.
    let again = refusal(delete.run_as(handle, &user(), must_not_run).await);
    assert_eq!(again.reason, Reason::Used);
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 2));
}
