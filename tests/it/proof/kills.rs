//! SIGKILL at any moment, under load, behind the stand-in host: whatever was acknowledged before a kill
//! still holds after it.
//!
//! The kernel keeps the writes of a killed process, so these tests do not cover power loss. There the
//! embedded store relies on SQLite (`synchronous=FULL`), and the table store on the service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use human_oversight::domain::{self, DeliveryState, Execution};
use human_oversight::values::Timestamp;
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::{Claim, ExecutionStatus, NewApproval, Report, Status};
use human_oversight_client::{Client, Error};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dice::{self, Dice};
use super::{cases, record};
use crate::azurite::azurite;
use crate::backing_store::{borrowed, tables};
use crate::deadline::{eventually, within};
use crate::end_to_end;
use crate::harness::{ALICE, BOB, Mail, Question, TestGate, question, request};
use crate::host::{Health, KEY};
use crate::process::decide_at;

/// The number of concurrent agents.
const AGENTS: u64 = 6;

/// The host gives up a handler that ends this many times within half an hour.
const KILLS_OF_A_HOST: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged_by_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    kill_loop("kills_embedded", dir, &settings, cases(20, 210)).await;
}

/// Only the gate is killed, because Azurite loses acknowledged data when it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged_by_the_table_store() {
    let dir = tempfile::tempdir().unwrap();
    let settings = tables(azurite().port);
    kill_loop("kills_tables", dir, &borrowed(&settings), cases(6, 60)).await;
}

/// What the gate has acknowledged about one request.
#[derive(Clone, Debug, Default)]
struct Acknowledgements {
    id: Option<String>,
    decision: Option<Status>,
    granted: BTreeSet<String>,
    reported: bool,
}

/// The state that all agents share.
struct Agents {
    url: String,
    mail: PathBuf,
    /// By correlation id.
    acknowledged: Mutex<BTreeMap<String, Acknowledgements>>,
    /// The correlation ids of requests that an agent must continue.
    unfinished: Mutex<Vec<String>>,
    started: AtomicU64,
    responses: AtomicU64,
    /// Calls that were retried, because a kill cut them off or no gate was listening.
    retries: AtomicU64,
    stop: AtomicBool,
}

/// The agents were stopped before the call got its response.
struct Stopped;

async fn kill_loop(name: &str, dir: TempDir, settings: &[(&str, &str)], kills: u64) {
    let mut dice = Dice(dice::first());
    eprintln!("HO_PROOF_SEED={}", dice.0);
    let mut agents = Agents {
        url: String::new(),
        mail: dir.path().join("mail"),
        acknowledged: Mutex::default(),
        unfinished: Mutex::default(),
        started: AtomicU64::new(0),
        responses: AtomicU64::new(0),
        retries: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let mut killed = 0;
    while killed < kills || !enough(&agents) {
        assert!(killed < 10 * kills, "too little happens between the kills");
        let mut host = end_to_end::host(dir.path(), None, settings).await;
        agents.url = host.url.clone();
        agents.stop = AtomicBool::new(false);
        let shared = Arc::new(agents);
        let mut working = JoinSet::new();
        for _ in 0..AGENTS {
            working.spawn(shared.clone().work());
        }
        for kill in 1..=KILLS_OF_A_HOST {
            // A random number of further responses, then a random delay, so that kills hit any operation.
            let until = shared.responses.load(Ordering::SeqCst) + dice.next() % 24;
            tokio::select! {
                () = within(shared.wait_for_responses(until)) => {}
                // An agent that ends before the stop has failed, and so has the test.
                Some(ended) = working.join_next() => panic!("an agent ended: {ended:?}"),
            }
            sleep(Duration::from_micros(dice.next() % 10_000)).await;
            host.kill_handler().await;
            killed += 1;
            if kill < KILLS_OF_A_HOST {
                host.until(Health::Ready).await;
            }
        }
        shared.stop.store(true, Ordering::SeqCst);
        within(working.join_all()).await;
        agents = Arc::into_inner(shared).expect("all agents have stopped");
    }
    let retries = agents.retries.load(Ordering::SeqCst);
    let acknowledged = agents.acknowledged.into_inner().unwrap();
    let figures = [("kills", killed), ("calls made again", retries)];
    recover(name, dir, settings, acknowledged, &figures).await;
}

/// Whether each kind of acknowledgement has occurred often enough for the test to be meaningful.
fn enough(agents: &Agents) -> bool {
    let acknowledged = agents.acknowledged.lock().unwrap();
    let count = |happened: fn(&Acknowledgements) -> bool| {
        acknowledged
            .values()
            .filter(|acknowledged| happened(acknowledged))
            .count()
    };
    count(|acknowledged| acknowledged.decision == Some(Status::Rejected)) >= 5
        && count(|acknowledged| acknowledged.reported) >= 10
        && agents.retries.load(Ordering::SeqCst) >= 10
}

impl Agents {
    /// Runs one request after the other until `stop` is set.
    async fn work(self: Arc<Self>) {
        while !self.stop.load(Ordering::SeqCst) {
            let unfinished = self.unfinished.lock().unwrap().pop();
            let fresh = || format!("life-{}", self.started.fetch_add(1, Ordering::SeqCst));
            let correlation = unfinished.unwrap_or_else(fresh);
            if self.run_lifecycle(&correlation).await.is_err() {
                self.unfinished.lock().unwrap().push(correlation);
            }
        }
    }

    /// Runs the lifecycle of a request, from the start each time an agent continues it. Every call is
    /// retried until it gets a response.
    async fn run_lifecycle(&self, correlation: &str) -> Result<(), Stopped> {
        let client = Client::new(&self.url, Some(KEY)).unwrap();
        let number: u64 = correlation.rsplit('-').next().unwrap().parse().unwrap();
        let new = NewApproval {
            // At most 500 requests per agent name, so that a fast machine stays below the open limit.
            agent_name: format!("Agent{}", number / 500),
            correlation_id: Some(correlation.to_owned()),
            ..request()
        };
        let submitted = self
            .retry_until_response(|| client.submit(&new))
            .await?
            .unwrap();
        let id = submitted.id;
        self.acknowledge(correlation, |acknowledged| {
            acknowledged.id = Some(id.clone())
        });

        // One request in eight is left for a decision after recovery. If a kill prevented the email, the
        // request also stays pending.
        let email = email_path(&self.mail, &id, &submitted.request_timestamp, 0, "question");
        if number % 8 == 7 || !email.exists() {
            return Ok(());
        }
        let asked = question_at(&self.url, &email, &id, ALICE);
        let (form, status) = match number % 4 {
            3 => ("decision=reject".to_owned(), Status::Rejected),
            _ => (
                format!("decision=approve&code={}", asked.code),
                Status::Approved,
            ),
        };
        self.submit_decision(&client, &id, &asked, &form).await?;
        self.acknowledge(correlation, |acknowledged| {
            acknowledged.decision = Some(status)
        });
        if status == Status::Rejected {
            return Ok(());
        }

        // Two agents claim the same approval with different nonces, each until it gets a response.
        let claims = ["one", "other"].map(|who| Claim {
            nonce: format!("{who}-0123456789.{correlation}"),
            secret: None,
        });
        let [one, other] = claims
            .each_ref()
            .map(|claim| self.retry_until_response(|| client.claim(&id, claim)));
        let (one, other) = tokio::join!(one, other);
        for (claim, response) in claims.iter().zip([one?, other?]) {
            if response.is_ok() {
                self.acknowledge(correlation, |acknowledged| {
                    acknowledged.granted.insert(claim.nonce.clone());
                });
            }
        }
        let report = Report {
            status: ExecutionStatus::Executed,
            error: None,
            nonce: None,
            secret: None,
        };
        self.retry_until_response(|| client.outcome(&id, &report))
            .await?
            .unwrap();
        self.acknowledge(correlation, |acknowledged| acknowledged.reported = true);
        Ok(())
    }

    fn acknowledge(&self, correlation: &str, update: impl FnOnce(&mut Acknowledgements)) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        update(acknowledged.entry(correlation.to_owned()).or_default());
    }

    /// Returns once the agents have received this number of responses.
    async fn wait_for_responses(&self, responses: u64) {
        while self.responses.load(Ordering::SeqCst) < responses {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Retries a call until the gate responds, whether with success or refusal.
    async fn retry_until_response<T, Calling: Future<Output = Result<T, Error>>>(
        &self,
        call: impl Fn() -> Calling,
    ) -> Result<Result<T, Error>, Stopped> {
        while !self.stop.load(Ordering::SeqCst) {
            match call().await {
                Err(Error::Unreachable { .. } | Error::Unavailable { .. }) => self.pause().await,
                response => {
                    self.responses.fetch_add(1, Ordering::SeqCst);
                    return Ok(response);
                }
            }
        }
        Err(Stopped)
    }

    /// Submits the form until the gate confirms that the decision is recorded, or its status shows it.
    async fn submit_decision(
        &self,
        client: &Client,
        id: &str,
        asked: &Question,
        form: &str,
    ) -> Result<(), Stopped> {
        while !self.stop.load(Ordering::SeqCst) {
            match decide_at(&asked.link, form).await {
                Ok(303) => {
                    self.responses.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                // The host's own response, or the page of a request that is already decided.
                Ok(0) => {
                    let status = self
                        .retry_until_response(|| client.status(id, Duration::ZERO))
                        .await?;
                    if status.unwrap().0.status != Status::Pending {
                        return Ok(());
                    }
                    self.pause().await;
                }
                Ok(500 | 503) | Err(_) => self.pause().await,
                Ok(other) => panic!("{other}"),
            }
        }
        Err(Stopped)
    }

    async fn pause(&self) {
        self.retries.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(5)).await;
    }
}

/// The path of an email's file, named as the gate names it.
fn email_path(folder: &Path, id: &str, requested_at: &str, approver: usize, kind: &str) -> PathBuf {
    let digest = hex(&sha256(format!("{id} {requested_at}").as_bytes())[..16]);
    folder.join(format!("{digest}.{approver}.{kind}.eml"))
}

/// The link and code of an email, with the link rewritten to the current host: the email may have been
/// sent while an earlier host ran.
fn question_at(url: &str, email: &Path, id: &str, approver: &str) -> Question {
    let mail = Mail::parse(&std::fs::read_to_string(email).unwrap());
    let asked = question(&[mail], id, approver);
    let (_, path) = asked.link.split_once("/api/").unwrap();
    let link = format!("{url}/api/{path}");
    Question { link, ..asked }
}

/// A gate whose clock is two minutes ahead completes what the killed processes left unfinished.
async fn recover(
    name: &str,
    dir: TempDir,
    settings: &[(&str, &str)],
    acknowledgements: BTreeMap<String, Acknowledgements>,
    figures: &[(&str, u64)],
) {
    assert_integrity(dir.path());
    let gate = TestGate::at(dir, settings).await;
    gate.pass(Duration::from_secs(120));
    for _ in 0..2 {
        // A sweep that reaches its time limit leaves the rest to the next sweep.
        eventually(async || gate.sweep().await.ends_with("complete: true").then_some(())).await;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(120);
    let now = Timestamp::from_unix_millis(i64::try_from(now.as_millis()).unwrap()).unwrap();
    let mut rows = BTreeMap::new();
    let mut from = None;
    loop {
        let (page, next) = gate.store.all(from).await.unwrap();
        for row in page {
            let row = row.approval.expect("every row can be read");
            rows.insert(row.request.id.to_string(), row);
        }
        from = next;
        if from.is_none() {
            break;
        }
    }

    let (mut acknowledged, mut decided, mut granted, mut reported) = (0, 0, 0, 0);
    for request in acknowledgements.values() {
        let Some(id) = &request.id else { continue };
        let row = rows.get(id).expect("an acknowledged request is stored");
        acknowledged += 1;
        if let Some(decision) = request.decision {
            assert_eq!(gate.status(id).await.status, decision, "{request:?}");
            decided += 1;
        }
        assert!(
            request.granted.len() <= 1,
            "the action would run twice: {request:?}"
        );
        let execution = row.execution(now);
        for claimed in &request.granted {
            let held = match &execution {
                Some(Execution::Executing { claim, .. } | Execution::Executed { claim, .. }) => {
                    &claim.nonce
                }
                other => panic!("{request:?}: {other:?}"),
            };
            assert_eq!(held, claimed);
            granted += 1;
        }
        if request.reported {
            assert!(
                matches!(execution, Some(Execution::Executed { .. })),
                "{request:?}"
            );
            assert_eq!(
                request.granted.len(),
                1,
                "a report without a claim: {request:?}"
            );
            reported += 1;
        }
    }

    // No email is missing, whether the request was acknowledged or not.
    let (mut sent, mut pending) = (0, Vec::new());
    let folder = gate.mail_folder();
    for (id, row) in &rows {
        let is_pending = row.status(now) == domain::Status::Pending;
        let requested_at = row.request.requested_at.to_string();
        let file = |approver, kind: &str| email_path(&folder, id, &requested_at, approver, kind);
        for (index, approver) in row.approvers.iter().enumerate() {
            for delivery in &approver.deliveries {
                let kind = delivery.notice.word().to_ascii_lowercase();
                let is_settled = match delivery.state {
                    DeliveryState::Sent(_) => file(index, &kind).is_file(),
                    DeliveryState::Queued(at) => at > now,
                    // The other approver decided before this email was sent.
                    DeliveryState::Dropped(_) => !is_pending,
                    _ => false,
                };
                assert!(is_settled, "{id}, {}: {delivery:?}", approver.address);
                sent += u64::from(matches!(delivery.state, DeliveryState::Sent(_)));
            }
            if is_pending {
                assert!(
                    file(index, "question").is_file(),
                    "{id}: {}",
                    approver.address
                );
            }
        }
        if is_pending {
            let index = pending.len() % 2;
            let asked = question_at(&gate.url, &file(index, "question"), id, [ALICE, BOB][index]);
            pending.push(asked);
        }
    }
    // Every pending request can still be decided, by either approver.
    for asked in &pending {
        let form = format!("decision=approve&code={}", asked.code);
        assert_eq!(decide_at(&asked.link, &form).await.unwrap(), 303);
    }

    let more = [
        ("submits", acknowledged),
        ("decisions", decided),
        ("claims", granted),
        ("outcomes", reported),
        ("rows", rows.len() as u64),
        ("emails", sent),
        ("decided afterwards", pending.len() as u64),
    ];
    record(name, &[figures, &more].concat());
}

/// Runs SQLite's integrity check on the embedded store, if the test uses one.
fn assert_integrity(dir: &Path) {
    let file = dir.join("approvals.db");
    if file.exists() {
        let connection = rusqlite::Connection::open(file).unwrap();
        let result: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(result, "ok");
    }
}
