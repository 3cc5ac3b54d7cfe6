//! An upgrade with overlapping instances: the gate of an earlier commit and this one on one table.
//!
//! The earlier gate is built from the repository's history, into `target/rolling`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use human_oversight_client::types::{Approval, ExecutionStatus, Status, Withdrawal};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, Question, for_alice, http, mails, question, repository};
use crate::outcome::report;
use crate::process::{self, Process, binary, decide_at};

/// The last commit whose gate knows rows of version 1 only.
const EARLIER: &str = "97a4bed";

/// The program of that commit, which is built once.
async fn earlier_program() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(build_earlier_program).await
}

async fn build_earlier_program() -> PathBuf {
    let folder = repository().join("target/rolling").join(EARLIER);
    let program = folder.join("build/debug/human-oversight");
    if !program.exists() {
        check_out(&folder.join("source")).await;
        build(&folder).await;
    }
    program
}

async fn check_out(source: &Path) {
    let commit = format!("{EARLIER}^{{commit}}");
    let mut known = Command::new("git");
    let known = known
        .args(["cat-file", "-e", &commit])
        .current_dir(repository());
    assert!(
        known.status().await.unwrap().success(),
        "this clone has no commit {EARLIER}, from which an earlier gate is built: the clone is shallow, or this \
         is not a clone. `git fetch --unshallow` brings the history."
    );
    std::fs::create_dir_all(source).unwrap();
    let archive = source.join("../source.tar");
    let archive = archive.to_str().unwrap();
    let mut export = Command::new("git");
    export.args(["archive", "-o", archive, EARLIER]);
    run(export.current_dir(repository())).await;
    let mut unpack = Command::new("tar");
    run(unpack.args(["-xf", archive]).current_dir(source)).await;
}

async fn build(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        // The variables that cargo sets for a test would change the other build.
        let name = name.into_string().unwrap();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    cargo
        .args([
            "build",
            "--locked",
            "--bin",
            "human-oversight",
            "--target-dir",
        ])
        .arg(folder.join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(folder.join("source"));
    run(&mut cargo).await;
}

async fn run(command: &mut Command) {
    let limit = Duration::from_secs(1_200);
    let ended = tokio::time::timeout(limit, command.kill_on_drop(true).status()).await;
    let status = ended.expect("it ends in time").unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// One instance, with a separate mail folder.
struct Instance {
    gate: Process,
    dir: tempfile::TempDir,
}

impl Instance {
    async fn start(program: Option<&Path>, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let command = match program {
            None => binary(),
            Some(program) => {
                let mut command = Command::new(program);
                command.env_clear().kill_on_drop(true);
                command
            }
        };
        let gate = Process::spawn(command, dir.path(), settings).await;
        Self { gate, dir }
    }

    async fn submit(&self) -> (Approval, Question) {
        let approval = self.gate.client().submit(&for_alice()).await.unwrap();
        let mails = mails(&self.dir.path().join("mail"));
        let question = question(&mails, &approval.id, ALICE);
        (approval, question)
    }

    /// Decides on this instance, with the link of an email of `other`.
    async fn decide(&self, other: &Self, question: &Question, form: &str) -> u16 {
        let link = question.link.replace(&other.gate.url, &self.gate.url);
        let form = form.replace("CODE", &question.code);
        decide_at(&link, &form).await.unwrap()
    }

    async fn status(&self, id: &str) -> Approval {
        let status = self.gate.client().status(id, Duration::ZERO).await;
        Approval {
            status_url: String::new(),
            ..status.unwrap().0
        }
    }

    /// The status code of the response to a call about a request.
    async fn call_status(&self, path: &str, id: &str, body: Option<&str>) -> u16 {
        let url = format!("{}/api/{path}/{id}", self.gate.url);
        let http = http().build().unwrap();
        let call = match body {
            None => http.get(url),
            Some(body) => http
                .post(url)
                .header("content-type", "application/json")
                .body(body.to_owned()),
        };
        call.send().await.unwrap().status().as_u16()
    }
}

/// Checks that both instances return the same status of a request.
async fn assert_same_status(instances: [&Instance; 2], id: &str) -> Approval {
    let [one, other] = [instances[0].status(id).await, instances[1].status(id).await];
    // A sweep between the two calls may have sent an email; it changes no other member.
    assert_eq!(one, other);
    one
}

const NONCE: &str = "0123456789abcdef";

/// Runs a complete lifecycle, each step on the instance that the bits of `turns` select.
async fn run_lifecycle(instances: [&Instance; 2], turns: usize) {
    let on = |step: usize| instances[turns >> step & 1];
    let (approval, question) = on(0).submit().await;
    let id = &approval.id;
    assert_same_status(instances, id).await;
    let form = "decision=approve&code=CODE&comment=Yes";
    assert_eq!(
        on(1).decide(on(0), &question, form).await,
        303,
        "{turns:04b}"
    );
    let decided = assert_same_status(instances, id).await;
    assert_eq!(decided.status, Status::Approved);
    on(2).gate.client().claim(id, &claim(NONCE)).await.unwrap();
    let claimed = assert_same_status(instances, id).await;
    assert_eq!(
        claimed.execution.unwrap().status,
        ExecutionStatus::Executing
    );
    // The same claim again, on the other instance.
    let again = instances[1 - (turns >> 2 & 1)].gate.client();
    again.claim(id, &claim(NONCE)).await.unwrap();
    again
        .claim(id, &claim("fedcba9876543210"))
        .await
        .unwrap_err();
    let error = (turns.is_multiple_of(3)).then_some("it broke");
    let outcome = on(3).gate.client().outcome(id, &report(error)).await;
    outcome.unwrap();
    let ended = assert_same_status(instances, id).await.execution.unwrap();
    let expected = match error {
        None => ExecutionStatus::Executed,
        Some(_) => ExecutionStatus::ExecutionFailed,
    };
    assert_eq!(ended.status, expected, "{turns:04b}");
}

/// Runs a rejected and a withdrawn request.
async fn run_refused(instances: [&Instance; 2], turns: usize) {
    let on = |step: usize| instances[turns >> step & 1];
    let (rejected, question) = on(0).submit().await;
    let wrong = "decision=approve&code=000000x";
    assert_eq!(on(1).decide(on(0), &question, wrong).await, 403);
    let form = "decision=reject&comment=no";
    assert_eq!(on(1).decide(on(0), &question, form).await, 303);
    let (withdrawn, question) = on(0).submit().await;
    let withdrawal = Withdrawal::default();
    let withdraw = on(1)
        .gate
        .client()
        .withdraw(&withdrawn.id, &withdrawal)
        .await;
    withdraw.unwrap();
    let form = "decision=approve&code=CODE";
    assert_ne!(on(0).decide(on(0), &question, form).await, 303);
    for (id, status) in [
        (&rejected.id, Status::Rejected),
        (&withdrawn.id, Status::Cancelled),
    ] {
        assert_eq!(assert_same_status(instances, id).await.status, status);
        for instance in instances {
            let refused = instance.gate.client().claim(id, &claim(NONCE)).await;
            refused.unwrap_err();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "scripts/test --all runs it: it builds an earlier gate from the repository's history"]
async fn an_earlier_gate_and_this_one_share_a_table() {
    let earlier = earlier_program().await;
    let settings = backing_store::tables(azurite().port);
    // A sweep of another instance would write a row again, in that instance's version.
    let once = [("HO_SWEEP_SECONDS", "86400")];
    let settings = [&backing_store::borrowed(&settings)[..], &once].concat();
    let version_1 = [&settings[..], &[("HO_ROWS", "1")]].concat();
    let old = Instance::start(Some(earlier), &version_1).await;
    let new = Instance::start(None, &version_1).await;
    let both = [&old, &new];
    for turns in 0..16 {
        run_lifecycle(both, turns).await;
    }
    for turns in 0..4 {
        run_refused(both, turns).await;
    }
    let table = Table::of(azurite().port, settings[2].1);
    let seals = table.rows().await;
    let seals = seals.iter().map(|row| row["RowSeal"].as_str().unwrap());
    assert!(seals.clone().count() == 24 && seals.clone().all(|seal| !seal.contains(':')));

    // The old gate refuses every call about a row of version 2; the new one reads both versions.
    let newest = Instance::start(None, &settings).await;
    let (approval, question) = newest.submit().await;
    let id = &approval.id;
    let nonce = format!("{{\"nonce\":\"{NONCE}\"}}");
    let k = question.link.split_once('?').unwrap().1;
    let page = format!("{id}?{k}");
    for (path, about, body) in [
        ("status", id.as_str(), None),
        ("decision", page.as_str(), None),
        ("claim", id, Some(nonce.as_str())),
        ("withdraw", id, Some("{}")),
    ] {
        assert_eq!(old.call_status(path, about, body).await, 500, "{path}");
    }
    assert_eq!(
        assert_same_status([&new, &newest], id).await.status,
        Status::Pending
    );
    let (of_old, by_old) = old.submit().await;
    let form = "decision=approve&code=CODE";
    assert_eq!(newest.decide(&old, &by_old, form).await, 303);
    assert_eq!(old.call_status("status", &of_old.id, None).await, 500);
    assert_eq!(
        assert_same_status([&new, &newest], &of_old.id).await.status,
        Status::Approved
    );

    // The old gate reads a row that a gate with HO_ROWS=1 has written again.
    assert_eq!(new.decide(&newest, &question, form).await, 303);
    assert_eq!(assert_same_status(both, id).await.status, Status::Approved);
    newest.gate.client().claim(id, &claim(NONCE)).await.unwrap();
    assert_eq!(old.call_status("status", id, None).await, 500);
    for instance in [old, new, newest] {
        instance.gate.kill().await;
    }
}

/// What a runbook leaves behind at a step, and what it becomes at the next, on an instance of the other version.
struct Left {
    open: (Approval, Question),
    approved: Approval,
    executing: Approval,
    rejected: Approval,
}

impl Left {
    async fn by(instance: &Instance) -> Self {
        let decided = async |form: &str| {
            let (approval, question) = instance.submit().await;
            assert_eq!(instance.decide(instance, &question, form).await, 303);
            approval
        };
        let approve = "decision=approve&code=CODE";
        let executing = decided(approve).await;
        let client = instance.gate.client();
        client.claim(&executing.id, &claim(NONCE)).await.unwrap();
        Self {
            open: instance.submit().await,
            approved: decided(approve).await,
            executing,
            rejected: decided("decision=reject&comment=no").await,
        }
    }

    /// Ends all on an instance that has replaced the one that wrote it.
    async fn end_on(&self, later: &Instance, earlier_url: &str) {
        let client = later.gate.client();
        let (open, question) = &self.open;
        let link = question.link.replace(earlier_url, &later.gate.url);
        let form = format!("decision=approve&code={}", question.code);
        assert_eq!(decide_at(&link, &form).await.unwrap(), 303);
        for approval in [open, &self.approved] {
            client.claim(&approval.id, &claim(NONCE)).await.unwrap();
        }
        for approval in [open, &self.approved, &self.executing] {
            client.outcome(&approval.id, &report(None)).await.unwrap();
            let ended = later.status(&approval.id).await;
            let execution = ended.execution.unwrap().status;
            assert_eq!(
                (ended.status, execution),
                (Status::Approved, ExecutionStatus::Executed)
            );
        }
        assert_eq!(
            later.status(&self.rejected.id).await.status,
            Status::Rejected
        );
        let refused = client.claim(&self.rejected.id, &claim(NONCE)).await;
        refused.unwrap_err();
    }
}

/// *Upgrade and rollback* of docs/operations.md, with one instance after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "scripts/test --all runs it: it builds an earlier gate from the repository's history"]
async fn the_runbook_of_upgrade_and_rollback_loses_nothing() {
    let earlier = earlier_program().await;
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let version_1 = [&settings[..], &[("HO_ROWS", "1")]].concat();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("approvals.jsonl");
    let copy = copy.to_str().unwrap();

    // 1. What changes, and a backup; both by the new program, beside the gate that runs.
    let old = Instance::start(Some(earlier), &settings).await;
    let (left, url) = (Left::by(&old).await, old.gate.url.clone());
    let (said, code) = process::run(&version_1, &["check", "--upgrade"]).await;
    assert!(code == 1 && said.contains("HO_RUN_WITHIN"), "{said}");
    let (said, code) = process::run(&settings, &["backup", copy]).await;
    assert!(code == 0 && said.contains("4 rows were copied"), "{said}");
    old.gate.kill().await;

    // 2. and 3. The new version with rows of version 1; `check` finds nothing that fails.
    let new = Instance::start(None, &version_1).await;
    left.end_on(&new, &url).await;
    let (said, code) = process::run(&version_1, &["check"]).await;
    assert!(code < 2, "{said}");
    let (left, url) = (Left::by(&new).await, new.gate.url.clone());
    new.gate.kill().await;

    // 4. Back to the earlier one, which reads all that the later one wrote.
    let old = Instance::start(Some(earlier), &settings).await;
    left.end_on(&old, &url).await;
    old.gate.kill().await;

    // Without the setting, the rows of the later version wait, unchanged, until it is back.
    let new = Instance::start(None, &settings).await;
    let (left, url) = (Left::by(&new).await, new.gate.url.clone());
    new.gate.kill().await;
    let old = Instance::start(Some(earlier), &settings).await;
    let all = [
        &left.open.0,
        &left.approved,
        &left.executing,
        &left.rejected,
    ];
    for approval in all {
        assert_eq!(old.call_status("status", &approval.id, None).await, 500);
    }
    old.gate.kill().await;
    let new = Instance::start(None, &settings).await;
    left.end_on(&new, &url).await;
    new.gate.kill().await;
    let (said, code) = process::run(&settings, &["verify"]).await;
    assert!(code == 0 && said.contains("0 problems"), "{said}");
    // The copy of before is still one that can be restored.
    let elsewhere = [&settings[..], &[("HO_TABLE", "copied")]].concat();
    let (said, code) = process::run(&elsewhere, &["restore", copy]).await;
    assert!(
        code == 0 && said.starts_with("4 rows were put back"),
        "{said}"
    );
}
