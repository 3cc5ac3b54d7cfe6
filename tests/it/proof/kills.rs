//! SIGKILL at any moment, under load, behind the stand-in host: what somebody was told is still so
//! afterwards.
//!
//! A killed process leaves its writes to the kernel, so this says nothing of a machine that loses
//! power: there the embedded store has SQLite's word (`synchronous=FULL`), and the tables the service's.

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

/// So many agents are at it at once.
const AGENTS: u64 = 6;

/// The host gives up a handler that ended so many times within half an hour.
const KILLS_OF_A_HOST: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged_by_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    kill_loop("kills_embedded", dir, &settings, cases(20, 210)).await;
}

/// Only the gate is killed: Azurite itself loses what it acknowledged when it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged_by_the_table_store() {
    let dir = tempfile::tempdir().unwrap();
    let settings = tables(azurite().port);
    kill_loop("kills_tables", dir, &borrowed(&settings), cases(6, 60)).await;
}

/// What somebody was told had happened to a request.
#[derive(Clone, Debug, Default)]
struct Told {
    id: Option<String>,
    decision: Option<Status>,
    granted: BTreeSet<String>,
    reported: bool,
}

/// What all agents share.
struct Agents {
    url: String,
    mail: PathBuf,
    /// What they were told, under the correlation id.
    told: Mutex<BTreeMap<String, Told>>,
    /// Requests on their way that somebody has to go on with.
    left: Mutex<Vec<String>>,
    begun: AtomicU64,
    answers: AtomicU64,
    /// Calls that a kill cut off, or that found nobody, and that were made again.
    again: AtomicU64,
    stop: AtomicBool,
}

/// The calls are to be made another time.
struct Stopped;

async fn kill_loop(name: &str, dir: TempDir, settings: &[(&str, &str)], kills: u64) {
    let mut dice = Dice(dice::first());
    eprintln!("HO_PROOF_SEED={}", dice.0);
    let mut agents = Agents {
        url: String::new(),
        mail: dir.path().join("mail"),
        told: Mutex::default(),
        left: Mutex::default(),
        begun: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        again: AtomicU64::new(0),
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
            // After a number of further answers, and then at any moment of what comes next.
            let until = shared.answers.load(Ordering::SeqCst) + dice.next() % 24;
            tokio::select! {
                () = within(shared.hear(until)) => {}
                // An agent that ends before it is stopped has failed, and the test with it.
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
        agents = Arc::into_inner(shared).expect("all have stopped");
    }
    let again = agents.again.load(Ordering::SeqCst);
    let told = agents.told.into_inner().unwrap();
    let figures = [("kills", killed), ("calls made again", again)];
    recover(name, dir, settings, told, &figures).await;
}

/// Whether every kind of acknowledgement was there often enough to mean something.
fn enough(agents: &Agents) -> bool {
    let told = agents.told.lock().unwrap();
    let count = |happened: fn(&Told) -> bool| told.values().filter(|told| happened(told)).count();
    count(|told| told.decision == Some(Status::Rejected)) >= 5
        && count(|told| told.reported) >= 10
        && agents.again.load(Ordering::SeqCst) >= 10
}

impl Agents {
    /// One request after the other, until it is told to stop.
    async fn work(self: Arc<Self>) {
        while !self.stop.load(Ordering::SeqCst) {
            let left = self.left.lock().unwrap().pop();
            let fresh = || format!("life-{}", self.begun.fetch_add(1, Ordering::SeqCst));
            let correlation = left.unwrap_or_else(fresh);
            if self.live(&correlation).await.is_err() {
                self.left.lock().unwrap().push(correlation);
            }
        }
    }

    /// The life of a request, from its beginning each time that somebody goes on with it: every call
    /// is made until it is answered.
    async fn live(&self, correlation: &str) -> Result<(), Stopped> {
        let client = Client::new(&self.url, Some(KEY)).unwrap();
        let number: u64 = correlation.rsplit('-').next().unwrap().parse().unwrap();
        let new = NewApproval {
            // However many requests a fast machine makes: far fewer stay open than one agent may have.
            agent_name: format!("Agent{}", number / 500),
            correlation_id: Some(correlation.to_owned()),
            ..request()
        };
        let submitted = self.answered(|| client.submit(&new)).await?.unwrap();
        let id = submitted.id;
        self.tell(correlation, |told| told.id = Some(id.clone()));

        // One in eight is left to be decided when all is over; one whose mail was cut off must wait.
        let mail = mail(&self.mail, &id, &submitted.request_timestamp, 0, "question");
        if number % 8 == 7 || !mail.exists() {
            return Ok(());
        }
        let asked = asked(&self.url, &mail, &id, ALICE);
        let (form, status) = match number % 4 {
            3 => ("decision=reject".to_owned(), Status::Rejected),
            _ => (
                format!("decision=approve&code={}", asked.code),
                Status::Approved,
            ),
        };
        self.decided(&client, &id, &asked, &form).await?;
        self.tell(correlation, |told| told.decision = Some(status));
        if status == Status::Rejected {
            return Ok(());
        }

        // Two want to run it. Each makes its own claim until it knows.
        let claims = ["one", "other"].map(|who| Claim {
            nonce: format!("{who}-0123456789.{correlation}"),
            secret: None,
        });
        let [one, other] = claims
            .each_ref()
            .map(|claim| self.answered(|| client.claim(&id, claim)));
        let (one, other) = tokio::join!(one, other);
        for (claim, answer) in claims.iter().zip([one?, other?]) {
            if answer.is_ok() {
                self.tell(correlation, |told| {
                    told.granted.insert(claim.nonce.clone());
                });
            }
        }
        let report = Report {
            status: ExecutionStatus::Executed,
            error: None,
            secret: None,
        };
        self.answered(|| client.outcome(&id, &report))
            .await?
            .unwrap();
        self.tell(correlation, |told| told.reported = true);
        Ok(())
    }

    fn tell(&self, correlation: &str, tell: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().unwrap();
        tell(told.entry(correlation.to_owned()).or_default());
    }

    /// Returns once the agents have heard this number of answers.
    async fn hear(&self, answers: u64) {
        while self.answers.load(Ordering::SeqCst) < answers {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Makes a call until the gate answers it, with yes or no.
    async fn answered<T, Calling: Future<Output = Result<T, Error>>>(
        &self,
        call: impl Fn() -> Calling,
    ) -> Result<Result<T, Error>, Stopped> {
        while !self.stop.load(Ordering::SeqCst) {
            match call().await {
                Err(Error::Unreachable(_) | Error::Unavailable { .. }) => self.pause().await,
                answer => {
                    self.answers.fetch_add(1, Ordering::SeqCst);
                    return Ok(answer);
                }
            }
        }
        Err(Stopped)
    }

    /// Sends the form until the gate says that it is recorded, or shows that it was.
    async fn decided(
        &self,
        client: &Client,
        id: &str,
        asked: &Question,
        form: &str,
    ) -> Result<(), Stopped> {
        while !self.stop.load(Ordering::SeqCst) {
            match decide_at(&asked.link, form).await {
                Ok(303) => {
                    self.answers.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                // The host's own answer, or the page of what is decided.
                Ok(0) => {
                    let status = self.answered(|| client.status(id, Duration::ZERO)).await?;
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
        self.again.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(5)).await;
    }
}

/// Where a mail is kept: the name is the gate's own.
fn mail(folder: &Path, id: &str, asked_at: &str, approver: usize, kind: &str) -> PathBuf {
    let digest = hex(&sha256(format!("{id} {asked_at}").as_bytes())[..16]);
    folder.join(format!("{digest}.{approver}.{kind}.eml"))
}

/// What a mail asks, at the host that there is now: it may have been sent for one before.
fn asked(url: &str, mail: &Path, id: &str, approver: &str) -> Question {
    let mail = Mail::parse(&std::fs::read_to_string(mail).unwrap());
    let asked = question(&[mail], id, approver);
    let (_, path) = asked.link.split_once("/api/").unwrap();
    let link = format!("{url}/api/{path}");
    Question { link, ..asked }
}

/// A gate whose clock has gone on two minutes takes over what the killed ones have left.
async fn recover(
    name: &str,
    dir: TempDir,
    settings: &[(&str, &str)],
    told: BTreeMap<String, Told>,
    figures: &[(&str, u64)],
) {
    is_sound(dir.path());
    let gate = TestGate::at(dir, settings).await;
    gate.pass(Duration::from_secs(120));
    for _ in 0..2 {
        // A sweep that has used up its time leaves the rest to the next one.
        eventually(async || gate.sweep().await.ends_with("complete: true").then_some(())).await;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(120);
    let now = Timestamp::from_unix_millis(i64::try_from(now.as_millis()).unwrap()).unwrap();
    let mut rows = BTreeMap::new();
    let mut from = None;
    loop {
        let (page, next) = gate.store.all(from).await.unwrap();
        for row in page {
            let row = row.approval.expect("every row is whole");
            rows.insert(row.request.id.to_string(), row);
        }
        from = next;
        if from.is_none() {
            break;
        }
    }

    let (mut acknowledged, mut decided, mut granted, mut reported) = (0, 0, 0, 0);
    for told in told.values() {
        let Some(id) = &told.id else { continue };
        let row = rows.get(id).expect("what was acknowledged is there");
        acknowledged += 1;
        if let Some(decision) = told.decision {
            assert_eq!(gate.status(id).await.status, decision, "{told:?}");
            decided += 1;
        }
        assert!(told.granted.len() <= 1, "it would run twice: {told:?}");
        let execution = row.execution(now);
        for claimed in &told.granted {
            let held = match &execution {
                Some(Execution::Executing { nonce, .. } | Execution::Executed { nonce, .. }) => {
                    nonce
                }
                other => panic!("{told:?}: {other:?}"),
            };
            assert_eq!(held, claimed);
            granted += 1;
        }
        if told.reported {
            assert!(
                matches!(execution, Some(Execution::Executed { .. })),
                "{told:?}"
            );
            assert_eq!(told.granted.len(), 1, "somebody has run it: {told:?}");
            reported += 1;
        }
    }

    // Nobody's mail was forgotten, whether the request was acknowledged or not.
    let (mut sent, mut pending) = (0, Vec::new());
    let folder = gate.mail_folder();
    for (id, row) in &rows {
        let is_pending = row.status(now) == domain::Status::Pending;
        let asked_at = row.request.requested_at.to_string();
        let file = |approver, kind: &str| mail(&folder, id, &asked_at, approver, kind);
        for (index, approver) in row.approvers.iter().enumerate() {
            for mail in &approver.deliveries {
                let kind = mail.notice.word().to_ascii_lowercase();
                let is_fine = match mail.state {
                    DeliveryState::Sent(_) => file(index, &kind).is_file(),
                    DeliveryState::Queued(at) => at > now,
                    // It was not out when the other approver had decided.
                    DeliveryState::Dropped(_) => !is_pending,
                    _ => false,
                };
                assert!(is_fine, "{id}, {}: {mail:?}", approver.address);
                sent += u64::from(matches!(mail.state, DeliveryState::Sent(_)));
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
            let asked = asked(&gate.url, &file(index, "question"), id, [ALICE, BOB][index]);
            pending.push(asked);
        }
    }
    // And whatever is open can still be decided, by either of them.
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
        ("mails", sent),
        ("decided afterwards", pending.len() as u64),
    ];
    record(name, &[figures, &more].concat());
}

/// SQLite's own judgement of the file, where there is one.
fn is_sound(dir: &Path) {
    let file = dir.join("approvals.db");
    if file.exists() {
        let connection = rusqlite::Connection::open(file).unwrap();
        let sound: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
    }
}
