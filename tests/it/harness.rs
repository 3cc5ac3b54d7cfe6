//! Shared by the tests: a gate with an adjustable clock behind the stand-in host, and the mailboxes of
//! its approvers.

mod log;
mod mailbox;
mod page;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use human_oversight::app::App;
use human_oversight::config::Config;
use human_oversight::http::serve;
use human_oversight::store::Store;
use human_oversight::values::Timestamp;
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::receipt::{Claims, verify};
use human_oversight_client::types::{Approval, KeySet, NewApproval};
use human_oversight_client::{Client, Gate};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::backing_store::BackingStore;
use crate::canary;
use crate::deadline::{DEADLINE, TestDeadline, eventually};
use crate::host::{self, Front, FunctionApp, Invocation, KEY, Mode, SignIn};

pub(crate) use log::Log;
pub(crate) use mailbox::{Mail, Question, mails, question};
pub(crate) use page::{Page, cookies};

pub(crate) const AGENT: &str = "UserManagerAgent";
/// For a gate that answers as in production, where calls that wait are billed. It is no setting.
pub(crate) const IN_PRODUCTION: (&str, &str) = ("production", "1");
pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";

/// A separate gate for one test: the real router as the host's handler, in this process, so that its
/// clock can be adjusted. `HO_TEST_HOST=forwarding` makes the host forward instead of proxying.
pub(crate) struct TestGate {
    /// The public address, for agents and approvers: the host's front.
    pub(crate) url: String,
    /// The handler's address, which only the host uses.
    pub(crate) handler: SocketAddr,
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
    ahead: Arc<AtomicI64>,
    panics: Arc<AtomicI64>,
    pub(crate) dir: TempDir,
    /// The gate's store.
    pub(crate) store: Store,
    /// The platform's sign-in, if `WEBSITE_AUTH_ENABLED` enables it.
    pub(crate) sign_in: SignIn,
    kept: BackingStore,
    _deadline: TestDeadline,
}

impl TestGate {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a gate with these settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), settings).await
    }

    /// Starts a gate on the embedded store, even if `HO_TEST_STORE` selects another.
    pub(crate) async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = format!("embedded:{}", dir.path().display());
        Self::at(dir, &[("HO_STORE", &store)]).await
    }

    /// Starts a gate on an existing folder.
    pub(crate) async fn at(dir: TempDir, settings: &[(&str, &str)]) -> Self {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", front.local_addr().unwrap());
        let of_host = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "1"),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
            ("HO_LOCAL", "1"),
            ("HO_BASE_URL", url.as_str()),
        ];
        let gate = Self::handler(dir, &[settings, &of_host].concat()).await;
        let app = FunctionApp::read(repository(), &[("HO_SWEEP_SCHEDULE", "0 * * * * *")]).unwrap();
        let is_on = |setting: &&(&str, &str)| **setting == ("WEBSITE_AUTH_ENABLED", "True");
        let sign_in = settings.iter().find(is_on).map(|_| gate.sign_in.clone());
        Front::open(app, Mode::of_tests(), front, gate.handler, sign_in);
        gate
    }

    /// Starts a gate without a host, as in local development.
    pub(crate) async fn alone() -> Self {
        Self::handler(tempfile::tempdir().unwrap(), &[]).await
    }

    async fn handler(dir: TempDir, settings: &[(&str, &str)]) -> Self {
        canary::watch();
        let (kept, of_store) = BackingStore::select(dir.path());
        let mail = format!("file:{}", dir.path().join("mail").display());
        let in_production = settings.contains(&IN_PRODUCTION);
        let mut config = Config::read(|name| {
            let own = settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned());
            own.or_else(|| match name {
                "HO_MAIL" => Some(mail.clone()),
                // Most tests ask the same people often; `budgets` is about these settings.
                "HO_MAIL_BUDGET" | "HO_OWNER_BUDGET" | "HO_POLICY_BUDGET" => Some("off".to_owned()),
                // Without, a gate in production refuses agents behind a host that forwards.
                "HO_AGENT_KEYS" if in_production => {
                    Some(format!("{}={AGENT}", hex(&sha256(KEY.as_bytes()))))
                }
                _ => of_store
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| value.clone()),
            })
        })
        .unwrap();
        config.production |= in_production;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let handler = listener.local_addr().unwrap();
        let ahead = Arc::new(AtomicI64::new(0));
        let panics = Arc::new(AtomicI64::new(0));
        let clock = {
            let (ahead, panics) = (ahead.clone(), panics.clone());
            Arc::new(move || {
                let is_broken = panics.fetch_sub(1, Ordering::SeqCst) > 0;
                assert!(!is_broken, "the test breaks the clock");
                machine_time(&ahead)
            })
        };
        let app = Arc::new(App::assemble(config, handler.port(), clock).unwrap());
        app.store.prepare().await.ok();
        tokio::spawn(serve(listener, app.clone()));
        let store = app.store.clone();
        let url = app.base_url.clone();
        let client = Client::new(&url, Some(KEY)).unwrap();
        let key = HeaderMap::from_iter([(
            HeaderName::from_static("x-functions-key"),
            HeaderValue::from_static(KEY),
        )]);
        let http = http()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(key)
            .build()
            .unwrap();
        Self {
            url,
            handler,
            client,
            http,
            ahead,
            panics,
            dir,
            store,
            sign_in: SignIn::default(),
            kept,
            _deadline: TestDeadline::start(),
        }
    }

    /// The handler's URL of a path, past the host.
    pub(crate) fn direct(&self, path: &str) -> String {
        format!("http://{}{path}", self.handler)
    }

    /// The time of the gate's clock.
    pub(crate) fn now(&self) -> Timestamp {
        machine_time(&self.ahead)
    }

    /// Moves the clock forward.
    pub(crate) fn pass(&self, time: Duration) {
        self.ahead
            .fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Moves the clock to the beginning of the next minute.
    pub(crate) fn begin_minute(&self) {
        let seconds = self.now().unix_seconds().rem_euclid(60);
        self.pass(Duration::from_secs(60 - seconds.unsigned_abs()));
    }

    /// Makes the clock panic this number of times, so that what reads it does.
    pub(crate) fn break_clock(&self, times: i64) {
        self.panics.store(times, Ordering::SeqCst);
    }

    /// Moves the clock back.
    pub(crate) fn back(&self, time: Duration) {
        self.ahead
            .fetch_sub(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// The agent's client, with Alice and Bob as approvers.
    pub(crate) fn gate(&self) -> Gate {
        Gate::new(self.client.clone())
            .agent(AGENT)
            .approvers([ALICE, BOB])
    }

    /// Submits a request, with Alice and Bob as approvers.
    pub(crate) async fn ask(&self) -> Approval {
        self.client.submit(&request()).await.unwrap()
    }

    pub(crate) async fn status(&self, id: &str) -> Approval {
        self.client.status(id, Duration::ZERO).await.unwrap().0
    }

    /// Triggers the sweep through the host's timer. Returns its log.
    pub(crate) async fn sweep(&self) -> String {
        match host::tick(self.handler, "sweep").await {
            Invocation::Succeeded { logs } => logs.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        mails(&self.dir.path().join("mail"))
    }

    pub(crate) fn mails_to(&self, person: &str) -> Vec<Mail> {
        let mails = self.mails().into_iter();
        mails.filter(|mail| mail.to == person).collect()
    }

    /// What the receipt of a request says, by the gate's keys.
    pub(crate) async fn claims(&self, approval: &Approval) -> Claims {
        let keys = self.get(&format!("{}/api/keys", self.url)).await.body;
        let keys: KeySet = serde_json::from_str(&keys).unwrap();
        let receipt = self.status(&approval.id).await.receipt.unwrap();
        verify(&receipt, &keys).unwrap()
    }

    /// Waits until this number of decisions is kept, which no answer waits for. Returns their rows.
    pub(crate) async fn until_kept(&self, count: usize) -> Vec<serde_json::Map<String, Value>> {
        eventually(async || {
            let (rows, _) = self.store.all_decided(None).await.unwrap();
            (rows.len() == count).then(|| {
                assert!(rows.iter().all(|row| row.checked.is_ok()));
                rows.into_iter().map(|row| row.columns).collect()
            })
        })
        .await
    }

    /// Link and code of the request email to `address`.
    pub(crate) fn question(&self, approval: &Approval, address: &str) -> Question {
        question(&self.mails(), &approval.id, address)
    }

    pub(crate) async fn get(&self, url: &str) -> Page {
        Page::of(self.http.get(url).send().await.unwrap()).await
    }

    /// Opens the link and sends the form.
    pub(crate) async fn decide(&self, question: &Question, form: &[(&str, &str)]) -> Page {
        let page = self.get(&with_forms(&question.link)).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        self.send_form(&page, form).await
    }

    /// Sends the form of a page that was opened before.
    pub(crate) async fn send_form(&self, page: &Page, form: &[(&str, &str)]) -> Page {
        let hidden = page.first_form();
        let fields = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(form.iter().copied());
        self.post_form(&format!("{}{}", self.url, page.action()), fields)
            .await
    }

    /// Posts a form and, as a browser does, opens the page to which the gate redirects what it did not accept.
    pub(crate) async fn post_form<'a>(
        &self,
        url: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Page {
        let answer = self.post_fields(url, fields).await;
        let open = |path: &str| self.http.get(format!("{}{path}", self.url));
        answer.follow(open).await
    }

    /// Posts a form. Returns the answer itself.
    pub(crate) async fn post_fields<'a>(
        &self,
        url: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Page {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .http
            .post(url)
            .header("origin", &self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Page::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn approve(&self, approval: &Approval, address: &str) {
        let question = self.question(approval, address);
        let answer = self
            .decide(
                &question,
                &[("decision", "approve"), ("code", &question.code)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }

    pub(crate) async fn reject(&self, approval: &Approval, address: &str, comment: &str) {
        let question = self.question(approval, address);
        let answer = self
            .decide(
                &question,
                &[
                    ("decision", "reject"),
                    ("comment", comment),
                    ("code", &question.code),
                ],
            )
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }

    /// Sends a body unchanged.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Page {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body);
        Page::of(request.send().await.unwrap()).await
    }

    /// Every stored row, to detect writes: its key, its version and its columns.
    pub(crate) async fn stored(&self) -> Vec<(String, String, String)> {
        self.kept.rows().await
    }

    /// Changes a stored row and its due time, as a party with write access to the table can.
    pub(crate) async fn tamper(
        &self,
        id: &str,
        due: Option<Timestamp>,
        change: impl FnOnce(&mut Value),
    ) {
        let mut entity = self.entity(id).await;
        change(&mut entity);
        let correlation = id.split_once('.').unwrap().1;
        self.kept.put(correlation, due, entity).await;
    }

    pub(crate) async fn entity(&self, id: &str) -> Value {
        let correlation = id.split_once('.').unwrap().1;
        let rows = self.stored().await;
        let row = rows.into_iter().find(|(key, ..)| key == correlation);
        serde_json::from_str(&row.unwrap().2).unwrap()
    }

    pub(crate) fn mail_folder(&self) -> PathBuf {
        self.dir.path().join("mail")
    }
}

/// The page of a link with its forms, which it otherwise has only where no news is to come.
pub(crate) fn with_forms(link: &str) -> String {
    let separator = if link.contains('?') { '&' } else { '?' };
    format!("{link}{separator}forms=1")
}

/// The machine's clock, `ahead` by a number of milliseconds.
fn machine_time(ahead: &AtomicI64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    Timestamp::from_unix_millis(now + ahead.load(Ordering::SeqCst)).unwrap()
}

/// A request that Alice alone decides.
pub(crate) fn for_alice() -> NewApproval {
    NewApproval {
        approver_emails: vec![ALICE.to_owned()],
        ..request()
    }
}

/// A plain HTTP client, for calls that are neither an agent's nor a browser's.
pub(crate) fn http() -> reqwest::ClientBuilder {
    canary::watch();
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder().timeout(DEADLINE)
}

/// The root of the checkout, where host.json and the function directories are.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A typical request.
pub(crate) fn request() -> NewApproval {
    NewApproval {
        agent_name: AGENT.to_owned(),
        action_description: "Delete User Account".to_owned(),
        parameters: object(json!({
            "user_id": "1", "email": "former-contractor@example.com",
            "options": {"delete_mailbox": true, "retention_days": 30, "groups": ["sales", "vpn-users"]},
        })),
        approver_emails: vec![ALICE.to_owned(), BOB.to_owned()],
        ..NewApproval::default()
    }
}

pub(crate) fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => panic!("an object"),
    }
}
