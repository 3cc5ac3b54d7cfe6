//! Rows and receipts of earlier versions, as files under `tests/golden`: this version reads them, and
//! their requests continue. `tests/golden/README.md` describes how they were made.

mod cases;
mod channels;
mod decided;
mod grants;
mod outboxes;
mod owned;
mod people;
mod planned;
mod rejections;
mod standing;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use human_oversight::values::Timestamp;
use human_oversight_client::receipt::{Claims, verify};
use human_oversight_client::types::KeySet;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::azurite::{Azurite, Table};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{Mail, Page, TestGate, question, repository, with_forms};
use crate::host::KEY;
use crate::process::run;

pub(crate) use cases::escaped_id;
use cases::{Case, Step};

/// The base URL in the links and receipts of the files.
const BASE_URL: &str = "https://gate.example.com";

/// The versions that have golden files.
const VERSIONS: [&str; 6] = [
    "v1",
    "v2",
    owned::VERSION,
    planned::VERSION,
    people::VERSION,
    channels::VERSION,
];

/// The requests in the files of a version.
fn cases(version: &str) -> Vec<Case> {
    match version {
        owned::VERSION => owned::cases(),
        planned::VERSION => planned::cases(),
        people::VERSION => people::cases(),
        channels::VERSION => channels::cases(),
        _ => cases::cases(),
    }
}

/// The function key in the calls of the agents of a version.
fn key(version: &str) -> &'static str {
    match version {
        owned::VERSION | planned::VERSION | people::VERSION | channels::VERSION => KEY,
        _ => "",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Embedded,
    /// Of the Azurite at this port. Row MACs of version 2 cover the name of the table, so all cases of a
    /// version use the same one, one after another.
    Tables(u16),
}

impl Backend {
    /// Its name in the files.
    fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Tables(_) => "tables",
        }
    }
}

fn folder(version: &str) -> PathBuf {
    repository().join("tests/golden").join(version)
}

/// The table for the rows of a version.
fn table_name(version: &str) -> String {
    format!("golden{version}")
}

/// The settings of a gate on that table.
fn tables(version: &str, port: u16) -> Vec<(&'static str, String)> {
    let mut settings = backing_store::tables(port).to_vec();
    settings.retain(|(name, _)| !name.ends_with("_KEYS"));
    settings[2].1 = table_name(version);
    settings
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Writes a file with what each store has then: once, by the gate of that version.
async fn write_once(
    version: &str,
    file: &Path,
    mut write: impl AsyncFnMut(Backend, &TempDir, &[(&'static str, String)]) -> Value,
) {
    assert!(!file.exists(), "golden files are never written again");
    let azurite = Azurite::start(&[]);
    let mut golden = json!({});
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        let dir = tempfile::tempdir().unwrap();
        if let Backend::Tables(port) = backend {
            empty_tables(version, port).await;
        }
        let store = standing::settings(version, backend, &dir);
        golden[backend.name()] = write(backend, &dir, &store).await;
    }
    let text = serde_json::to_string_pretty(&golden).unwrap();
    std::fs::write(file, text + "\n").unwrap();
}

/// The test keys beside the files, as settings.
fn keys(version: &str) -> Vec<(&'static str, String)> {
    let file = folder(version).join("keys.env");
    let text = std::fs::read_to_string(file).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches('=').to_owned()
    };
    ["HO_LINK_KEYS", "HO_RECEIPT_KEYS"]
        .map(|name| (name, value(name)))
        .into()
}

/// A gate that plays the steps of one case, called without the host.
struct Player {
    gate: TestGate,
    id: String,
    /// The agent's function key; empty for a caller without one.
    key: &'static str,
    /// The secrets of each approver, if the case has them.
    secrets: BTreeMap<String, Secrets>,
}

impl Player {
    /// Starts a gate with the keys of a version, on a separate store.
    async fn start(
        dir: TempDir,
        store: &[(&'static str, String)],
        settings: &[(&str, &str)],
        key: &'static str,
        id: &str,
    ) -> Self {
        let store = backing_store::borrowed(store);
        let settings = [&[("HO_BASE_URL", BASE_URL)], settings, &store].concat();
        // The golden rows come without the gate's id, which beside requests only a paused gate stores.
        let paused = [&settings[..], &[("HO_PAUSED", "1")]].concat();
        let dir = TestGate::at(dir, &paused).await.dir;
        Self {
            gate: TestGate::at(dir, &settings).await,
            id: id.to_owned(),
            key,
            secrets: BTreeMap::new(),
        }
    }

    /// Moves the gate's clock to this time.
    fn set_clock(&self, to: Timestamp) {
        let now = self.gate.now();
        if now > to {
            self.gate.back(now.since(to));
        } else {
            self.gate.pass(to.since(now));
        }
    }

    async fn get(&self, path: &str) -> Page {
        let call = self.gate.http.get(self.gate.direct(path));
        let call = call.header("x-functions-key", self.key);
        Page::of(call.send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Page {
        let call = self.gate.http.post(self.gate.direct(path));
        let call = call
            .header("content-type", "application/json")
            .header("x-functions-key", self.key)
            .body(body.to_string());
        Page::of(call.send().await.unwrap()).await
    }

    async fn status(&self) -> Page {
        self.get(&format!("/api/status/{}", self.id)).await
    }

    async fn play(&self, steps: &[Step]) {
        for step in steps {
            self.step(step).await;
        }
    }

    async fn step(&self, step: &Step) {
        match step {
            Step::Pass(seconds) => self.gate.pass(Duration::from_secs(*seconds)),
            Step::Sweep => {
                let log = self.gate.sweep().await;
                assert!(log.contains(" 0 failed"), "{}: {log}", self.id);
            }
            Step::RevokeAsOperator => {
                let command = json!({"command": "revoke", "id": self.id});
                let answer = self.post("/api/operate", &command).await;
                assert_eq!(answer.json()["done"], true, "{}", answer.body);
            }
            Step::Call(call, body, status) => {
                let body: Value = serde_json::from_str(body).unwrap();
                let answer = self.post(&format!("/api/{call}/{}", self.id), &body).await;
                assert_eq!(
                    answer.status, *status,
                    "{} {step:?}: {}",
                    self.id, answer.body
                );
            }
            Step::Decide {
                who,
                principal,
                form,
                status,
            } => {
                let answer = match principal {
                    None => self.decide_by_link(who, form).await,
                    Some(member) => self.decide_signed_in(&member(), form).await,
                };
                assert_eq!(
                    answer.status, *status,
                    "{} {step:?}: {}",
                    self.id, answer.body
                );
            }
        }
    }

    /// Sends the form of the page behind the approver's link. After the deadline, the stored CSRF token
    /// stands in for the page. `CODE` means the right code, `WRONG` a wrong one.
    async fn decide_by_link(&self, who: &str, form: &str) -> Page {
        let Secrets { k, code, token } = match self.secrets.get(who) {
            Some(secrets) => secrets.clone(),
            None => self.mailed_secrets(who).await,
        };
        let path = format!("/api/decision/{}?k={k}", self.id);
        let page = self.get(&with_forms(&path)).await;
        let token = if form.starts_with("decision=hand-over") {
            let fields = page.form_in("hand-over").unwrap();
            let mut fields = fields.into_iter().filter(|(name, _)| name == "form");
            fields.next().unwrap().1
        } else if form.starts_with("decision=revoke") || token.is_empty() {
            form_token(&page).unwrap()
        } else {
            let has_form = page.status == StatusCode::OK && page.body.contains("<form");
            assert!(!has_form || page.body.contains(&token), "{}", self.id);
            token
        };
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let form = form.replace("CODE", &code).replace("WRONG", wrong);
        let mut hidden = vec![("k".to_owned(), k), ("form".to_owned(), token)];
        let fields = page.hidden_fields().into_iter();
        hidden.extend(fields.filter(|(name, _)| name == "votes").take(1));
        self.send_form(&hidden, &form, None).await
    }

    async fn decide_signed_in(&self, member: &Value, form: &str) -> Page {
        let call = self
            .gate
            .http
            .get(self.gate.direct(&format!("/api/decision/{}", self.id)))
            .header(crate::host::PRINCIPAL, principal(member));
        let page = Page::of(call.send().await.unwrap()).await;
        assert_eq!(page.status, StatusCode::OK, "{}: {}", self.id, page.body);
        self.send_form(&page.first_form(), form, Some(member)).await
    }

    async fn send_form(
        &self,
        hidden: &[(String, String)],
        form: &str,
        member: Option<&Value>,
    ) -> Page {
        let hidden = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(hidden)
            .finish();
        let mut call = self
            .gate
            .http
            .post(self.gate.direct(&format!("/api/decision/{}", self.id)))
            .header("origin", BASE_URL)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("{hidden}&{form}"));
        if let Some(member) = member {
            call = call.header(crate::host::PRINCIPAL, principal(member));
        }
        let answer = Page::of(call.send().await.unwrap()).await;
        let open = |path: &str| {
            let call = self.gate.http.get(self.gate.direct(path));
            match member {
                None => call,
                Some(member) => call.header(crate::host::PRINCIPAL, principal(member)),
            }
        };
        answer.follow(open).await
    }

    /// The secrets in the email that this gate sends, and in the page behind its link.
    async fn mailed_secrets(&self, who: &str) -> Secrets {
        let is_asked = |mail: &Mail| mail.to == who && mail.answers.is_none();
        eventually(async || self.gate.mails().iter().any(is_asked).then_some(())).await;
        let question = question(&self.gate.mails(), &self.id, who);
        let (_, k) = question.link.split_once("?k=").unwrap();
        let page = self.get(&format!("/api/decision/{}?k={k}", self.id)).await;
        Secrets {
            k: k.to_owned(),
            code: question.code,
            token: form_token(&page).unwrap_or_default(),
        }
    }
}

/// The CSRF token of the form on a page.
fn form_token(page: &Page) -> Option<String> {
    let mut fields = page.hidden_fields().into_iter();
    fields
        .find(|(name, _)| name == "form")
        .map(|(_, value)| value)
}

/// The secrets of an approver: the link token, the one-time code, and the page's CSRF token, empty while the page has
/// no form.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Secrets {
    k: String,
    code: String,
    #[serde(rename = "form")]
    token: String,
}

/// The value of the header with the signed-in principal.
fn principal(member: &Value) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(member.to_string())
}

/// Creates a store with one golden row. Returns the gate's settings for it.
async fn restore_row(
    version: &str,
    backend: Backend,
    golden: &Value,
    dir: &TempDir,
) -> Vec<(&'static str, String)> {
    let mut settings = match backend {
        Backend::Embedded => {
            put_into_file(version, golden, dir);
            vec![("HO_STORE", format!("embedded:{}", dir.path().display()))]
        }
        Backend::Tables(port) => {
            empty_tables(version, port).await;
            put_into_tables(version, golden, port).await;
            tables(version, port)
        }
    };
    settings.extend(keys(version));
    settings
}

fn put_into_file(version: &str, golden: &Value, dir: &TempDir) {
    let schema = std::fs::read_to_string(folder(version).join("schema.sql")).unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    connection.execute_batch(&schema).unwrap();
    let row = &golden["row"];
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let inserted = connection.execute(
        "INSERT INTO approvals (PartitionKey, RowKey, ETag, Due, Entity) VALUES (?1, ?2, ?3, ?4, ?5)",
        rusqlite::params![
            text("PartitionKey"),
            text("RowKey"),
            row["ETag"].as_i64().unwrap(),
            row["Due"].as_i64(),
            text("Entity"),
        ],
    );
    assert_eq!(inserted, Ok(1));
}

async fn empty_tables(version: &str, port: u16) {
    for prefix in ["", "open", "standing", "decided"] {
        let table = Table::of(port, &format!("{prefix}{}", table_name(version)));
        table.create().await;
        for row in table.rows().await {
            let [partition, key] = ["PartitionKey", "RowKey"].map(|key| row[key].as_str().unwrap());
            table.remove(partition, key).await;
        }
    }
}

async fn put_into_tables(version: &str, golden: &Value, port: u16) {
    let table = table_name(version);
    for (name, row) in [
        (table.clone(), &golden["row"]),
        (format!("open{table}"), &golden["entry"]),
    ] {
        let table = Table::of(port, &name);
        table.create().await;
        if !row.is_null() {
            table.put(row).await;
        }
    }
}

/// Replays every case on a gate with this `HO_ROWS`.
async fn replay_cases(backend: Backend, rows: &'static str) {
    // Version 1 has no columns for plans, hand-overs and questions.
    let has_room = |version: &&str| {
        rows == "2" || ![planned::VERSION, people::VERSION, channels::VERSION].contains(version)
    };
    for version in VERSIONS.into_iter().filter(has_room) {
        let folder = folder(version).join("rows");
        let mut files = std::fs::read_dir(&folder).unwrap().count();
        for case in cases(version) {
            let file = read(&folder.join(format!("{}.json", case.name)));
            files -= 1;
            let (place, end) = replay_case(version, backend, rows, &case, &file).await;
            let columns = stored(backend, &place).await;
            assert_row_version(version, rows, &columns, &file[backend.name()]);
            assert_eq!(end, case.end, "{}", case.name);
        }
        assert_eq!(files, 0, "each file belongs to a case");
    }
}

/// The case whose request has 1e21 among its parameters, which a submit may no longer have.
const REFUSED_TODAY: &str = "pending-with-all-members";

/// The place of the row, and the final status and execution of its request.
type Ended = (Place, (Option<&'static str>, Option<&'static str>));

/// The folder of a file, or the port and the name of a table.
enum Place {
    File(TempDir),
    Table(u16, String),
}

async fn replay_case(
    version: &str,
    backend: Backend,
    rows: &'static str,
    case: &Case,
    file: &Value,
) -> Ended {
    let golden = &file[backend.name()];
    let dir = tempfile::tempdir().unwrap();
    let store = restore_row(version, backend, golden, &dir).await;
    let id = golden["answer"]["id"].as_str().unwrap();
    let settings = [&[("HO_ROWS", rows)], &case.settings[..]].concat();
    let mut player = Player::start(dir, &store, &settings, key(version), id).await;
    player.secrets = serde_json::from_value(golden["secrets"].clone()).unwrap();
    let now = golden["now"].as_str().unwrap();
    player.set_clock(Timestamp::parse(now).unwrap());

    let answer = player.status().await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "{}: {}",
        case.name,
        answer.body
    );
    assert_eq!(answer.json(), golden["answer"], "{}", case.name);
    let again = player.post("/api/submit", &file["request"]).await;
    if case.name == REFUSED_TODAY {
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    } else {
        // A repeated request is recognized.
        assert!(again.status.is_success(), "{}: {}", case.name, again.body);
        assert_eq!(again.json(), golden["answer"], "{}", case.name);
    }

    player.play(&case.next).await;
    let end = player.status().await.json();
    let word = |value: &Value| {
        let ends = [case.end.0, case.end.1].into_iter().flatten();
        let found = value.as_str()?;
        Some(
            ends.into_iter()
                .find(|end| *end == found)
                .unwrap_or("another"),
        )
    };
    let end = (word(&end["status"]), word(&end["execution"]["status"]));
    player.gate.sweep().await;
    let place = match backend {
        Backend::Embedded => Place::File(player.gate.dir),
        Backend::Tables(port) => Place::Table(port, table_name(version)),
    };
    (place, end)
}

/// The columns of the one row that is stored.
async fn stored(backend: Backend, place: &Place) -> Map<String, Value> {
    let columns = match place {
        Place::File(dir) => {
            let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
            let select = "SELECT Entity FROM approvals";
            let entity: String = file.query_row(select, [], |row| row.get(0)).unwrap();
            serde_json::from_str(&entity).unwrap()
        }
        Place::Table(port, table) => Table::of(*port, table).rows().await.remove(0),
    };
    assert!(columns.is_object(), "{}", backend.name());
    columns.as_object().unwrap().clone()
}

/// A row that was written again has the version that the gate writes.
fn assert_row_version(version: &str, rows: &str, columns: &Map<String, Value>, golden: &Value) {
    let seal = columns["RowSeal"].as_str().unwrap();
    if golden["row"].to_string().contains(seal) {
        return;
    }
    let names: Vec<&String> = columns.keys().filter(|name| is_stored(name)).collect();
    if rows == "2" {
        assert!(seal.starts_with("v2:golden2."), "{seal}");
        let revision = columns["Revision"].as_u64().unwrap();
        assert!((1..30).contains(&revision), "{version}: {revision}");
        assert!(columns.values().all(|value| !value.is_null()));
    } else {
        assert!(seal.starts_with("golden"), "{seal}");
        for name in &names {
            assert!(V1_COLUMNS.contains(&name.as_str()), "{name}");
        }
        let is_file = golden.get("entry").is_none();
        assert!(!is_file || names.len() == V1_COLUMNS.len(), "{names:?}");
    }
}

/// Whether a member of an entity is a column.
fn is_stored(name: &str) -> bool {
    name != "Timestamp" && !name.contains("odata.")
}

/// The columns of version 1: a file has all of them, a table those that are not empty.
const V1_COLUMNS: [&str; 37] = [
    "PartitionKey",
    "RowKey",
    "AgentName",
    "CorrelationId",
    "ActionDescription",
    "Parameters",
    "ParametersDigest",
    "ApproverEmails",
    "RequestTimestamp",
    "RequestDigest",
    "DeadlineTimestamp",
    "OnBehalfOf",
    "Reason",
    "Claimant",
    "Status",
    "Approver",
    "ApproverObjectId",
    "ResponseTimestamp",
    "Comment",
    "Assurance",
    "Receipt",
    "RunBy",
    "ClaimNonce",
    "ExecutionStatus",
    "ExecutionTimestamp",
    "ExecutionError",
    "LateResponseTimestamp",
    "LateDecision",
    "LateApprover",
    "NotificationStatus",
    "NotifiedTimestamp",
    "Notifications",
    "History",
    "DueTimestamp",
    "DueEntry",
    "OperationId",
    "RowSeal",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_are_read_from_a_file_and_continue_as_version_2() {
    replay_cases(Backend::Embedded, "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_are_read_from_a_file_and_continue_as_version_1() {
    replay_cases(Backend::Embedded, "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_are_read_from_tables_and_continue_as_version_2() {
    let azurite = Azurite::start(&[]);
    replay_cases(Backend::Tables(azurite.port), "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_are_read_from_tables_and_continue_as_version_1() {
    let azurite = Azurite::start(&[]);
    replay_cases(Backend::Tables(azurite.port), "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_version_1_with_another_column_is_damaged() {
    let file = read(&folder("v1").join("rows/approved.json"));
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        for (column, value) in [
            ("Extra", json!("x")),
            ("Revision", json!(1)),
            ("Plan", json!("{}")),
            ("Extra", Value::Null),
        ] {
            let mut golden = file[backend.name()].clone();
            match backend {
                Backend::Embedded => {
                    let entity = golden["row"]["Entity"].as_str().unwrap();
                    let mut entity: Value = serde_json::from_str(entity).unwrap();
                    entity[column] = value.clone();
                    golden["row"]["Entity"] = json!(entity.to_string());
                }
                // The service accepts no null.
                Backend::Tables(_) if value.is_null() => continue,
                Backend::Tables(_) => golden["row"][column] = value.clone(),
            }
            let dir = tempfile::tempdir().unwrap();
            let store = restore_row("v1", backend, &golden, &dir).await;
            let id = golden["answer"]["id"].as_str().unwrap();
            let player = Player::start(dir, &store, &[], "", id).await;
            // It has no owner who could be told.
            let answer = player.status().await;
            assert_eq!(answer.status, 404, "{column}: {}", answer.body);
            let nonce = json!({"nonce": "0123456789abcdef"});
            let claim = player.post(&format!("/api/claim/{id}"), &nonce).await;
            assert_eq!(claim.status, 404, "{column}: {}", claim.body);
            assert!(player.gate.store.get(&id.parse().unwrap()).await.is_err());
        }
    }
}

#[test]
fn golden_receipts_verify_with_the_same_claims() {
    for version in VERSIONS {
        let file = read(&folder(version).join("receipts.json"));
        let keys: KeySet = serde_json::from_value(file["keys"].clone()).unwrap();
        let receipts = file["receipts"].as_array().unwrap();
        for receipt in receipts {
            let text = receipt["receipt"].as_str().unwrap();
            let claims: Claims = serde_json::from_value(receipt["claims"].clone()).unwrap();
            assert_eq!(verify(text, &keys).unwrap(), claims, "{}", receipt["case"]);
            let other = format!("{text}A");
            assert!(verify(&other, &keys).is_err(), "{}", receipt["case"]);
        }
        let approved = cases(version).into_iter();
        let approved = approved.filter(|case| case.end.0 == Some("Approved"));
        assert!(receipts.len() * 2 > approved.count(), "{version}");
    }
}

/// Fills a table with all rows of a version, including those of the legacy Logic App.
async fn fill_table(version: &str, port: u16) -> (Vec<(&'static str, String)>, usize, usize) {
    let mut settings = tables(version, port);
    settings.extend(keys(version));
    empty_tables(version, port).await;
    let mut rows = 0;
    for case in cases(version) {
        let file = read(&folder(version).join(format!("rows/{}.json", case.name)));
        put_into_tables(version, &file["tables"], port).await;
        rows += 1;
    }
    let legacy = read(&folder("v1").join("legacy.json"));
    let legacy = legacy.as_array().unwrap();
    let table = Table::of(port, &settings[2].1);
    for row in legacy {
        table.put(row).await;
    }
    (settings, rows, legacy.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_are_verified_copied_restored_and_purged() {
    for version in VERSIONS {
        let azurite = Azurite::start(&[]);
        let (mut settings, rows, legacy) = fill_table(version, azurite.port).await;
        settings.push(("HO_GATE_ID", "local".to_owned()));
        let settings = backing_store::borrowed(&settings);
        let verify_all = async |settings: &[(&str, &str)]| {
            let (said, code) = run(settings, &["verify"]).await;
            assert_eq!(code, 0, "{said}");
            let all = rows + legacy;
            assert!(said.starts_with(&format!("{all} rows: ")), "{said}");
            assert!(said.contains(&format!(", {legacy} rows of the ")), "{said}");
            assert!(said.contains("All row MACs were verified."), "{said}");
        };
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy.ndjson");
        let copy = copy.to_str().unwrap();
        let (said, code) = run(&settings, &["backup", copy]).await;
        // The golden rows of version 2 come without the gate's id, which beside requests only a paused gate stores.
        assert_eq!(code == 1, said.contains("gate/id is lost"), "{said}");
        let base_url = [("HO_BASE_URL", BASE_URL), ("HO_PAUSED", "1")];
        let paused = [&base_url[..], &settings].concat();
        TestGate::at(tempfile::tempdir().unwrap(), &paused).await;
        // The files of some versions have no due entry.
        let (said, code) = run(&settings, &["index", "rebuild-due"]).await;
        assert_eq!(code, 0, "{said}");
        verify_all(&settings).await;
        let other = crate::azurite::fresh_table();
        let mut elsewhere = settings.clone();
        elsewhere.retain(|(name, _)| *name != "HO_TABLE");
        elsewhere.push(("HO_TABLE", &other));
        let (said, code) = run(&elsewhere, &["restore", copy]).await;
        assert_eq!(code, 0, "{said}");
        verify_all(&elsewhere).await;
        let old = ["purge", "--older-than", "0", "--delete"];
        let (said, code) = run(&elsewhere, &old).await;
        assert!(code == 0 && said.contains(" 0 that cannot"), "{said}");
        assert!(said.contains(&format!(" {legacy} rows of the ")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_of_the_legacy_logic_app_are_left_unchanged() {
    for version in VERSIONS {
        let azurite = Azurite::start(&[]);
        let (settings, ..) = fill_table(version, azurite.port).await;
        let table = Table::of(azurite.port, &settings[2].1);
        let before = table.rows().await;
        let dir = tempfile::tempdir().unwrap();
        let id = escaped_id("User Manager", "1");
        let player = Player::start(dir, &settings, &[], "", &id).await;
        let legacy = read(&folder("v1").join("legacy.json"));
        for row in legacy.as_array().unwrap() {
            let [partition, key] = ["PartitionKey", "RowKey"].map(|key| row[key].as_str().unwrap());
            // The gate escapes keys differently: only keys that need no escaping are found.
            if partition.contains(' ') || key.contains('\'') {
                continue;
            }
            let id = escaped_id(partition, key);
            let answer = player.get(&format!("/api/status/{id}")).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
            let nonce = json!({"nonce": "0123456789abcdef"});
            let answer = player.post(&format!("/api/claim/{id}"), &nonce).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
        }
        assert_eq!(table.rows().await, before);
    }
}

/// The columns of a row, without the members that the service adds, except its ETag.
fn columns(row: &Value) -> Map<String, Value> {
    let mut columns = row.as_object().unwrap().clone();
    columns.retain(|name, _| !name.starts_with("odata.") || name == "odata.etag");
    columns
}
