//! `human-oversight pause` and `resume`, between processes: what one sets, every other obeys.

use std::sync::Arc;
use std::time::Duration;

use human_oversight_client::Error;
use human_oversight_client::types::{Approval, Claim};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::deadline::{eventually, within};
use crate::harness::{AGENT, ALICE, TestGate, request};
use crate::host::{KEY, MASTER_KEY};
use crate::operate::operate;
use crate::process::{Process, binary, run};
use crate::proxy::{Fault, Proxy};

type Settings = [(&'static str, String); 5];

/// The settings of gates that share new tables of Azurite.
fn shared() -> Settings {
    backing_store::tables(azurite().port)
}

fn standing(settings: &Settings) -> Table {
    Table::of(azurite().port, &format!("standing{}", settings[2].1))
}

/// Runs a command of the operator's on the store.
async fn command(settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let (said, code) = run(settings, arguments).await;
    assert_eq!(code, 0, "{said}");
    said
}

const PAUSE: [&str; 5] = ["pause", "--because", "an incident", "--again-after", "0"];

fn claim_body(nonce: &str) -> Claim {
    Claim {
        nonce: nonce.to_owned(),
        secret: None,
    }
}

const NONCE: &str = "0123456789abcdef";

async fn claim(gate: &TestGate, approval: &Approval) -> Result<Approval, Error> {
    gate.client.claim(&approval.id, &claim_body(NONCE)).await
}

fn assert_paused<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Problem(problem)) => assert!(problem.kind.ends_with(":paused"), "{problem:?}"),
        other => panic!("{other:?}"),
    }
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::Unavailable { status: 503, .. })),
        "{result:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_by_one_process_holds_at_every_other_from_that_moment_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = [("HO_STORE", format!("embedded:{}", dir.path().display()))];
    let tables = shared();
    for settings in [
        backing_store::borrowed(&file),
        backing_store::borrowed(&tables),
    ] {
        let process = Process::start(dir.path(), &settings).await;
        let client = process.client();
        let [first, second] = [
            process.approved(dir.path()).await,
            process.approved(dir.path()).await,
        ];
        client.claim(&first.id, &claim_body(NONCE)).await.unwrap();
        let said = command(&settings, &PAUSE).await;
        assert!(said.starts_with("Paused: everything."), "{said}");
        assert!(
            said.contains("1 executing, which nothing here can stop"),
            "{said}"
        );
        assert_eq!(
            said.matches(&first.id).count(),
            2,
            "at once and again: {said}"
        );
        for approval in [&first, &second] {
            assert_paused(client.claim(&approval.id, &claim_body(NONCE)).await);
        }
        // A gate that starts now obeys too.
        let other = Process::start(dir.path(), &settings).await;
        assert_paused(other.client().claim(&second.id, &claim_body(NONCE)).await);
        assert_paused(other.client().submit(&request()).await);

        let listed = command(&settings, &["executing"]).await;
        assert!(listed.contains(": an incident"), "{listed}");
        let said = command(&settings, &["resume"]).await;
        assert_eq!(said, "Resumed: everything.\n");
        client.claim(&second.id, &claim_body(NONCE)).await.unwrap();
        let (said, code) = run(&settings, &["resume"]).await;
        assert_eq!(
            (said.as_str(), code),
            ("There was no pause with this scope: everything.\n", 1)
        );
        let log = process.kill().await + &other.kill().await;
        assert!(
            log.contains("refused while paused") && !log.contains("incident"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_between_gates_whose_clocks_are_90_s_apart() {
    let settings = shared();
    let settings = backing_store::borrowed(&settings);
    let (early, late) = (
        TestGate::with(&settings).await,
        TestGate::with(&settings).await,
    );
    late.pass(Duration::from_secs(90));
    let approval = early.ask().await;
    early.approve(&approval, ALICE).await;
    for (one, other) in [(&early, &late), (&late, &early)] {
        let pause = json!({"command": "pause", "because": "an incident"});
        operate(one, pause).await;
        assert_paused(claim(other, &approval).await);
        assert_paused(claim(one, &approval).await);
        // The reading for a submit may be 5 s old.
        assert_paused(one.client.submit(&request()).await);
        assert_eq!(
            operate(other, json!({"command": "resume"})).await["done"],
            true
        );
    }
    claim(&early, &approval).await.unwrap();
}

/// A process that is killed at a write has paused or it has not, and in both cases nothing is half-done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_killed_has_paused_if_its_row_is_written_and_otherwise_not() {
    let settings = shared();
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let standing = standing(&settings);
    let writes = |request: &str| request.starts_with("POST ") && request.contains("/standing");
    for (fault, written) in [
        (Fault::SilenceAfter, true),
        (Fault::Hold(Arc::new(Semaphore::new(0))), false),
    ] {
        let proxy = Proxy::start(azurite().port).await;
        proxy.fault(writes, fault);
        let connection = crate::azurite::connection_string(proxy.port);
        let mut child = binary()
            .args(PAUSE)
            .envs(backing_store::borrowed(&settings))
            .env("HO_TABLES_CONNECTION_STRING", connection)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        eventually(async || {
            let arrived = proxy.requests().iter().any(|request| writes(request));
            let is_there = standing.rows().await.len() == 2;
            (arrived && is_there == written).then_some(())
        })
        .await;
        child.kill().await.unwrap();
        let output = within(child.wait_with_output()).await.unwrap();
        assert_eq!(output.stdout, b"", "it was killed before it printed");
        if written {
            assert_paused(claim(&gate, &approval).await);
            operate(&gate, json!({"command": "resume"})).await;
        } else {
            claim(&gate, &approval).await.unwrap();
        }
        assert_eq!(standing.rows().await.len(), 1, "only the gate's id");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_cannot_be_read_is_503_and_never_no_pause() {
    let settings = shared();
    let proxy = Proxy::start(azurite().port).await;
    let mut through = backing_store::borrowed(&settings);
    let connection = crate::azurite::connection_string(proxy.port);
    through[1].1 = &connection;
    let gate = TestGate::with(&through).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let standing = standing(&settings);

    // Changed by a party with write access to the table: whichever scope it had.
    let pause = json!({"command": "pause", "because": "x", "agent": "Another"});
    operate(&gate, pause.clone()).await;
    claim(&gate, &gate.ask().await).await.unwrap_err();
    let rows = standing.rows().await;
    let mut row = rows
        .into_iter()
        .find(|row| row["PartitionKey"] == "pause")
        .unwrap();
    row["Reason"] = json!("y");
    standing.put(&row).await;
    assert_unavailable(claim(&gate, &approval).await);
    // It is replaced by a new pause, and removed by a resume.
    operate(&gate, pause).await;
    standing.put(&row).await;
    assert_unavailable(claim(&gate, &approval).await);
    operate(&gate, json!({"command": "resume", "agent": "another"})).await;

    // The store is asked twice within 7 s.
    for status in [500, 503] {
        let lists = |request: &str| request.starts_with("GET ") && request.contains("/standing");
        let busy = || Fault::Answer {
            status,
            retry_after: Some(5),
            body: "",
        };
        proxy.fault(lists, busy());
        proxy.fault(lists, busy());
        assert_unavailable(claim(&gate, &approval).await);
        assert!(proxy.all_faults_applied());
    }
    standing.drop_table().await;
    assert_unavailable(claim(&gate, &approval).await);
    let held = [&through[..], &[("HO_PAUSED", "1")]].concat();
    let fresh = TestGate::with(&held).await;
    let rows = standing.rows().await;
    assert_eq!(rows.len(), 1, "a paused start creates the table");
    drop(fresh);
    // One that ran before is not paused.
    assert_unavailable(claim(&gate, &approval).await);
    let gate = TestGate::with(&through).await;
    claim(&gate, &approval).await.unwrap();
}

/// The write of a claim that is held up is not sent later than 10 s after the pauses were read: a pause that
/// was set meanwhile is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_held_up_for_10_s_reads_the_pauses_again() {
    let settings = shared();
    let proxy = Proxy::start(azurite().port).await;
    let mut through = backing_store::borrowed(&settings);
    let connection = crate::azurite::connection_string(proxy.port);
    through[1].1 = &connection;
    let gate = TestGate::with(&through).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    proxy.clear();
    let table = settings[2].1.clone();
    let of_row = move |method: &str| {
        let beginning = format!("{method} /devstoreaccount1/{table}(");
        move |request: &str| request.starts_with(&beginning)
    };
    // Reading the row takes 6 s, and the first answer to its write never comes.
    for _ in 0..3 {
        let busy = Fault::Answer {
            status: 503,
            retry_after: Some(2),
            body: "",
        };
        proxy.fault(of_row("GET"), busy);
    }
    proxy.fault(of_row("PUT"), Fault::Silence);
    proxy.fault(
        of_row("PUT"),
        Fault::Answer {
            status: 503,
            retry_after: Some(2),
            body: "",
        },
    );
    let began = Instant::now();
    let pausing = async {
        let puts = of_row("PUT");
        eventually(async || proxy.requests().iter().any(|it| puts(it)).then_some(())).await;
        command(&backing_store::borrowed(&settings), &PAUSE).await;
    };
    let (claimed, ()) = tokio::join!(claim(&gate, &approval), pausing);
    assert_paused(claimed);
    assert!(
        began.elapsed() >= Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    let row = gate.status(&approval.id).await;
    assert_eq!(row.execution, None, "it was not claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_rows_of_version_1_a_pause_works_too() {
    let settings = shared();
    let settings = [&backing_store::borrowed(&settings)[..], &[("HO_ROWS", "1")]].concat();
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    // On a store without the gate's id, the tool must know it.
    let (said, code) = run(&settings, &PAUSE).await;
    assert!(code == 2 && said.contains("set HO_GATE_ID"), "{said}");
    let with_address = [
        &settings[..],
        &[("HO_BASE_URL", "https://gate.example.com")],
    ]
    .concat();
    command(&with_address, &PAUSE).await;
    assert_paused(claim(&gate, &approval).await);
    command(&settings, &["resume"]).await;
    claim(&gate, &approval).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_gate_the_commands_need_the_master_key_alone() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let url = gate.url.as_str();
    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    let with = |arguments: &[&'static str]| [arguments, &["--url", url]].concat();
    let (said, code) = run(&[("HO_MASTER_KEY", KEY)], &with(&PAUSE)).await;
    assert!(
        code == 2 && said.contains("does not accept HO_MASTER_KEY"),
        "{said}"
    );
    claim(&gate, &approval).await.unwrap();

    let scope = ["--agent", AGENT];
    let said = command(&key, &[&with(&PAUSE)[..], &scope].concat()).await;
    assert!(
        said.contains("this holds only where HO_AGENT_KEYS"),
        "{said}"
    );
    assert_eq!(said.matches(&approval.id).count(), 2, "{said}");
    assert_paused(gate.client.submit(&request()).await);
    let listed = command(&key, &with(&["executing"])).await;
    assert!(
        listed.starts_with(&format!("Paused: the agent {AGENT}, since ")),
        "{listed}"
    );
    let (said, code) = run(&key, &with(&["resume"])).await;
    assert!(
        code == 1 && said.contains("Still paused: the agent "),
        "{said}"
    );
    let said = command(&key, &[&with(&["resume"])[..], &scope].concat()).await;
    assert_eq!(said, format!("Resumed: the agent {AGENT}.\n"));
    gate.client.submit(&request()).await.unwrap();
}

#[tokio::test]
async fn wrong_arguments_of_the_commands_do_nothing() {
    for (settings, arguments, words) in [
        (vec![], vec!["pause"], "--because <TEXT>"),
        (
            vec![],
            vec!["resume", "--owner", "a", "--agent", "b"],
            "cannot be used with",
        ),
        (
            vec![],
            vec!["resume", "--owner", "a"],
            "`agents:NAME`, `key:SHA256`, `entra:OBJECT-ID` or `local`",
        ),
        (
            vec![],
            vec!["pause", "--because", ""],
            "1 to 500 characters",
        ),
        (
            vec![],
            vec!["resume", "--url", "http://gate.example.com"],
            "https://HOST",
        ),
        (
            vec![],
            vec!["resume", "--url", "https://u:p@gate.example.com"],
            "https://HOST",
        ),
        (
            vec![],
            vec!["resume", "--url", "https://gate.example.com"],
            "HO_MASTER_KEY is not set",
        ),
        (
            vec![("HO_STORE", "embedded:/nowhere")],
            vec!["resume"],
            "there is no store in",
        ),
    ] {
        let (said, code) = run(&settings, &arguments).await;
        assert!(code == 2 && said.contains(words), "{arguments:?}: {said}");
    }
    // A wrong name is not taken for a new table.
    let settings = shared();
    let (said, code) = run(&backing_store::borrowed(&settings), &PAUSE).await;
    assert!(
        code == 2 && said.contains("the table cannot be read"),
        "{said}"
    );
    assert_eq!(standing(&settings).rows().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_gate_without_a_host_takes_the_commands_from_this_machine() {
    let gate = TestGate::alone().await;
    let (said, code) = run(&[], &[&PAUSE[..], &["--url", &gate.url]].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert_paused(gate.client.submit(&request()).await);
    let call = gate.http.post(gate.direct("/api/operate"));
    let call = call
        .header("host", "gate.example.com")
        .json(&json!({"command": "resume"}));
    assert_eq!(call.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_pause_of_a_keys_digest_holds_whatever_the_list_gives_the_key() {
    let digest = |key: &str| {
        human_oversight_client::parameters::hex(&human_oversight_client::parameters::sha256(
            key.as_bytes(),
        ))
    };
    let keys = format!("{}=UserManager*", digest(KEY));
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let pause = json!({
        "command": "pause", "because": "an incident", "owner": format!("key:{}", digest(KEY)),
    });
    operate(&gate, pause).await;
    let nonce = r#"{"nonce":"0123456789abcdef"}"#;
    let refused = gate
        .post(&format!("/api/claim/{}", approval.id), nonce)
        .await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(
        refused.problem()["type"],
        "urn:human-oversight:problem:paused"
    );
}
