//! A process of the gate, and calls to its router without a socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use human_oversight::app::{App, ChannelSender, LastReading, SetAside};
use human_oversight::config::Config;
use human_oversight::domain::{Approval, MISCONFIGURED_PAUSE, Status};
use human_oversight::http::router;
use human_oversight::keys::keyring;
use human_oversight::keys::receipt::ReceiptKeys;
use human_oversight::keys::{FormPurpose, LinkKeys};
use human_oversight::mailer::Mailer;
use human_oversight::store::{Account, Store};
use human_oversight::values::{Clock, Timestamp};
use hyper::http;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::service::{CallerWire, Service};
use crate::harness::cookies;

/// The people whom a policy may ask, and to whom a seat may be handed over.
const ALLOWED: &str = "alice@example.com, a.work@example.com, bob@example.com, carol@example.com, \
    dave@example.com, erin@example.com, frank@example.com, gina@example.com, lead@example.com, \
    substitute@example.com";

const BASE_URL: &str = "http://127.0.0.1:7071";

/// The settings that all processes of the gate share.
pub(in crate::proof) struct Settings {
    config: Config,
    /// The time until a request expires, an approval lapses, and a missing outcome becomes unknown.
    pub(super) within: Duration,
    pub(super) mail_folder: PathBuf,
    link_key: String,
    receipt_key: String,
    pub(super) scene: Scene,
}

/// Who acts in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// The approvers whom the agent names: the first to decide counts.
    Named,
    /// The same, while emails bounce.
    Bounces,
    /// Those of a policy, who vote in stages.
    Votes,
    /// Those of a policy, of whom one gives a standing grant of this many uses.
    Grants(u16),
}

impl Settings {
    /// Emails go to `dir`. A request expires, an approval lapses and a missing outcome becomes unknown
    /// after `seconds`.
    pub(in crate::proof) fn new(dir: &Path, seconds: u64) -> Self {
        Self::with_policy(dir, seconds, Scene::Named, None)
    }

    /// The same with a policy.
    pub(super) fn with_policy(
        dir: &Path,
        seconds: u64,
        scene: Scene,
        policy: Option<&str>,
    ) -> Self {
        let config = Config::read(|name| match name {
            "HO_MAIL" => Some(format!("file:{}", dir.display())),
            "HO_MAIL_BUDGET" | "HO_OWNER_BUDGET" | "HO_POLICY_BUDGET" => Some("off".to_owned()),
            "HO_DEFAULT_TIMEOUT" | "HO_RUN_WITHIN" | "HO_OUTCOME_WITHIN" => {
                Some(seconds.to_string())
            }
            "HO_POLICY" => policy.map(str::to_owned),
            "HO_ALLOWED_APPROVERS" => policy.map(|_| ALLOWED.to_owned()),
            _ => None,
        });
        Self {
            config: config.unwrap(),
            within: Duration::from_secs(seconds),
            mail_folder: dir.to_owned(),
            link_key: keyring::generate_link_key(),
            receipt_key: keyring::generate_receipt_key(),
            scene,
        }
    }

    /// A process of the gate. Without a caller, its operations are served at once and without faults.
    pub(in crate::proof) fn gate(
        &self,
        service: &Arc<Service>,
        caller: Option<usize>,
        millis: &Arc<AtomicI64>,
        skew: i64,
    ) -> App {
        let config = self.config.clone();
        let millis = millis.clone();
        let clock: Clock = Arc::new(move || {
            Timestamp::from_unix_millis(millis.load(Ordering::SeqCst) + skew).unwrap()
        });
        let keys = |list: &str| keyring::parse(list).unwrap();
        let link_keys = Arc::new(LinkKeys::new(&keys(&self.link_key)).unwrap());
        let wire = CallerWire {
            service: service.clone(),
            caller,
            clock: clock.clone(),
        };
        let account = Account::from_connection_string("UseDevelopmentStorage=true").unwrap();
        let from = config.mail_from.clone();
        let mailer = Mailer::new(
            &config.mail,
            from,
            "The gate",
            MISCONFIGURED_PAUSE,
            clock.clone(),
        )
        .unwrap();
        App {
            base_url: BASE_URL.to_owned(),
            store: Store::tables(
                &account,
                "approvals",
                Arc::new(wire),
                clock.clone(),
                config.open_limit,
                Some(link_keys.clone()),
            ),
            mailer,
            link_keys,
            receipt_keys: ReceiptKeys::new(&keys(&self.receipt_key)).unwrap(),
            clock,
            changes: Arc::default(),
            calls: Default::default(),
            waits: Arc::default(),
            code_turns: Default::default(),
            accounts: Default::default(),
            paused_by_setting: None,
            last_pauses: LastReading::of_pauses(),
            set_aside: SetAside::default(),
            last_sweep: Default::default(),
            index_rebuild: Default::default(),
            channel_sender: ChannelSender::new(None),
            last_off_channels: LastReading::of_off_channels(),
            people: config.people(),
            unseen_changes: Default::default(),
            config,
        }
    }
}

/// A call to the gate.
#[derive(Debug)]
pub(in crate::proof) struct Call {
    method: &'static str,
    pub(in crate::proof) path: String,
    form: bool,
    body: String,
}

impl Call {
    pub(in crate::proof) fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            form: false,
            body: String::new(),
        }
    }

    pub(in crate::proof) fn post(path: &str, body: &Value) -> Self {
        Self {
            method: "POST",
            body: body.to_string(),
            ..Self::get(path)
        }
    }

    /// Submits the form for this decision, with the tokens from the email and the page of the approver at `index`.
    pub(in crate::proof) fn decide(
        gate: &App,
        row: &Approval,
        index: usize,
        decision: &str,
        code: &str,
    ) -> Self {
        let keys = &gate.link_keys;
        let purpose = match decision {
            "revoke" => FormPurpose::Revocation,
            "hand-over" => FormPurpose::HandOver,
            "grant-revoke" => FormPurpose::Grant,
            _ => FormPurpose::Decision,
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("k", &keys.link_token(row, index).unwrap());
        form.append_pair("form", &keys.csrf_token(row, index, purpose).unwrap());
        form.append_pair("page", &gate.page_token(row, index));
        form.append_pair("votes", &row.votes.len().to_string());
        form.append_pair("decision", decision);
        form.append_pair("code", code);
        Self {
            method: "POST",
            form: true,
            body: form.finish(),
            ..Self::get(&format!("/api/decision/{}", row.request.id))
        }
    }

    /// The form of [`Call::decide`] with these fields too.
    pub(in crate::proof) fn with(self, fields: &[(&str, &str)]) -> Self {
        let mut form = form_urlencoded::Serializer::new(self.body);
        form.extend_pairs(fields);
        Self {
            body: form.finish(),
            ..self
        }
    }

    /// Sends the call to this process of the gate.
    pub(in crate::proof) async fn send(self, gate: App) -> Response {
        let kind = if self.form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        let request = http::Request::builder()
            .method(self.method)
            .uri(self.path)
            .header("host", "localhost")
            .header("content-type", kind)
            .header("origin", BASE_URL)
            .body(Body::from(self.body))
            .unwrap();
        let router = TowerToHyperService::new(router(Arc::new(gate)));
        let Ok(mut response) = router.call(request).await;
        let drafts = cookies(response.headers());
        if !drafts.is_empty() {
            // What was not accepted is on the page that follows, as a browser opens it.
            let page = response.headers()["location"].to_str().unwrap();
            let request = http::Request::builder()
                .uri(page)
                .header("host", "localhost")
                .header("cookie", drafts)
                .body(Body::empty())
                .unwrap();
            let Ok(page) = router.call(request).await;
            response = page;
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Response {
            status,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// The response to a call. A lost response has status 503.
pub(in crate::proof) struct Response {
    pub(in crate::proof) status: u16,
    pub(in crate::proof) body: String,
}

impl Response {
    pub(in crate::proof) fn lost() -> Self {
        Self {
            status: 503,
            body: String::new(),
        }
    }

    pub(in crate::proof) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The request's status, from the problem detail of a conflict.
    pub(in crate::proof) fn status_in_conflict(&self) -> Status {
        let detail = self.json()["detail"].as_str().unwrap().to_owned();
        let rest = detail.strip_prefix("The request is ").unwrap();
        let word = rest.split([',', '.']).next().unwrap();
        Status::from_word(word).unwrap_or_else(|| panic!("{detail}"))
    }
}
